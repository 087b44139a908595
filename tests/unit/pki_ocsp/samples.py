"""A CA, its delegate and a leaf, made once; and what many tests ask about them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from groundplane.pki.keys import PrivateKey
from groundplane.pki.ocsp.identity import id_of
from groundplane.pki.ocsp.model import GOOD, Digest, Single
from groundplane.pki.ocsp.responder import AnswerKey, Responder

NOW = datetime(2026, 3, 4, 10, 20, 29, 999999, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: x509.Certificate
    key: PrivateKey


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def key_of(kind: str) -> PrivateKey:
    match kind:
        case "rsa":
            return rsa.generate_private_key(public_exponent=65537, key_size=2048)
        case "p256":
            return ec.generate_private_key(ec.SECP256R1())
        case "p384":
            return ec.generate_private_key(ec.SECP384R1())
        case "p521":
            return ec.generate_private_key(ec.SECP521R1())
        case _:
            return ed25519.Ed25519PrivateKey.generate()


def issue(
    subject: str,
    key: PrivateKey,
    issuer: Pair | None,
    *,
    serial: int,
    ocsp_signing: bool = False,
    authority: bool = False,
    start: datetime = NOW,
) -> Pair:
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(subject) if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start - HOUR)
        .not_valid_after(start + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if ocsp_signing:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
    signer = key if issuer is None else issuer.key
    if authority:
        theirs = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key())
        builder = builder.add_extension(theirs, critical=False)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Pair(builder.sign(signer, digest), key)


def ca(kind: str = "p256") -> Pair:
    return _ca(kind)


@cache
def _ca(kind: str) -> Pair:
    return issue(f"{kind} root", key_of(kind), None, serial=1)


@cache
def delegate() -> Pair:
    return issue("responder", key_of("p256"), ca(), serial=2, ocsp_signing=True)


@cache
def leaf() -> Pair:
    return issue("leaf", key_of("p256"), ca(), serial=0x1234567890ABCDEF1234567890ABCDEF12345678)


def responder(kind: str = "p256") -> Responder:
    return Responder(issuer=ca(kind).certificate, certificate=ca(kind).certificate, key=AnswerKey(ca(kind).key))


def single(digest: Digest = Digest.SHA1) -> Single:
    about = id_of(leaf().certificate.serial_number, ca().certificate, digest)
    return Single(id=about, standing=GOOD, this_update=NOW, next_update=NOW + HOUR)


def answer_body() -> bytes:
    return responder().sign([single()], produced_at=NOW)
