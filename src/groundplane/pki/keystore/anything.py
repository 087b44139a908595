"""Whatever files hold of keys and certificates, without being told their forms."""

from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7

from groundplane.errors import Invalid
from groundplane.pki.keys import PrivateKey
from groundplane.pki.keystore import jks, pkcs12
from groundplane.pki.keystore.bundle import Contents, arranged
from groundplane.pki.keystore.private import read_key
from groundplane.pki.load import certificate_of_der

_SEQUENCE = b"\x30"  # what all DER of keys, certificates and stores begins with
_KEY, _CERTIFICATE, _PKCS7 = b"PRIVATE KEY-----", b"BEGIN CERTIFICATE-----", b"BEGIN PKCS7-----"


def gather(files: Iterable[tuple[str, bytes]], *, password: bytes | None) -> Contents:
    """The one key there may be, its chain, and the other certificates. Raises Invalid."""
    key: PrivateKey | None = None
    certificates: list[x509.Certificate] = []
    source = ""
    for source, data in files:
        found = _one(data, source=source, password=password)
        if key is not None and found.key is not None:
            raise Invalid("there are two keys", to=source, hint="name the files of one")
        key = found.key or key
        certificates += found.certificates
    if key is None and not certificates:
        raise Invalid("there is neither a key nor a certificate in it", to=source, hint="name other files")
    if key is not None and not certificates:
        return Contents(key=key)
    return arranged(key, certificates, source=source)


def _one(data: bytes, *, source: str, password: bytes | None) -> Contents:
    if data.startswith(jks.MAGIC):
        return jks.read(data, password=_needed(password, source), source=source)
    if b"-----BEGIN" in data:
        return _pem(data, source=source, password=password)
    if data[:1] != _SEQUENCE:
        raise Invalid("this is neither a key nor a certificate", to=source, hint="name another file")
    try:
        return Contents(trusted=(certificate_of_der(data),))
    except ValueError:
        pass  # DER of something else
    try:
        return Contents(trusted=tuple(pkcs7.load_der_pkcs7_certificates(data)))
    except (ValueError, UnsupportedAlgorithm):
        pass  # nor PKCS#7
    try:
        return Contents(key=read_key(data, source=source, password=password))
    except Invalid:
        pass  # nor a key by itself: a store, or nothing that we know
    return pkcs12.read(data, password=_needed(password, source), source=source)


def _pem(data: bytes, *, source: str, password: bytes | None) -> Contents:
    key = read_key(data, source=source, password=password) if _KEY in data else None
    try:
        found = x509.load_pem_x509_certificates(data) if _CERTIFICATE in data else []
        found += pkcs7.load_pem_pkcs7_certificates(data) if _PKCS7 in data else []
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as bad:
        raise Invalid(f"a certificate in it is damaged: {bad}", to=source) from bad
    return Contents(key=key, trusted=tuple(found))


def _needed(password: bytes | None, source: str) -> bytes:
    if password is None:
        raise Invalid("it needs a password", to=source, hint="give --in-password file:PATH")
    return password
