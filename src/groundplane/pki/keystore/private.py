"""A private key's file, in every form that is about: PEM, DER; plain, or encrypted the old way or the new."""

import base64
import binascii
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
    SCRYPT = "pkcs8-scrypt"
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
    from groundplane.pki.keystore.cost import refuse_costly

    refuse_costly(_der_of(data) if is_pem else data, source=source)
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
    """The key's file: PEM, but for DER. Encrypted ones need a password, or raise Invalid."""
    match wanted:
        case KeyFormat.TRADITIONAL:
            return dump_key(key)
        case KeyFormat.PKCS8:
            return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
        case KeyFormat.DER:
            return key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
        case KeyFormat.ENCRYPTED | KeyFormat.SCRYPT:
            if password is None:
                raise Invalid("encrypted with what?", to="key", hint="give --key-password file:PATH")
            from groundplane.pki.keystore.pbes2 import encrypt

            plain = key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
            return encrypt(plain, password=password, scrypt=wanted is KeyFormat.SCRYPT)


def _der_of(pem: bytes) -> bytes:
    """What is between the first lines of an encrypted PKCS#8; nothing for other PEM, which has no cost of its own."""
    _, _, rest = pem.partition(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    try:
        return base64.b64decode(rest.partition(b"-----END")[0])
    except binascii.Error:
        return b""
