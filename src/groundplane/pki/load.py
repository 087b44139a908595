"""Certificates out of bytes that may be anyone's: whatever is wrong with them is a ValueError.

`cryptography` has an exception of its own for a version that does not exist, and warns of serial numbers that old
certificates have.
"""

import warnings
from collections.abc import Callable
from typing import TypeVar

from cryptography import x509

T = TypeVar("T")

# An RSA key whose algorithm lacks its NULL (RFC 3279, 2.3.1): Go refuses it, so one that we issued on would be useless.
_BARE_RSA = bytes.fromhex("300b06092a864886f70d010101")


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


def _loaded(load: Callable[[bytes], T], data: bytes) -> T:
    try:
        return load(data)
    except x509.InvalidVersion as odd:
        raise ValueError(str(odd)) from odd
