"""The extensions of certificates, each for itself: an odd one does not hide the others.

`cryptography` reads all of them or none. What other readers grant, Go's above all, is granted here too: a notice that
no display can show, a path length where there is no CA, bits without the bit that they go with, kinds of names that
nobody looks at, damage in an extension that nobody asks for. What decides about trust has to be right.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from groundplane.pki import der
from groundplane.pki.model import RawExtension
from groundplane.pki.name import OID

E = TypeVar("E", bound=x509.ExtensionType)

_IN_CERTIFICATE = b"\xa3"
_ODD = (ValueError, TypeError, UnsupportedAlgorithm, x509.UnsupportedGeneralNameType)
_DECIDE = frozenset(
    {
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.AUTHORITY_INFORMATION_ACCESS,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
    }
)
_X400, _EDI = 0xA3, 0xA5
_USAGES = 9


def extensions_of(it: x509.Certificate) -> x509.Extensions:
    """All of them, as far as they can be read. Raises ValueError, x509.DuplicateExtension."""
    try:
        return it.extensions
    except _ODD as odd:
        found = [_read(each, odd) for each in raw_extensions(it)]
    if len({each.oid for each in found}) != len(found):
        raise ValueError("an extension stands there twice")  # which of the two counts, each reader would say otherwise
    return x509.Extensions(found)


def extension_in(extensions: x509.Extensions, kind: type[E]) -> E | None:
    """The one of that kind, or None."""
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def subject_key_octets(certificate: x509.Certificate) -> bytes:
    """What certificates that it issues have as their authority's; empty if it has none."""
    found = extension_in(extensions_of(certificate), x509.SubjectKeyIdentifier)
    return b"" if found is None else found.digest


def authority_key_octets(certificate: x509.Certificate) -> bytes:
    """The key identifier of its issuer; empty if it has none."""
    found = extension_in(extensions_of(certificate), x509.AuthorityKeyIdentifier)
    return b"" if found is None else found.key_identifier or b""


def raw_extensions(certificate: x509.Certificate) -> Iterator[RawExtension]:
    """Each as it stands, byte for byte. Raises ValueError."""
    fields = der.parts(certificate.tbs_certificate_bytes)
    listed = next((der.content(field) for field in fields if field[:1] == _IN_CERTIFICATE), None)
    for each in der.parts(listed) if listed else ():
        oid, *critical, value = der.parts(each)
        yield RawExtension(oid=_identifier(oid), critical=der.TRUE in critical, value=der.content(value))


@lru_cache(maxsize=256)
def _identifier(oid: bytes) -> OID:
    return OID(x509.ObjectIdentifier(der.dotted(der.content(oid))).dotted_string)


def _read(raw: RawExtension, odd: Exception) -> x509.Extension[x509.ExtensionType]:
    oid = x509.ObjectIdentifier(raw.oid)
    try:
        return _alone(raw)
    except _ODD:
        if oid in _DECIDE:
            raise ValueError(f"{odd}") from odd
        lenient = _LENIENT.get(oid)
        value = x509.UnrecognizedExtension(oid, raw.value) if lenient is None else lenient(raw)
        return x509.Extension(oid, raw.critical, value)


def _alone(raw: RawExtension) -> x509.Extension[x509.ExtensionType]:
    """Read by way of a certificate that has nothing else in it."""
    critical = der.TRUE if raw.critical else b""
    value = der.wrap(der.OCTET_STRING, raw.value)
    one = der.wrap(der.SEQUENCE, der.identifier(raw.oid) + critical + value)
    listed = der.wrap(_IN_CERTIFICATE[0], der.wrap(der.SEQUENCE, one))
    algorithm = der.wrap(der.SEQUENCE, der.identifier("1.3.101.112"))
    nobody = der.wrap(der.SEQUENCE, b"")
    always = der.wrap(der.SEQUENCE, 2 * der.wrap(der.UTC_TIME, b"700101000000Z"))
    key = der.wrap(der.SEQUENCE, algorithm + der.bits(bytes(32)))
    version = der.wrap(0xA0, der.integer(2))
    signed = version + der.integer(1) + algorithm + nobody + always + nobody + key + listed
    whole = der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, signed) + algorithm + der.bits(bytes(64)))
    found: x509.Extension[x509.ExtensionType] = x509.load_der_x509_certificate(whole).extensions[0]
    return found


def _policies(raw: RawExtension) -> x509.ExtensionType:
    """Their identifiers, without what they say to people."""
    found = []
    for policy in der.parts(raw.value):
        oid, *_ = der.parts(policy)
        found.append(x509.PolicyInformation(x509.ObjectIdentifier(der.dotted(der.content(oid))), None))
    return x509.CertificatePolicies(found)


def _basic(raw: RawExtension) -> x509.ExtensionType:
    """A path length says nothing of what is no CA."""
    if der.TRUE in der.parts(raw.value):
        raise ValueError("the basic constraints of a CA cannot be read")
    return x509.BasicConstraints(ca=False, path_length=None)


def _key_usage(raw: RawExtension) -> x509.ExtensionType:
    """Without the two bits that mean nothing where there is no key agreement."""
    unused, *octets = der.content(raw.value)
    if raw.value[:1] != bytes((der.BIT_STRING,)) or unused > 7:  # noqa: PLR2004 - bits of an octet
        raise ValueError("the key usage cannot be read")
    bits = [bool(octet >> 7 - bit & 1) for octet in octets for bit in range(8)][:_USAGES]
    bits += [False] * (_USAGES - len(bits))
    bits[7:] = [bit and bits[4] for bit in bits[7:]]
    return x509.KeyUsage(*bits)


def _authority(raw: RawExtension) -> x509.ExtensionType:
    """The key identifier; the name and number of its certificate are looked at by nobody."""
    key = next((der.content(each) for each in der.parts(raw.value) if each[0] == 0x80), None)  # noqa: PLR2004 - its tag
    return x509.AuthorityKeyIdentifier(key, None, None)


def _alternative(raw: RawExtension) -> x509.ExtensionType:
    """Without X.400's names and EDI's."""
    left = b"".join(name for name in der.parts(raw.value) if name[0] not in {_X400, _EDI})
    return _alone(RawExtension(oid=raw.oid, value=der.wrap(der.SEQUENCE, left))).value


_LENIENT: dict[x509.ObjectIdentifier, Callable[[RawExtension], x509.ExtensionType]] = {
    ExtensionOID.CERTIFICATE_POLICIES: _policies,
    ExtensionOID.BASIC_CONSTRAINTS: _basic,
    ExtensionOID.KEY_USAGE: _key_usage,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER: _authority,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME: _alternative,
}
