"""Anti-replay nonces (RFC 8555, 6.5): made without writing anything, accepted once.

A nonce is the time it ends, 16 random bytes, and an HMAC of both by a secret that all processes of one database share
and that outlives them. So any process takes a nonce of any other, before or after a restart, and making millions costs
no storage. That each is used once only the store can know: see `Store.spend`.
"""

import base64
import hashlib
import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta

from groundplane.pki.acme.jose import encode

LIFETIME = timedelta(hours=1)
SECRET_BYTES = 32
_BODY, _MAC = 24, 16
_FORM = re.compile(r"[A-Za-z0-9_-]{54}")


def make(secret: bytes, *, now: datetime) -> str:
    """A new nonce, good for LIFETIME."""
    ends = int((now + LIFETIME).timestamp())
    body = ends.to_bytes(8) + secrets.token_bytes(_BODY - 8)
    return encode(body + _mac(secret, body))


def check(nonce: str, secret: bytes, *, now: datetime) -> tuple[str, datetime] | None:
    """Its name in the store and when that may forget it; None for one that is not ours, or too old."""
    if not _FORM.fullmatch(nonce):
        return None
    data = base64.urlsafe_b64decode(nonce + "=" * (-len(nonce) % 4))
    body, mac = data[:_BODY], data[_BODY:]
    if len(mac) != _MAC or not hmac.compare_digest(_mac(secret, body), mac):
        return None
    ends = datetime.fromtimestamp(int.from_bytes(body[:8]), UTC)
    return (body.hex(), ends) if now < ends else None


def _mac(secret: bytes, body: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256)[:_MAC]
