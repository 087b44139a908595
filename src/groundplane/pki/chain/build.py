"""Chains from a certificate to a root: every one there is, checked as RFC 5280, 6 says, in Go's order and words.

Candidates for the issuer have the name that the certificate gives; those whose key identifier fits come first. A
chain never has the same subject, key and names twice, and after 100 signatures the search is given up: a pool made
to have exponentially many paths costs no more than that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.pki.chain.constraints import TooMany, forbidden_name
from groundplane.pki.chain.link import Link
from groundplane.pki.chain.model import ChainRefused, Purpose, Reason
from groundplane.pki.chain.signature import trouble_with_signature

Chain = tuple[Link, ...]

_MOST_SIGNATURES = 100
_ANY_USAGE = "2.5.29.37.0"


class Pool:
    """Certificates by their subject. Adding one that is there already changes nothing."""

    def __init__(self, links: Iterable[Link] = ()) -> None:
        self._by_subject: dict[bytes, list[Link]] = {}
        self._all: set[Link] = set()
        for it in links:
            self.add(it)

    def add(self, it: Link) -> None:
        """Put one in."""
        if it not in self._all:
            self._all.add(it)
            self._by_subject.setdefault(it.subject, []).append(it)

    def __contains__(self, it: Link) -> bool:
        return it in self._all

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Link]:
        return (it for several in list(self._by_subject.values()) for it in list(several))

    def parents_of(self, child: Link) -> list[Link]:
        """Those that may have signed it: key identifiers that fit first, those that do not last."""

        def rank(parent: Link) -> int:
            if parent.subject_key_id == child.authority_key_id:
                return 0
            return 1 if not parent.subject_key_id or not child.authority_key_id else 2

        return sorted(self._by_subject.get(child.issuer, ()), key=rank)


@dataclass(slots=True)
class _Search:
    roots: Pool
    intermediates: Pool
    at: datetime
    signatures: int = 0


def chains_of(
    leaf: Link, *, roots: Pool, intermediates: Pool, at: datetime, purpose: Purpose = Purpose.ANY
) -> list[Chain]:
    """All chains from `leaf` to one of `roots`, at least one. Raises ChainRefused."""
    if refusal := _trouble(leaf, (), at):
        raise refusal
    if leaf in roots:
        chains: list[Chain] = [(leaf,)]
    else:
        found, refusal = _extend((leaf,), _Search(roots, intermediates, at))
        if refusal is not None:
            raise refusal
        chains = found
    if purpose is not Purpose.ANY:
        chains = [chain for chain in chains if _allows(chain, purpose.value)]
        if not chains:
            words = "x509: certificate specifies an incompatible key usage"
            raise ChainRefused(Reason.INCOMPATIBLE_USAGE, words, to=leaf.title, hint="issue it for this purpose")
    return chains


def _extend(chain: Chain, search: _Search) -> tuple[list[Chain], ChainRefused | None]:
    """The complete chains that begin with `chain`; if there are none, why."""
    child = chain[-1]
    found: list[Chain] = []
    refusal: ChainRefused | None = None
    hint = ""
    candidates = [(parent, True) for parent in search.roots.parents_of(child)]
    candidates += [(parent, False) for parent in search.intermediates.parents_of(child)]
    for parent, is_root in candidates:
        if _is_there(parent, chain):
            continue
        search.signatures += 1
        if search.signatures > _MOST_SIGNATURES:
            words = "x509: signature check attempts limit reached while verifying certificate chain"
            refusal = ChainRefused(Reason.OTHER, words, to=chain[0].title)
            break
        if trouble := trouble_with_signature(child, parent):
            hint = hint or (
                f" (possibly because of {_quoted(trouble)} while trying to verify candidate authority certificate "
                f"{_quoted(parent.title)})"
            )
            continue
        refusal = _trouble(parent, chain, search.at, as_root=is_root)
        if refusal is not None:
            continue
        if is_root:
            found.append((*chain, parent))
        else:
            more, refusal = _extend((*chain, parent), search)
            found += more
    if found:
        return found, None
    if refusal is None:
        words = f"x509: certificate signed by unknown authority{hint}"
        help_ = "give its issuer's certificate, or the root that it leads to"
        refusal = ChainRefused(Reason.UNKNOWN_AUTHORITY, words, to=child.title, hint=help_)
    return [], refusal


def _is_there(candidate: Link, chain: Chain) -> bool:
    """RFC 4158, 2.4.2: the same entity again, if under another certificate, leads nowhere new."""
    if not any(it.subject == candidate.subject for it in chain):
        return False
    key = _public_key(candidate)
    return any(
        it.subject == candidate.subject and _public_key(it) == key and it.names == candidate.names for it in chain
    )


def _public_key(it: Link) -> bytes:
    try:
        return it.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except Exception:  # noqa: BLE001 - cryptography has many ways to say that it does not know a key; the DER tells all
        return it.certificate.tbs_certificate_bytes


def _trouble(it: Link, below: Sequence[Link], at: datetime, *, as_root: bool = False) -> ChainRefused | None:
    """What is wrong with `it` above `below`; nothing is below a leaf."""

    def refuse(reason: Reason, words: str, hint: str = "") -> ChainRefused:
        return ChainRefused(reason, f"x509: {words}", to=it.title, hint=hint)

    if it.unknown_critical:
        return refuse(Reason.OTHER, "unhandled critical extension")
    if not it.not_before <= at <= it.not_after:
        early = at < it.not_before
        limit = it.not_before if early else it.not_after
        where = f"current time {_go_time(at)} is {'before' if early else 'after'} {limit:%Y-%m-%dT%H:%M:%SZ}"
        hint = "look at this host's clock" if early else "renew it"
        return refuse(Reason.EXPIRED, f"certificate has expired or is not yet valid: {where}", hint)
    return _trouble_above(it, below, refuse, as_root=as_root) if below else None


def _trouble_above(
    it: Link, below: Sequence[Link], refuse: Callable[[Reason, str], ChainRefused], *, as_root: bool
) -> ChainRefused | None:
    if it.constrained:
        try:
            words = forbidden_name(it, below)
        except TooMany:
            return refuse(Reason.TOO_MANY_CONSTRAINTS, "too many name constraints to check")
        if words:
            about = "a root or intermediate certificate is not authorized to sign for this name"
            return refuse(Reason.NAME_NOT_ALLOWED, f"{about}: {words}")
    if not as_root and not it.is_ca:
        return refuse(Reason.NOT_AUTHORIZED_TO_SIGN, "certificate is not authorized to sign other certificates")
    if it.path_length is not None and len(below) - 1 > it.path_length:
        return refuse(Reason.TOO_MANY_INTERMEDIATES, "too many intermediates for path length constraint")
    return None


def _allows(chain: Chain, usage: str) -> bool:
    return all(not it.usages or usage in it.usages or _ANY_USAGE in it.usages for it in chain)


def _go_time(at: datetime) -> str:
    """RFC 3339 in local time, without fractions."""
    text = at.astimezone().replace(microsecond=0).isoformat()
    return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
