"""The tokens of authsign: an HMAC of the request under a key that both sides have."""

import binascii
import hashlib
import hmac
import os
from collections.abc import Iterable
from pathlib import Path

from groundplane.pki.cfssl.config import Config
from groundplane.pki.cfssl.errors import Code, Coded
from groundplane.pki.cfssl.godecode import Fields

_FIELDS = ("auth_key", "prev_auth_key")


def token_of(key: bytes, request: bytes) -> bytes:
    """What goes with `request`."""
    return hmac.digest(key, request, hashlib.sha256)


def is_genuine(token: bytes, request: bytes, keys: Iterable[bytes]) -> bool:
    """Whether one of `keys` made `token`; it takes the same time for all of them."""
    found = False
    for key in keys:
        found |= hmac.compare_digest(token_of(key, request), token)
    return found


def read_key(text: str) -> bytes:
    """A key in hex, or where it is in hex: `env:NAME`, `file:PATH`. Raises Coded, and never says the key.

    An empty one is refused, such as that of a variable that is not set: CFSSL takes it, and then anyone has it.
    """
    prefix, colon, rest = text.partition(":")
    try:
        if colon and prefix == "env":
            text = os.environ.get(rest, "")
        elif colon and prefix == "file":
            text = Path(rest).read_text(encoding="ascii").strip()
        key = binascii.unhexlify(text)  # which a prefix of another kind is not
    except (OSError, ValueError) as bad:
        raise Coded(Code.POLICY, "failed to create new standard auth provider") from bad
    if not key:
        raise Coded(Code.POLICY, "failed to create new standard auth provider")
    return key


def keys_of(config: Config) -> dict[str, tuple[bytes, ...]]:
    """By profile, the keys that its callers may have: the present one and the one before; "" is the default's.

    A profile without `auth_key` is open, whatever it says of the one before. Raises Coded.
    """
    return {"": _keys(config.default, config)} | {
        name: _keys(fields, config) for name, fields in config.profiles.items() if name
    }


def _keys(profile: Fields, config: Config) -> tuple[bytes, ...]:
    if not profile.get("auth_key"):
        return ()
    names = [str(profile[field]) for field in _FIELDS if profile.get(field)]
    return tuple(read_key(config.auth_keys.get(name, "")) for name in names)
