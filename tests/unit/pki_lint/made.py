"""Certificates put together by hand, of which any part may be wrong."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from groundplane.pki import der
from groundplane.pki.lint import oids

UTF8, PRINTABLE, IA5, BMP, T61 = 0x0C, 0x13, 0x16, 0x1E, 0x14
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NULL = b"\x05\x00"
ECDSA_SHA256 = der.wrap(0x30, der.identifier("1.2.840.10045.4.3.2"))
ECDSA_SHA1 = der.wrap(0x30, der.identifier("1.2.840.10045.4.1"))
RSA_SHA256 = der.wrap(0x30, der.identifier("1.2.840.113549.1.1.11") + NULL)

Attribute = tuple[str, str | bytes] | tuple[str, str | bytes, int]
Extensions = Mapping[str, tuple[bool, bytes] | None]
NOTHING: Extensions = {}
POSITIVE = der.integer(0x1234567890)


def seq(*parts: bytes) -> bytes:
    return der.wrap(0x30, b"".join(parts))


def tagged(number: int, *parts: bytes, constructed: bool = True) -> bytes:
    return der.wrap(0x80 | constructed << 5 | number, b"".join(parts))


def text(value: str, tag: int = UTF8) -> bytes:
    return der.wrap(tag, value.encode("utf-16-be" if tag == BMP else "utf-8"))


def oid(dotted: str) -> bytes:
    return der.identifier(dotted)


def attribute(kind: str, value: str | bytes, tag: int = PRINTABLE) -> bytes:
    return seq(oid(kind), value if isinstance(value, bytes) else text(value, tag))


def name(*rdns: Attribute | list[Attribute]) -> bytes:
    """A Name: each argument is an RDN, of one attribute or of several."""
    several = (rdn if isinstance(rdn, list) else [rdn] for rdn in rdns)
    return seq(*(der.wrap(0x31, b"".join(sorted(attribute(*each) for each in rdn))) for rdn in several))


@lru_cache(maxsize=1)
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@lru_cache(maxsize=1)
def rsa_numbers() -> rsa.RSAPublicNumbers:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers()


def spki(key: Any) -> bytes:
    return bytes(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def rsa_spki(n: int | None = None, e: int = 65537, parameters: bytes = NULL) -> bytes:
    numbers = seq(der.integer(n or rsa_numbers().n), der.integer(e))
    return seq(seq(oid(oids.RSA), parameters), der.bits(numbers))


def dsa_spki(p: int, q: int, g: int, y: int) -> bytes:
    parameters = seq(*map(der.integer, (p, q, g)))
    return seq(seq(oid(oids.DSA), parameters), der.bits(der.integer(y)))


def other_spki(dotted: str) -> bytes:
    return seq(seq(oid(dotted)), der.bits(bytes(32)))


def general_names(
    dns: Sequence[str | bytes] = (),
    ips: Sequence[bytes] = (),
    emails: Sequence[str] = (),
    uris: Sequence[str] = (),
    more: bytes = b"",
) -> bytes:
    found = [tagged(1, each.encode(), constructed=False) for each in emails]
    found += [tagged(2, it if isinstance(it, bytes) else it.encode(), constructed=False) for it in dns]
    found += [tagged(6, each.encode(), constructed=False) for each in uris]
    found += [tagged(7, each, constructed=False) for each in ips]
    return seq(*found, more)


def usages(*words: str) -> bytes:
    return seq(*map(oid, words))


def bits(number: int) -> bytes:
    """KeyUsage with the bits of `number`: 1 is digitalSignature."""
    every = sum(1 << 15 - place for place in range(9) if number >> place & 1)
    unused = (every & -every).bit_length() - 1 if every else 0
    octets = every.to_bytes(2).rstrip(b"\0")
    return der.wrap(3, bytes([unused % 8]) + octets)


def basic(*, ca: bool | None = None, length: int | None = None) -> bytes:
    return seq(
        b"" if ca is None else der.wrap(1, b"\xff" if ca else b"\0"), b"" if length is None else der.integer(length)
    )


def access(ocsp: str | None = "http://ocsp.example.com", issuer: str | None = "http://ca.example.com/ca.crt") -> bytes:
    both = ((oids.OCSP, ocsp), (oids.ISSUERS, issuer))
    return seq(*(seq(oid(kind), tagged(6, url.encode(), constructed=False)) for kind, url in both if url is not None))


def points(*urls: str, more: bytes = b"") -> bytes:
    found = [seq(tagged(0, tagged(0, tagged(6, url.encode(), constructed=False)))) for url in urls]
    return seq(*found, more)


def policies(*them: str, qualifiers: bytes = b"") -> bytes:
    return seq(*(seq(oid(each), *([seq(qualifiers)] if qualifiers else [])) for each in them))


def notice(value: bytes) -> bytes:
    return seq(oid(oids.USER_NOTICE), seq(value))


def timestamps(count: int) -> bytes:
    """A list of timestamps of so many logs."""
    each = [b"\0" + bytes([log]) * 32 + bytes(8) + b"\0\0" + b"\4\3" + b"\0\2ab" for log in range(count)]
    listed = b"".join(len(one).to_bytes(2) + one for one in each)
    return der.wrap(4, len(listed).to_bytes(2) + listed)


SUBJECT = name((oids.COMMON_NAME, "www.example.com"))
ISSUER = name((oids.COUNTRY, "US"), (oids.ORGANIZATION, "Example"), (oids.COMMON_NAME, "Example CA"))
ROOT = name((oids.COUNTRY, "US"), (oids.ORGANIZATION, "Example"), (oids.COMMON_NAME, "Example Root"))
KEY_ID = der.wrap(4, b"\1" * 20)
AUTHORITY = seq(tagged(0, b"\2" * 20, constructed=False))
SIGN, ENCIPHER, AGREE, CERTS, LISTS = 1, 4, 16, 32, 64


def certificate(
    *,
    subject: bytes,
    issuer: bytes,
    extensions: Sequence[tuple[str, bool, bytes]],
    key: bytes,
    start: datetime = START,
    end: datetime | None = None,
    times: tuple[bytes, bytes] | None = None,
    version: int | None = 3,
    serial: bytes = POSITIVE,
    algorithm: bytes = ECDSA_SHA256,
    outer: bytes | None = None,
    unique: bytes = b"",
    self_signed: bool = False,
    signature: bytes = bytes(70),
) -> bytes:
    dates = times or (der.time(start), der.time(end or start + 89 * DAY))
    listed = [seq(oid(kind), der.TRUE if critical else b"", der.wrap(4, value)) for kind, critical, value in extensions]
    signed = seq(
        b"" if version is None else tagged(0, der.integer(version - 1)),
        serial,
        algorithm,
        issuer,
        seq(*dates),
        subject,
        key,
        unique,
        tagged(3, seq(*listed)) if listed else b"",
    )
    if self_signed:
        signature = ec_key().sign(signed, ec.ECDSA(hashes.SHA256()))
    return seq(signed, outer or algorithm, der.bits(signature))


def _with(
    standard: Extensions, changes: Extensions, more: Sequence[tuple[str, bool, bytes]]
) -> list[tuple[str, bool, bytes]]:
    merged = {**standard, **changes}
    return [(kind, *it) for kind, it in merged.items() if it is not None] + list(more)


def leaf(
    ext: Extensions = NOTHING, *, more: Sequence[tuple[str, bool, bytes]] = (), san: bytes | None = None, **parts: Any
) -> bytes:
    """A subscriber's certificate that breaks no rule but those that say there should be no common name."""
    standard: dict[str, tuple[bool, bytes] | None] = {
        oids.KEY_USAGE: (True, bits(SIGN)),
        oids.EXTENDED_USAGE: (False, usages(oids.SERVER_AUTH, oids.CLIENT_AUTH)),
        oids.BASIC_CONSTRAINTS: (True, basic()),
        oids.SUBJECT_KEY: (False, KEY_ID),
        oids.AUTHORITY_KEY: (False, AUTHORITY),
        oids.AUTHORITY_ACCESS: (False, access()),
        oids.SAN: (False, san if san is not None else general_names(["www.example.com"])),
        oids.CRL_POINTS: (False, points("http://ca.example.com/crl")),
        oids.POLICIES: (False, policies(oids.DOMAIN_VALIDATED)),
        oids.TIMESTAMPS: (False, timestamps(2)),
    }
    given: dict[str, Any] = {"subject": SUBJECT, "issuer": ISSUER, "key": spki(ec_key()), **parts}
    return certificate(extensions=_with(standard, ext, more), **given)


def named(*hosts: str | bytes, **parts: Any) -> bytes:
    """A leaf for hosts, the first of which is its common name."""
    first = hosts[0] if isinstance(hosts[0], str) else "www.example.com"
    return leaf(san=general_names(hosts), **{"subject": name((oids.COMMON_NAME, first, UTF8)), **parts})


def intermediate(ext: Extensions = NOTHING, *, more: Sequence[tuple[str, bool, bytes]] = (), **parts: Any) -> bytes:
    """A CA that another signed, against which nothing is said."""
    standard: dict[str, tuple[bool, bytes] | None] = {
        oids.KEY_USAGE: (True, bits(SIGN | CERTS | LISTS)),
        oids.EXTENDED_USAGE: (False, usages(oids.SERVER_AUTH)),
        oids.BASIC_CONSTRAINTS: (True, basic(ca=True, length=0)),
        oids.SUBJECT_KEY: (False, KEY_ID),
        oids.AUTHORITY_KEY: (False, AUTHORITY),
        oids.AUTHORITY_ACCESS: (False, access()),
        oids.CRL_POINTS: (False, points("http://ca.example.com/crl")),
        oids.POLICIES: (False, policies(oids.DOMAIN_VALIDATED)),
    }
    given: dict[str, Any] = {"subject": ISSUER, "issuer": ROOT, "key": spki(ec_key()), **parts}
    return certificate(extensions=_with(standard, ext, more), **given)


def root(ext: Extensions = NOTHING, **parts: Any) -> bytes:
    """A CA that signed itself, against which nothing is said."""
    standard: dict[str, tuple[bool, bytes] | None] = {
        oids.KEY_USAGE: (True, bits(SIGN | CERTS | LISTS)),
        oids.BASIC_CONSTRAINTS: (True, basic(ca=True)),
        oids.SUBJECT_KEY: (False, KEY_ID),
    }
    given: dict[str, Any] = {"subject": ROOT, "issuer": ROOT, "key": spki(ec_key()), "self_signed": True, **parts}
    return certificate(extensions=_with(standard, ext, ()), **given)


def curve_spki(curve: str) -> bytes:
    """A key on that curve; the point is any."""
    which = {"1.3.132.0.33": ec.SECP224R1(), "1.3.132.0.35": ec.SECP521R1()}[curve]
    return spki(ec.generate_private_key(which))


def rsa_root(size: int, **parts: Any) -> bytes:
    """A root that an RSA key signed itself."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=size)

    unsigned = root(key=spki(key), algorithm=RSA_SHA256, **{**parts, "self_signed": False})
    signed = next(iter(der.parts(unsigned)))
    signature = key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
    return seq(signed, RSA_SHA256, der.bits(signature))


PSS_SHA256 = bytes.fromhex(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108"
    "300d06096086480165030402010500a203020120"
)


def identified(policy: str) -> bytes:
    """A leaf of an organization with an identifier, and the extension that repeats it."""
    extension = seq(text("VAT", PRINTABLE), text("DE", PRINTABLE), text("1", UTF8))
    subject = name((oids.COMMON_NAME, "www.example.com"), (oids.ORGANIZATION_ID, "VATDE-1"))
    changed = {oids.POLICIES: (False, policies(policy)), oids.ORGANIZATION_IDENTIFIER: (False, extension)}
    return leaf(changed, subject=subject)
