"""An order and its CSR become the content of a certificate, or a badCSR: RFC 8555, 7.4.

The CSR must name exactly the order's identifiers, in its alternative names or its common name, and nothing else. Of its
subject only the common name is taken, since nothing else was validated; profile and issuer decide the rest, by the same
`plan_signing` as everywhere. A certificate ends with its issuer at the latest.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address

from cryptography.exceptions import UnsupportedAlgorithm

from groundplane.errors import Denied, Invalid
from groundplane.pki.acme.identifiers import parse_identifier
from groundplane.pki.acme.model import Identifier, IdentifierType, Order
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.csr import see_request
from groundplane.pki.keys import PublicKey, public_bytes
from groundplane.pki.model import CertificateContent, Profile, SeenCertificate, SeenRequest
from groundplane.pki.name import COMMON_NAME, AlternativeNames, Attribute, Subject
from groundplane.pki.pkcs10 import CertificationRequest, parse_pkcs10
from groundplane.pki.signing import SigningRefused, SigningRequest, plan_signing

_LARGEST = 64 << 10
_LONGEST_COMMON_NAME = 64  # RFC 5280's upper bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """A CSR that fits its order."""

    public_key: PublicKey
    seen: SeenRequest
    der: bytes


def check_csr(der: bytes, identifiers: Iterable[Identifier], *, account_key: bytes) -> Checked:
    """The request in `der`, whose key must not be the account's (a SubjectPublicKeyInfo). Raises Problem."""
    request = _load(der)
    try:
        seen = see_request(request)
    except Invalid as bad:
        raise _bad(bad.happened) from bad
    public = request.public_key()
    if not isinstance(public, PublicKey) or seen.key is None:
        raise _bad("its key is not RSA of 2048 to 8192 bits, ECDSA of P-256, P-384 or P-521, or Ed25519")
    if public_bytes(public) == account_key:
        raise _bad("its key is the account's (RFC 8555, 11.1)")
    if seen.wants_ca:
        raise _bad("it asks for a CA")
    if seen.names.emails or seen.names.uris:
        raise _bad("it names e-mail addresses or URIs, which were not validated")
    _check_names(seen, frozenset(identifiers))
    return Checked(public_key=public, seen=_reduced(seen, tuple(identifiers)), der=der)


def plan_content(
    checked: Checked, order: Order, profile: Profile, *, now: datetime, issuer: SeenCertificate
) -> CertificateContent:
    """What the certificate will say. Raises Problem where the profile or the issuer refuses."""
    try:
        content = plan_signing(SigningRequest(csr=checked.seen), profile, now=now, issuer=issuer)
    except SigningRefused as refused:
        raise Problem(Type.REJECTED_IDENTIFIER, refused.happened) from refused
    except (Invalid, Denied) as bad:
        raise _bad(bad.happened) from bad
    start, end = order.not_before or content.not_before, order.not_after or content.not_after
    if order.not_before is not None and order.not_after is None and not content.pinned_end:
        end = start + content.lifetime
    start, end = max(start, issuer.not_before), min(end, issuer.not_after)
    if end <= start or end <= now:
        raise Problem(Type.SERVER_INTERNAL, "the CA's own certificate ends too early to issue this one")
    return replace(content, not_before=start.replace(microsecond=0), not_after=end.replace(microsecond=0))


def _load(der: bytes) -> CertificationRequest:
    if len(der) > _LARGEST:
        raise _bad("it is too large")
    try:
        request = parse_pkcs10(der)
        if not request.is_signed():
            raise _bad("its signature is not its key's")
    except (ValueError, TypeError, UnsupportedAlgorithm) as bad:
        raise _bad("it cannot be read, or its key is of a kind that is not taken") from bad
    return request


def _check_names(seen: SeenRequest, wanted: frozenset[Identifier]) -> None:
    try:
        named = {parse_identifier("dns", name) for name in seen.names.dns}
        named |= {Identifier(IdentifierType.IP, str(address)) for address in seen.names.ips}
        named |= {_of_common_name(seen.subject.common_name)} if seen.subject.common_name else set()
    except Problem as bad:
        raise _bad(f"it names what no order can: {bad.happened}") from bad
    if named != wanted:
        extra = ", ".join(sorted(one.value for one in named - wanted)[:10])
        lacking = ", ".join(sorted(one.value for one in wanted - named)[:10])
        words = [f"it names {extra}, which the order does not"] if extra else []
        words += [f"it lacks {lacking} of the order"] if lacking else []
        raise _bad("; ".join(words))


def _of_common_name(text: str) -> Identifier:
    try:
        return Identifier(IdentifierType.IP, str(ip_address(text)))
    except ValueError:
        return parse_identifier("dns", text)


def _reduced(seen: SeenRequest, identifiers: tuple[Identifier, ...]) -> SeenRequest:
    common = seen.subject.common_name.lower()
    attributes = (Attribute(oid=COMMON_NAME, value=common),) if 0 < len(common) <= _LONGEST_COMMON_NAME else ()
    names = AlternativeNames(
        dns=tuple(one.value for one in identifiers if one.type is IdentifierType.DNS),
        ips=tuple(ip_address(one.value) for one in identifiers if one.type is IdentifierType.IP),
    )
    return replace(seen, subject=Subject((attributes,)), names=names)


def _bad(detail: str) -> Problem:
    return Problem(Type.BAD_CSR, f"the CSR is refused: {detail}")
