"""A private key's file, in every form that is about: PEM, DER; plain, or encrypted the old way or the new."""

from enum import Enum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization as form

from groundplane.errors import Invalid
from groundplane.pki.keys import PrivateKey, dump_key, load_key

_ENCRYPTED = (b"ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")


class KeyFormat(Enum):
    """How a key is written."""

    TRADITIONAL = "pkcs1"  # PKCS#1, SEC1 for curves: CFSSL's
    PKCS8 = "pkcs8"
    ENCRYPTED = "pkcs8-encrypted"
    DER = "pkcs8-der"


def read_key(data: bytes, *, source: str, password: bytes | None = None) -> PrivateKey:
    """The key in `data`. Raises Invalid: no key, a broken one, a password that is missing or wrong."""
    is_pem = b"-----BEGIN" in data
    is_locked = any(mark in data for mark in _ENCRYPTED)
    if is_pem and not is_locked:
        return load_key(data, source=source)
    if is_locked and password is None:
        raise Invalid("the key is encrypted", to=source, hint="give its password (file:PATH, env:NAME)")
    load = form.load_pem_private_key if is_pem else form.load_der_private_key
    try:
        key = load(data, password)
    except TypeError as odd:  # a password and no need for it, or the other way round
        if password is None:
            raise Invalid("the key is encrypted", to=source, hint="give its password (file:PATH, env:NAME)") from odd
        return read_key(data, source=source)
    except ValueError as bad:
        if password is not None:
            raise Invalid("the password is wrong, or the key is damaged", to=source, hint="try another") from bad
        raise Invalid("there is no private key in it that can be read", to=source, hint="name another file") from bad
    except UnsupportedAlgorithm as unknown:
        raise Invalid("the key is of a kind, or encrypted in a way, that is not known", to=source) from unknown
    if not isinstance(key, PrivateKey):
        raise Invalid("the key is neither RSA, ECDSA, Ed25519 nor ML-DSA", to=source, hint="make one of these")
    return load_key(dump_key(key), source=source)  # whose parts are held to each other


def write_key(key: PrivateKey, wanted: KeyFormat, *, password: bytes | None = None) -> bytes:
    """The key's file: PEM, but for DER. Encrypted is PBES2 with AES-256. Raises Invalid without a password for that."""
    match wanted:
        case KeyFormat.TRADITIONAL:
            return dump_key(key)
        case KeyFormat.PKCS8:
            return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        case KeyFormat.DER:
            return key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
        case KeyFormat.ENCRYPTED:
            if password is None:
                raise Invalid("encrypted with what?", to="key", hint="give --key-password file:PATH")
            locked = form.BestAvailableEncryption(password)
            return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked)
