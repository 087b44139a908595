"""Encrypted PKCS#8 (RFC 8018, 7914): AES-256-CBC under a key that PBKDF2 or scrypt makes slowly of the password.

Written here, since libraries' own take some 2048 rounds, and a graphics card tries a million passwords a second then.
PBKDF2 is read everywhere; scrypt, which wants memory too, by OpenSSL, not by Java.
"""

import base64
import secrets
import textwrap

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.padding import PKCS7

from groundplane.pki import der

_ROUNDS = 600_000  # OWASP's advice for HMAC-SHA-256; 0.2 s here
_COST, _BLOCK, _PARALLEL = 2**14, 8, 1  # scrypt: 16 MiB, within what OpenSSL allows without being asked
_SALT, _KEY = 16, 32
_PBES2, _PBKDF2, _SCRYPT = "1.2.840.113549.1.5.13", "1.2.840.113549.1.5.12", "1.3.6.1.4.1.11591.4.11"
_HMAC_SHA256, _AES256 = "1.2.840.113549.2.9", "2.16.840.1.101.3.4.1.42"
_NULL = b"\x05\x00"


def encrypt(pkcs8: bytes, *, password: bytes, scrypt: bool = False) -> bytes:
    """PEM of `pkcs8` (DER), encrypted."""
    salt, vector = secrets.token_bytes(_SALT), secrets.token_bytes(algorithms.AES.block_size // 8)
    if scrypt:
        key = Scrypt(salt=salt, length=_KEY, n=_COST, r=_BLOCK, p=_PARALLEL).derive(password)
        how = _algorithm(_SCRYPT, der.wrap(der.OCTET_STRING, salt), *map(der.integer, (_COST, _BLOCK, _PARALLEL)))
    else:
        key = PBKDF2HMAC(hashes.SHA256(), _KEY, salt, _ROUNDS).derive(password)
        prf = der.wrap(der.SEQUENCE, der.identifier(_HMAC_SHA256) + _NULL)
        how = _algorithm(_PBKDF2, der.wrap(der.OCTET_STRING, salt), der.integer(_ROUNDS), prf)
    padder = PKCS7(algorithms.AES.block_size).padder()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    hidden = encryptor.update(padder.update(pkcs8) + padder.finalize()) + encryptor.finalize()
    cipher = der.wrap(der.SEQUENCE, der.identifier(_AES256) + der.wrap(der.OCTET_STRING, vector))
    made = der.wrap(der.SEQUENCE, _algorithm(_PBES2, how, cipher) + der.wrap(der.OCTET_STRING, hidden))
    lines = textwrap.wrap(base64.b64encode(made).decode(), 64)
    return "\n".join(
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", *lines, "-----END ENCRYPTED PRIVATE KEY-----", "")
    ).encode()


def _algorithm(dotted: str, *parameters: bytes) -> bytes:
    return der.wrap(der.SEQUENCE, der.identifier(dotted) + der.wrap(der.SEQUENCE, b"".join(parameters)))
