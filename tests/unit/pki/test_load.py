"""Requests of old tools, and keys that are not written as they should be."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from groundplane.pki import der
from groundplane.pki.cfssl.errors import Coded
from groundplane.pki.cfssl.material import parse_csr, parse_key
from groundplane.pki.csr import load_csr
from groundplane.pki.load import certificate_of_der
from groundplane.pki.pkcs10 import parse_pkcs10

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old")])
Signing = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
NULL = b"\x05\x00"


def request(key: Signing, *, spoil: bool = False) -> bytes:
    """In DER, signed with SHA-1, as nothing here would."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    body = der.wrap(der.SEQUENCE, der.integer(0) + NAME.public_bytes() + public + b"\xa0\x00")
    if isinstance(key, rsa.RSAPrivateKey):
        algorithm, signature = "1.2.840.113549.1.1.5", key.sign(body, padding.PKCS1v15(), SHA1())
    else:
        algorithm, signature = "1.2.840.10045.4.1", key.sign(body, ec.ECDSA(SHA1()))
    if spoil:
        signature = signature[:-1] + bytes([signature[-1] ^ 1])
    name = der.wrap(der.SEQUENCE, der.identifier(algorithm) + (NULL if algorithm.startswith("1.2.840.113549") else b""))
    return der.wrap(der.SEQUENCE, body + name + der.bits(signature))


def pem(data: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + base64.encodebytes(data) + b"-----END CERTIFICATE REQUEST-----\n"


@pytest.mark.parametrize("key", [RSA, EC], ids=["rsa", "ecdsa"])
def test_a_request_that_sha_1_signed_still_proves_who_has_the_key(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
) -> None:
    good, bad = request(key), request(key, spoil=True)
    assert parse_pkcs10(good).is_signed()
    assert not parse_pkcs10(bad).is_signed()
    assert load_csr(pem(good), source="r").subject == parse_csr(pem(good)).subject == NAME.public_bytes()
    with pytest.raises(Coded, match="verif"):
        parse_csr(pem(bad))


def test_what_newer_digests_signed_is_asked_of_openssl() -> None:
    for key, digest in ((RSA, SHA256()), (EC, SHA256()), (ed25519.Ed25519PrivateKey.generate(), None)):
        made = x509.CertificateSigningRequestBuilder(NAME).sign(key, digest)
        assert parse_pkcs10(made.public_bytes(Encoding.DER)).is_signed()


def test_a_curve_that_cfssl_does_not_know_is_no_key_to_it() -> None:
    for curve, is_known in ((ec.SECP256K1(), False), (ec.SECP224R1(), True), (ec.SECP521R1(), True)):
        key = ec.generate_private_key(curve)
        data = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        if is_known:
            assert parse_key(data)
        else:
            with pytest.raises(Coded, match="Failed to parse private key"):
                parse_key(data)


def test_an_rsa_key_without_its_null_is_refused() -> None:
    start = datetime.now(UTC)
    builder = x509.CertificateBuilder(NAME, NAME, RSA.public_key(), 5, start, start + timedelta(hours=1))
    good = builder.sign(RSA, SHA256()).public_bytes(Encoding.DER)
    assert certificate_of_der(good).subject == NAME
    signed, *rest = der.parts(good)
    fields = list(der.parts(signed))
    algorithm, bits = der.parts(fields[6])
    assert algorithm.endswith(NULL)
    fields[6] = der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, der.content(algorithm).removesuffix(NULL)) + bits)
    odd = der.wrap(der.SEQUENCE, der.wrap(der.SEQUENCE, b"".join(fields)) + b"".join(rest))
    with pytest.raises(ValueError, match="lacks its NULL"):
        certificate_of_der(odd)
