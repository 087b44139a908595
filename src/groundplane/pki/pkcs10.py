"""PKCS#10 requests as they stand in DER (RFC 2986): taken apart here, so that nothing that Go takes is refused.

Versions that do not exist and attributes out of order are passed over: neither means anything. What a request asks for
is copied byte for byte, so it is kept so; only what decides about the certificate is read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from groundplane.pki import der
from groundplane.pki.model import RawExtension
from groundplane.pki.name import OID, AlternativeNames

BASIC_CONSTRAINTS, ALTERNATIVE_NAMES = OID("2.5.29.19"), OID("2.5.29.17")
EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
_ATTRIBUTES = 0xA0
_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87

# Signature algorithms of each kind of key; SHA-1 proves who has the key as well as any.
_WITH_RSA: Mapping[str, hashes.HashAlgorithm] = {
    "1.2.840.113549.1.1.5": hashes.SHA1(),  # noqa: S303 - old tools use it
    "1.2.840.113549.1.1.11": hashes.SHA256(),
    "1.2.840.113549.1.1.12": hashes.SHA384(),
    "1.2.840.113549.1.1.13": hashes.SHA512(),
}
_WITH_ECDSA: Mapping[str, ec.ECDSA] = {
    "1.2.840.10045.4.1": ec.ECDSA(hashes.SHA1()),  # noqa: S303 - old tools use it
    "1.2.840.10045.4.3.2": ec.ECDSA(hashes.SHA256()),
    "1.2.840.10045.4.3.3": ec.ECDSA(hashes.SHA384()),
    "1.2.840.10045.4.3.4": ec.ECDSA(hashes.SHA512()),
}
MD5_WITH_RSA = "1.2.840.113549.1.1.4"
_ED25519 = "1.3.101.112"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificationRequest:
    """Its parts, each whole, as bytes: `signed` is what `signature` covers, `key` a SubjectPublicKeyInfo."""

    der: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    version: int
    subject: bytes = field(repr=False)
    key: bytes = field(repr=False)
    attributes: tuple[bytes, ...] = field(repr=False)
    extensions: tuple[RawExtension, ...]
    algorithm: str
    signature: bytes = field(repr=False)
    named: AlternativeNames | None

    def public_key(self) -> object:
        """Its key, of whatever kind. Raises ValueError, UnsupportedAlgorithm."""
        return load_der_public_key(self.key)

    def is_signed(self, key: object = None) -> bool:
        """Whether its own key signed it; `key` is that, where the caller has it already.

        Raises ValueError, TypeError, UnsupportedAlgorithm where nobody can say.
        """
        key = key or self.public_key()
        try:
            if isinstance(key, ec.EllipticCurvePublicKey) and (scheme := _WITH_ECDSA.get(self.algorithm)):
                key.verify(self.signature, self.signed, scheme)
            elif isinstance(key, rsa.RSAPublicKey) and (digest := _WITH_RSA.get(self.algorithm)):
                key.verify(self.signature, self.signed, padding.PKCS1v15(), digest)
            elif isinstance(key, ed25519.Ed25519PublicKey) and self.algorithm == _ED25519:
                key.verify(self.signature, self.signed)
            else:
                return x509.load_der_x509_csr(self.der).is_signature_valid  # PSS, ML-DSA
        except InvalidSignature:
            return False
        except x509.InvalidVersion as odd:
            raise ValueError(str(odd)) from odd
        return True

    def extension(self, oid: OID) -> bytes | None:
        """What it asks for under `oid`."""
        return next((each.value for each in self.extensions if each.oid == oid), None)

    def names(self) -> AlternativeNames:
        """The alternative names it asks for, of the kinds that are known."""
        return self.named or AlternativeNames()

    def constraints(self) -> tuple[bool, int | None]:
        """Whether it asks for a CA, and with which path length. Raises ValueError."""
        value = self.extension(BASIC_CONSTRAINTS)
        return (False, None) if value is None else basic_constraints_in(value)


def parse_pkcs10(data: bytes) -> CertificationRequest:
    """The request in `data`. Raises ValueError."""
    signed, algorithm, signature = der.fields(data, der.SEQUENCE, whole=True)
    version, subject, key, *rest = der.fields(signed, der.SEQUENCE)
    if len(rest) > 1 or (rest and rest[0][0] != _ATTRIBUTES):
        raise ValueError("a request has a version, a subject, a key and attributes")
    attributes = tuple(der.fields(rest[0], _ATTRIBUTES)) if rest else ()
    bits = der.content_of(signature, der.BIT_STRING)
    if bits[:1] != b"\0":
        raise ValueError("a signature is made of whole octets")
    der.members(key, der.SEQUENCE)  # anything but a SEQUENCE is refused
    found = tuple([each for attribute in attributes for each in extensions_in(attribute)])
    if len(found) > 1 and len({each.oid for each in found}) != len(found):
        raise ValueError("it asks for an extension twice")
    names = next((each.value for each in found if each.oid == ALTERNATIVE_NAMES), None)
    return CertificationRequest(
        der=data,
        signed=signed,
        version=int.from_bytes(der.content_of(version, der.INTEGER), signed=True),
        subject=subject,
        key=key,
        attributes=attributes,
        extensions=found,
        algorithm=identifier_of(next(der.members(algorithm, der.SEQUENCE), b"")),
        signature=bits[1:],
        named=None if names is None else alternative_names_in(names),  # damage in them is damage of the request
    )


def is_extension_request(attribute: bytes) -> bool:
    """Whether this attribute asks for extensions; one that cannot be read asks for nothing, to Go too."""
    return _asked_in(attribute) is not None


def _asked_in(attribute: bytes) -> bytes | None:
    """The list of extensions that it asks for."""
    try:
        kind, values = der.fields(attribute, der.SEQUENCE)
        return next(der.members(values, der.SET), None) if identifier_of(kind) == EXTENSION_REQUEST else None
    except ValueError:
        return None


def extensions_in(attribute: bytes) -> Iterator[RawExtension]:
    """The extensions that an attribute asks for; none where it is another attribute. Raises ValueError."""
    asked = _asked_in(attribute)
    if asked is None:
        return
    for each in der.fields(asked, der.SEQUENCE):
        oid, *critical, value = der.fields(each, der.SEQUENCE)
        if len(critical) > 1 or (critical and critical[0][0] != der.TRUE[0]):
            raise ValueError("an extension is a type, a flag and a value")
        content = der.content_of(value, der.OCTET_STRING)
        yield RawExtension(oid=identifier_of(oid), critical=der.TRUE in critical, value=content)


@lru_cache(maxsize=256)
def identifier_of(value: bytes) -> OID:
    """An OBJECT IDENTIFIER. Raises ValueError."""
    return OID(der.dotted_of(value))


def alternative_names_in(value: bytes) -> AlternativeNames:
    """The names of an extension's value. Raises ValueError."""
    texts: dict[int, list[str]] = {_EMAIL: [], _DNS: [], _URI: []}
    addresses: list[IPv4Address | IPv6Address] = []
    for name in der.fields(value, der.SEQUENCE, whole=True):
        content = der.content(name)
        if (found := texts.get(name[0])) is not None:
            found.append(content.decode("ascii"))
        elif name[0] == _IP:
            addresses.append(_address(content))
    dns, emails, uris = (tuple(texts[kind]) for kind in (_DNS, _EMAIL, _URI))
    return AlternativeNames(dns=dns, emails=emails, ips=tuple(addresses), uris=uris)


def basic_constraints_in(value: bytes) -> tuple[bool, int | None]:
    """Whether a CA, and its path length. Raises ValueError."""
    is_ca, length = False, None
    left = list(der.members(value, der.SEQUENCE, whole=True))
    if left and left[0][0] == der.TRUE[0]:
        is_ca = left.pop(0) == der.TRUE
    if left:
        length = int.from_bytes(der.content_of(left.pop(0), der.INTEGER), signed=True)
    if left:
        raise ValueError("basic constraints are a flag and a length")
    return is_ca, length


def _address(octets: bytes) -> IPv4Address | IPv6Address:
    try:
        return ip_address(octets)
    except ValueError as bad:
        raise ValueError(f"an IP address of {len(octets)} octets") from bad
