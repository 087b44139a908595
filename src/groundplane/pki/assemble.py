"""A certificate put together from DER, and signed as bytes: what `certificate` makes with a builder, in less time.

Only what differs from one certificate to the next is written here: subject, names, dates, key identifiers. What a
profile says is encoded by `cryptography`, once. The unit tests hold both ways to the same bytes.
"""

import hashlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa

from groundplane.pki import der
from groundplane.pki.dn import names_in
from groundplane.pki.extensions import extension_in, extensions_of
from groundplane.pki.keys import P256_POINT, PublicKey, is_plain_p256
from groundplane.pki.model import LAST, CertificateContent, RawExtension
from groundplane.pki.name import AlternativeNames, Subject

Extension = tuple[str, bytes]  # its identifier, and the whole of it in DER
Sections = tuple[tuple[Extension, ...], tuple[Extension, ...], tuple[Extension, ...], tuple[Extension, ...]]

_SAN, _SKI, _AKI = "2.5.29.17", "2.5.29.14", "2.5.29.35"
_PRINTABLE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 '()+,./:=?-")
_VERSION_3 = bytes.fromhex("a003020102")
_EMAIL, _DNS, _URI, _ADDRESS = 0x81, 0x82, 0x86, 0x87  # GeneralName's tags
_SHA1 = 20  # octets
_MOST_SERIAL_BITS, _EARLIEST = 159, 1950
# AlgorithmIdentifiers by kind of key and bits of the digest.
_ALGORITHMS: Mapping[tuple[str, int], bytes] = {
    **{
        ("rsa", size): der.wrap(der.SEQUENCE, der.identifier(f"1.2.840.113549.1.1.{last}") + b"\x05\x00")
        for size, last in ((256, 11), (384, 12), (512, 13))
    },
    **{
        ("ec", size): der.wrap(der.SEQUENCE, der.identifier(f"1.2.840.10045.4.3.{last}"))
        for size, last in ((256, 2), (384, 3), (512, 4))
    },
    ("ed25519", 0): der.wrap(der.SEQUENCE, der.identifier("1.3.101.112")),
    **{
        (f"ml-dsa-{size}", 0): der.wrap(der.SEQUENCE, der.identifier(f"2.16.840.1.101.3.4.3.{last}"))
        for size, last in ((44, 17), (65, 18), (87, 19))
    },
}
_KINDS: Mapping[type, str] = {
    rsa.RSAPublicKey: "rsa",
    ec.EllipticCurvePublicKey: "ec",
    ed25519.Ed25519PublicKey: "ed25519",
    mldsa.MLDSA44PublicKey: "ml-dsa-44",
    mldsa.MLDSA65PublicKey: "ml-dsa-65",
    mldsa.MLDSA87PublicKey: "ml-dsa-87",
}


def algorithm_of(key: PublicKey, digest_bits: int) -> bytes:
    """The AlgorithmIdentifier of signatures by `key`, with a SHA-2 digest of that size (0: the key brings its own)."""
    return _algorithm(type(key), digest_bits)


@lru_cache(maxsize=64)
def _algorithm(kind: type, digest_bits: int) -> bytes:
    return _ALGORITHMS[next(name for each, name in _KINDS.items() if issubclass(kind, each)), digest_bits]


def assemble(
    plan: CertificateContent,
    *,
    key: bytes,
    serial: int,
    issuer: x509.Certificate | None,
    algorithm: bytes,
    sign: Callable[[bytes], bytes],
    sections: Sections,
) -> bytes:
    """The certificate, in DER. Raises ValueError.

    `key` is a SubjectPublicKeyInfo. `sections`: extensions before the key identifiers, before the names, after them,
    and after those that came as bytes.
    """
    if serial <= 0 or serial.bit_length() > _MOST_SERIAL_BITS:
        raise ValueError("the serial number must be positive, and of 159 bits at most")
    if plan.not_before.year < _EARLIEST or plan.not_after < plan.not_before:
        raise ValueError("it must begin after 1950, and end after it begins")
    subject = name(plan.subject)
    issuer_name, authority = (subject, None) if issuer is None else _issuer(issuer)
    extensions = [*sections[0], (_SKI, _SKI_HEAD + _key_identifier(key))]
    if authority is not None and issuer_name != subject:
        extensions.append((_AKI, authority))
    extensions += sections[1]
    if names := _names(plan.names):
        extensions.append((_SAN, _extension(_SAN, names, critical=not plan.subject.rdns)))
    extensions += sections[2]
    tbs = der.wrap(
        der.SEQUENCE,
        b"".join(
            (
                _VERSION_3,
                der.integer(serial),
                algorithm,
                issuer_name,
                der.wrap(der.SEQUENCE, der.time(plan.not_before) + der.time(plan.not_after)),
                subject,
                key,
                der.wrap(0xA3, der.wrap(der.SEQUENCE, b"".join(_overridden(extensions, plan.extensions, sections[3])))),
            )
        ),
    )
    return der.wrap(der.SEQUENCE, tbs + algorithm + der.bits(sign(tbs)))


def encode(extension: x509.ExtensionType, *, critical: bool) -> Extension:
    """An extension of `cryptography`'s."""
    oid = extension.oid.dotted_string
    return oid, _extension(oid, extension.public_bytes(), critical=critical)


def name(subject: Subject) -> bytes:
    """A distinguished name. Raises ValueError."""
    return der.wrap(
        der.SEQUENCE,
        b"".join(
            der.wrap(der.SET, b"".join(sorted(_attribute(one.oid, one.value) for one in rdn))) for rdn in subject.rdns
        ),
    )


def _attribute(oid: str, value: str) -> bytes:
    text = value.encode()
    tag = der.PRINTABLE if _PRINTABLE.issuperset(text) else der.UTF8
    return der.wrap(der.SEQUENCE, der.identifier(oid) + der.wrap(tag, text))


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = der.TRUE if critical else b""
    return der.wrap(der.SEQUENCE, der.identifier(oid) + flag + der.wrap(der.OCTET_STRING, value))


def _overridden(
    standard: list[Extension], further: tuple[RawExtension, ...], after: tuple[Extension, ...]
) -> list[bytes]:
    """As `certificate.override` does it."""
    if not further:
        return [whole for _, whole in (*standard, *after)]
    given = {each.oid: _extension(each.oid, each.value, critical=each.critical) for each in further}
    return [
        *(whole for oid, whole in standard if oid not in given),
        *(whole for oid, whole in given.items() if oid not in LAST),
        *(whole for oid, whole in after if oid not in given),
        *(whole for oid, whole in given.items() if oid in LAST),
    ]


def _names(names: AlternativeNames) -> bytes:
    """GeneralNames, or nothing. Raises ValueError."""
    found = [der.wrap(_DNS, text.encode("ascii")) for text in names.dns]
    found += [der.wrap(_EMAIL, text.encode("ascii")) for text in names.emails]
    found += [der.wrap(_ADDRESS, _packed(address)) for address in names.ips]
    found += [der.wrap(_URI, text.encode("ascii")) for text in names.uris]
    return der.wrap(der.SEQUENCE, b"".join(found)) if found else b""


def _packed(address: IPv4Address | IPv6Address) -> bytes:
    return address.packed


def _key_identifier(key: bytes) -> bytes:
    """SHA-1 of the key's bits, as RFC 5280 has it: a name for the key, not a proof of anything."""
    if is_plain_p256(key):
        return hashlib.sha1(key[-P256_POINT:], usedforsecurity=False).digest()
    _, bit_string = der.parts(key)
    return hashlib.sha1(der.content(bit_string)[1:], usedforsecurity=False).digest()


_SKI_HEAD = _extension(_SKI, der.wrap(der.OCTET_STRING, bytes(_SHA1))).removesuffix(bytes(_SHA1))


@lru_cache(maxsize=64)
def _issuer(certificate: x509.Certificate) -> tuple[bytes, bytes | None]:
    """Its subject as it stands, byte for byte, and the extension that points to its key."""
    _, subject = names_in(certificate)
    theirs = extension_in(extensions_of(certificate), x509.SubjectKeyIdentifier)
    if theirs is None:
        return subject, None
    pointer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs)
    return subject, encode(pointer, critical=False)[1]
