"""The family TLSHandshake: what a server agrees to, from SSL 3.0 to TLS 1.2, found out by asking for less and less."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from groundplane.pki.cfssl.certinfo import algorithm_name
from groundplane.pki.load import certificate_of_der
from groundplane.pki.scan.ask import Heard, ask
from groundplane.pki.scan.hello import Offer
from groundplane.pki.scan.line import Line
from groundplane.pki.scan.model import Family, Found, Grade, Refused, Scanner, Trouble, Unreachable
from groundplane.pki.scan.registry import (
    GROUPS,
    OLD_GROUPS,
    PAIRS,
    SSL30,
    TLS10,
    TLS11,
    TLS12,
    VERSIONS,
    old_suites,
    suites,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """A suite that the server takes: the groups of each version, none where it needs none."""

    suite: int
    groups: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """As CFSSL's JSON: `{suite: [version or {version: [groups]}]}`."""
        versions = [
            {VERSIONS[version]: [GROUPS[group] for group in groups]} if groups else VERSIONS[version]
            for version, groups in self.groups.items()
        ]
        return {str(suites()[self.suite]): versions}


def offer(line: Line, **what: object) -> Offer:
    """Everything that CFSSL offers, but for `what`."""
    whole: dict[str, object] = {
        "version": TLS12,
        "suites": old_suites(),
        "groups": tuple(OLD_GROUPS),
        "schemes": tuple(PAIRS),
        "name": line.server_name,
    }
    return Offer(**{**whole, **what})  # type: ignore[arg-type]


def agreed(
    line: Line, versions: Iterable[int], *, among: Sequence[int], groups: Sequence[int], schemes: Sequence[int]
) -> list[Agreed]:
    """What the server takes of `among`, as it prefers. Raises Unreachable."""
    found: dict[int, Agreed] = {}
    for version in versions:
        left = list(among)
        while left:
            asked = offer(line, version=version, suites=left, groups=groups, schemes=schemes)
            heard = _heard(line, asked)
            if heard is None:
                break
            over: tuple[int, ...] = ()
            if suites()[heard.suite].elliptic or suites()[heard.suite].for_tls13:
                narrow = offer(line, version=version, suites=(heard.suite,), schemes=schemes)
                over = preferred_groups(line, narrow, groups, first=heard.group)
            found.setdefault(heard.suite, Agreed(suite=heard.suite)).groups[version] = over
            left.remove(heard.suite)
    return list(found.values())


def preferred_groups(line: Line, base: Offer, among: Sequence[int], *, first: int | None = None) -> tuple[int, ...]:
    """The groups that the server takes, as it prefers; `first` is known already. Raises Unreachable."""
    found: list[int] = []
    left = list(among)
    if first in left:
        found.append(first)
        left.remove(first)
    while left:
        asked = offer(line, version=base.version, suites=base.suites, schemes=base.schemes, groups=left)
        heard = _heard(line, asked)
        if heard is None and found:
            # A server's ECDSA certificate may need its own curve among these, which is one of those found.
            heard = _heard(line, replace(asked, groups=(*left, *found)))
        if heard is None or heard.group not in left:
            break
        found.append(heard.group)
        left.remove(heard.group)
    return tuple(found)


def _heard(line: Line, asked: Offer) -> Heard | None:
    """None where the server does not go along, or with something else than it was asked for."""
    try:
        heard = ask(line, asked)
    except Refused:
        return None
    return heard if heard.version == asked.version and heard.suite in asked.suites else None


def cipher_suites(line: Line) -> Found:
    """Every suite with its versions and curves."""
    versions = (TLS12, TLS11, TLS10, SSL30)
    found = agreed(line, versions, among=old_suites(), groups=tuple(OLD_GROUPS), schemes=tuple(PAIRS))
    if not found:
        raise Trouble("couldn't negotiate any cipher suites", to=line.place)
    ancient = any(SSL30 in each.groups for each in found)
    return Found(grade=Grade.WARNING if ancient else Grade.GOOD, output=[each.document() for each in found])


def signature_algorithms(line: Line) -> Found:
    """Which pairs of a signature and a hash will do alone."""
    taken = [pair for number, pair in PAIRS.items() if _first_certificate(line, schemes=(number,)) is not None]
    if not taken:
        raise Trouble("no SigAlgs supported", to=line.place)
    return Found(grade=Grade.GOOD, output=[{"signature": signature, "hash": hashed} for signature, hashed in taken])


def certificates_by_signature(line: Line) -> Found:
    """What the certificate is signed with that the server shows to a client of one pair."""
    shown = {
        f"{{{signature},{hashed}}}": name
        for number, (signature, hashed) in PAIRS.items()
        if (name := _first_certificate(line, schemes=(number,))) is not None
    }
    return _by(shown, "no SigAlgs supported", line)


def certificates_by_suite(line: Line) -> Found:
    """The same for a client of one suite, which says nothing of signatures."""
    shown = {
        suites()[number].name: name
        for number in old_suites()
        if (name := _first_certificate(line, suites=(number,), schemes=())) is not None
    }
    return _by(shown, "no cipher supported", line)


def curves(line: Line) -> Found:
    """The curves of TLS 1.2; null if there are none."""
    over = tuple(number for number in old_suites() if "_ECDHE_" in suites()[number].name)
    found = preferred_groups(line, offer(line, suites=over), tuple(OLD_GROUPS))
    return Found(grade=Grade.GOOD, output=[GROUPS[group] for group in found] or None)


def signature_of(der: bytes, line: Line) -> str:
    """What a certificate is signed with. Raises Trouble."""
    try:
        return algorithm_name(certificate_of_der(der))
    except ValueError as bad:
        raise Trouble('{"code":1003,"message":"Failed to parse certificate"}', to=line.place) from bad


def _first_certificate(line: Line, **what: object) -> str | None:
    """What it is signed with; None where the server refuses, or is not there: CFSSL says the same of both."""
    asked = offer(line, **what)
    try:
        heard = ask(line, asked)
    except (Refused, Unreachable):
        return None
    if heard.version != asked.version or heard.suite not in asked.suites or not heard.certificates:
        return None
    return signature_of(heard.certificates[0], line)


def _by(shown: dict[str, str], nothing: str, line: Line) -> Found:
    if not shown:
        raise Trouble(nothing, to=line.place)
    return Found(grade=Grade.GOOD, output=dict(sorted(shown.items())))


FAMILY = Family(
    description="Scans for host's SSL/TLS version and cipher suite negotiation",
    scanners={
        "CertsByCiphers": Scanner(
            description="Determines host's certificate signature algorithm matching client's accepted ciphers",
            scan=certificates_by_suite,
        ),
        "CertsBySigAlgs": Scanner(
            description="Determines host's certificate signature algorithm matching client's accepted signature and "
            "hash algorithms",
            scan=certificates_by_signature,
        ),
        "CipherSuite": Scanner(
            description="Determines host's cipher suites accepted and preferred order", scan=cipher_suites
        ),
        "ECCurves": Scanner(description="Determines the host's ec curve support for TLS 1.2", scan=curves),
        "SigAlgs": Scanner(
            description="Determines host's accepted signature and hash algorithms", scan=signature_algorithms
        ),
    },
)
