"""Requests that authsign has answered already are not answered again.

CFSSL's token proves who wrote a request, and nothing says when: whoever overhears one may send it for ever. Here the
signed request itself must say when it was made, and once: `{"metadata": {"timestamp": SECONDS, "nonce": TEXT}}`, which
CFSSL's own servers pass over. Our clients always say it; CFSSL's cannot, so this is off unless it is asked for.

What was seen is kept in an SQLite file that all workers share, for as long as its time would be accepted.
"""

import base64
import binascii
import contextlib
import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from groundplane.errors import Unavailable
from groundplane.pki.server.model import Refused

_LONGEST = 128  # characters of a nonce
_WAIT = 5.0  # seconds for another worker's write
_UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """`window`: how far the times of two machines may be apart. `clock` is Unix time."""

    path: Path
    window: timedelta
    clock: Callable[[], float]

    def admit(self, body: bytes) -> None:
        """Let an authsign request pass for the first time. Raises Refused, and Unavailable if nobody can remember."""
        when, nonce = said(body)
        now = self.clock()
        span = self.window.total_seconds()
        if abs(when - now) > span:
            raise Refused(
                _UNAUTHORIZED, f"the request was made {abs(when - now):.0f} s from now, and {span:.0f} s is allowed"
            )
        try:
            with contextlib.closing(sqlite3.connect(self.path, timeout=_WAIT)) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS seen (nonce TEXT PRIMARY KEY, until REAL NOT NULL)")
                database.execute("DELETE FROM seen WHERE until < ?", (now,))
                database.execute("INSERT INTO seen VALUES (?, ?)", (nonce, when + 2 * span))
        except sqlite3.IntegrityError as again:
            raise Refused(_UNAUTHORIZED, "this request was answered already; make a new one") from again
        except sqlite3.Error as bad:
            raise Unavailable(f"cannot be written: {bad}", to=self.path, hint="make room for it") from bad


def said(body: bytes) -> tuple[float, str]:
    """When the request inside an authsign body was made, and its nonce. Raises Refused."""
    try:
        inner = json.loads(base64.b64decode(json.loads(body)["request"], validate=True))
        metadata = inner["metadata"]
        when, nonce = metadata["timestamp"], metadata["nonce"]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        when = nonce = None
    if not isinstance(when, int) or isinstance(when, bool) or not isinstance(nonce, str):
        raise Refused(_UNAUTHORIZED, "the signed request does not say when it was made: metadata.timestamp and .nonce")
    if not 0 < len(nonce) <= _LONGEST or not nonce.isprintable():
        raise Refused(_UNAUTHORIZED, f"a nonce has 1 to {_LONGEST} printable characters")
    return float(min(max(when, 0), 2**53)), nonce
