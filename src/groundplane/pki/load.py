"""Certificates and requests out of bytes that may be anyone's: whatever is wrong with them is a ValueError.

`cryptography` has an exception of its own for a version that does not exist, and warns of serial numbers that old
certificates have.
"""

import warnings
from collections.abc import Callable
from typing import TypeVar

from cryptography import x509

T = TypeVar("T")


def certificate_of_der(der: bytes) -> x509.Certificate:
    """Raises ValueError."""
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


def _loaded(load: Callable[[bytes], T], data: bytes) -> T:
    try:
        return load(data)
    except x509.InvalidVersion as odd:
        raise ValueError(str(odd)) from odd
