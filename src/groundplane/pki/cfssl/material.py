"""Certificates, keys and requests from PEM, refused with CFSSL's codes.

A key's label is not looked at, only its content; parameters of a curve before it are passed over. CFSSL checks no key
for damage, but OpenSSL's parser does here.
"""

import base64

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, load_der_private_key, load_pem_private_key

from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.csr import LABELS
from groundplane.pki.keys import PrivateKey, PublicKey, is_public_key
from groundplane.pki.load import certificate_of_der
from groundplane.pki.pem import PemBlock, pem_blocks
from groundplane.pki.pkcs10 import MD5_WITH_RSA, CertificationRequest, parse_pkcs10

_LINE = 64
_CURVES = frozenset({"secp224r1", "secp256r1", "secp384r1", "secp521r1"})
_UNIMPLEMENTED = "x509: cannot verify signature: algorithm unimplemented"


def first_block(data: bytes) -> PemBlock | None:
    """The first block that can be decoded, or None."""
    return next(pem_blocks(data), None)


def parse_certificate(data: bytes) -> x509.Certificate:
    """The only certificate of `data`. Raises Coded."""
    data = data.strip()
    block = first_block(data)
    if block is None:
        raise Coded(Code.CERTIFICATE_DECODE)
    certificate = _certificate(block.content)
    if data[block.stop :]:
        raise Coded(Code.CERTIFICATE_PARSE, "the PEM file should contain only one object")
    return certificate


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return certificate_of_der(der)
    except ValueError:
        from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates

        try:
            several = load_der_pkcs7_certificates(der)
        except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as bad:
            raise Coded(Code.CERTIFICATE_PARSE) from bad
        if len(several) > 1:
            words = "the PKCS7 object in the PEM file should contain only one certificate"
            raise Coded(Code.CERTIFICATE_PARSE, words) from None
        if not several:
            raise Coded(Code.CERTIFICATE_PARSE) from None
        return several[0]


def parse_key(data: bytes, *, password: bytes = b"") -> PrivateKey:
    """The private key of `data`. Raises Coded, or Plain for a wrong password."""
    block = first_block(data)
    if block is not None and block.label == "EC PARAMETERS":
        data = data[block.stop :]
        block = first_block(data)
    if block is None:
        raise Coded(Code.KEY_DECODE)
    try:
        locked = b"ENCRYPTED" in block.headers.get(b"Proc-Type", b"")
        key = _encrypted(data[block.start : block.stop], password) if locked else None
        key = key or load_der_private_key(block.content, None, unsafe_skip_rsa_key_validation=True)
    except CfsslError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as bad:
        raise Coded(Code.KEY_PARSE) from bad
    if not isinstance(key, PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES
    ):
        raise Coded(Code.KEY_PARSE)
    return key


def _encrypted(pem: bytes, password: bytes) -> object:
    if not password:
        raise Coded(Code.KEY_ENCRYPTED)
    try:
        return load_pem_private_key(pem, password)
    except ValueError as wrong:
        raise Plain("x509: decryption password incorrect") from wrong


def parse_csr(data: bytes, *, check: bool = True) -> CertificationRequest:
    """The request of `data`, whose signature is right if `check`. Raises Coded."""
    block = first_block(data)
    if block is None:
        raise Coded(Code.CSR_DECODE)
    if block.label not in LABELS:
        raise Coded(Code.CSR_BAD, "not a csr")
    try:
        request = parse_pkcs10(block.content)
        key = request.public_key()
    except UnsupportedAlgorithm as unknown:
        raise Coded(Code.CSR_BAD, _UNIMPLEMENTED) from unknown
    except (ValueError, TypeError) as bad:
        raise Coded(Code.CSR_PARSE) from bad
    if check:
        _check_signature(request, key)
    return request


def _check_signature(request: CertificationRequest, key: object) -> None:
    if request.algorithm == MD5_WITH_RSA:
        raise Coded(Code.CSR_BAD, "x509: cannot verify signature: insecure algorithm MD5-RSA")
    try:
        if request.is_signed(key):
            return
    except (ValueError, TypeError, UnsupportedAlgorithm) as unknown:
        raise Coded(Code.CSR_BAD, _UNIMPLEMENTED) from unknown
    match key:
        case ec.EllipticCurvePublicKey():
            words = "x509: ECDSA verification failure"
        case ed25519.Ed25519PublicKey():
            words = "x509: Ed25519 verification failure"
        case _:
            words = "crypto/rsa: verification error"
    raise Coded(Code.CSR_BAD, words)


def public_key_of(it: x509.Certificate | CertificationRequest) -> PublicKey:
    """The key that it is about. Raises Coded for a kind that CFSSL does not take."""
    try:
        key = it.public_key()
    except (ValueError, UnsupportedAlgorithm) as bad:
        raise Coded(Code.KEY_KIND) from bad
    if not is_public_key(key):
        raise Coded(Code.KEY_KIND)
    return key


def pem_of(certificate: x509.Certificate) -> str:
    """As text, with a newline at the end."""
    return pem_of_der(certificate.public_bytes(Encoding.DER))


def pem_of_der(certificate: bytes) -> str:
    """The same of its DER."""
    text = base64.b64encode(certificate).decode()
    lines = [text[start : start + _LINE] for start in range(0, len(text), _LINE)]
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))
