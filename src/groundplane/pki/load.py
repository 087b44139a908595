"""Certificates and requests out of bytes that may be anyone's: whatever is wrong with them is a ValueError.

`cryptography` has an exception of its own for a version that does not exist, and warns of serial numbers that old
certificates have.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import SignatureAlgorithmOID

T = TypeVar("T")

# An RSA key whose algorithm lacks its NULL (RFC 3279, 2.3.1): Go refuses it, so one that we issued on would be useless.
_BARE_RSA = bytes.fromhex("300b06092a864886f70d010101")
# Signatures that are verified here: those that `cryptography` will not, and those that it takes longer for.
_HERE: Mapping[x509.ObjectIdentifier, ec.ECDSA | hashes.SHA1] = {
    SignatureAlgorithmOID.RSA_WITH_SHA1: hashes.SHA1(),  # noqa: S303 - theirs
    SignatureAlgorithmOID.ECDSA_WITH_SHA1: ec.ECDSA(hashes.SHA1()),  # noqa: S303 - theirs
    SignatureAlgorithmOID.ECDSA_WITH_SHA256: ec.ECDSA(hashes.SHA256()),
    SignatureAlgorithmOID.ECDSA_WITH_SHA384: ec.ECDSA(hashes.SHA384()),
    SignatureAlgorithmOID.ECDSA_WITH_SHA512: ec.ECDSA(hashes.SHA512()),
}


def certificate_of_der(der: bytes) -> x509.Certificate:
    """Raises ValueError."""
    if _BARE_RSA in der:
        raise ValueError("the algorithm of an RSA key lacks its NULL")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _loaded(x509.load_der_x509_certificate, der)


def certificate_of_pem(pem: bytes) -> x509.Certificate:
    """The first one. Raises ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _loaded(x509.load_pem_x509_certificate, pem)


def request_of_der(der: bytes) -> x509.CertificateSigningRequest:
    """Raises ValueError."""
    return _loaded(x509.load_der_x509_csr, der)


def is_signature_right(request: x509.CertificateSigningRequest) -> bool:
    """Whether the key of `request` made its signature; with SHA-1 too, which proves that much and which old tools use.

    Raises ValueError, TypeError, UnsupportedAlgorithm for what nobody can say that of.
    """
    how = _HERE.get(request.signature_algorithm_oid)
    if how is None:
        return request.is_signature_valid
    signature, signed = request.signature, request.tbs_certrequest_bytes
    try:
        match request.public_key(), how:
            case ec.EllipticCurvePublicKey() as key, ec.ECDSA():
                key.verify(signature, signed, how)
            case rsa.RSAPublicKey() as key, hashes.SHA1():
                key.verify(signature, signed, padding.PKCS1v15(), how)
            case _:
                return request.is_signature_valid
    except InvalidSignature:
        return False
    return True


def _loaded(load: Callable[[bytes], T], data: bytes) -> T:
    try:
        return load(data)
    except x509.InvalidVersion as odd:
        raise ValueError(str(odd)) from odd
