"""What an OCSP responder says over HTTP (RFC 6960, appendix A; RFC 5019), decided without a socket.

The codes and headers are CFSSL's, case by case. `find_request` reads what came, `reply_of` makes the reply of what a
source found.
"""

import binascii
import re
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from groundplane.errors import Invalid
from groundplane.pki.ocsp.answers import Answer, shown_next_update
from groundplane.pki.ocsp.model import MAX_REQUEST_BYTES, ErrorAnswer, Request
from groundplane.pki.ocsp.request import parse_request

_OK, _NOT_MODIFIED, _BAD, _NOT_ALLOWED, _NOT_FOUND, _TOO_LARGE, _FAILED = 200, 304, 400, 405, 404, 413, 500
_NO_CACHE = (b"cache-control", b"max-age=0, no-cache")
_TYPE = (b"content-type", b"application/ocsp-response")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_MOST_REMEMBERED = 512  # octets of a request that is worth remembering


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, but for the headers that every server adds. `outcome` is for who counts."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes = b""
    outcome: str = "malformed"


class Unreadable(Exception):
    """What came is no request; `reply` says so, and `why` is for the log."""

    def __init__(self, reply: Reply, why: str) -> None:
        self.reply = reply
        self.why = why
        super().__init__(why)


NOT_FOUND = Reply(
    _NOT_FOUND,
    ((b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff")),
    b"404 page not found\n",
    "not found",
)
TOO_LARGE = Reply(_TOO_LARGE, (_NO_CACHE, (b"connection", b"close")), outcome="too large")
FAILED = Reply(_FAILED, (_NO_CACHE, _TYPE), ErrorAnswer.INTERNAL.value, "failed")
BUSY = Reply(503, (_NO_CACHE, _TYPE, (b"retry-after", b"1")), ErrorAnswer.TRY_LATER.value, "busy")
_UNAUTHORIZED = Reply(_OK, (_NO_CACHE, _TYPE), ErrorAnswer.UNAUTHORIZED.value, "unauthorized")
_MALFORMED = Reply(_BAD, (_NO_CACHE, _TYPE), ErrorAnswer.MALFORMED.value)
_EMPTY_BAD = Reply(_BAD, (_NO_CACHE,))
_EMPTY_NOT_ALLOWED = Reply(_NOT_ALLOWED, (_NO_CACHE,))


def find_request(method: str, rest: bytes, body: bytes) -> tuple[bytes, Request]:
    """The request's octets and the request. `rest`: what the (percent-encoded) path has after the responder's own.

    Raises Unreadable.
    """
    match method:
        case "GET":
            data = _from_path(rest)
        case "POST":
            data = body
        case _:
            raise Unreadable(_EMPTY_NOT_ALLOWED, f"method {method} is not allowed")
    if len(data) > MAX_REQUEST_BYTES:
        raise Unreadable(TOO_LARGE, f"a request of more than {MAX_REQUEST_BYTES} octets")
    try:
        parsed = _remembered(data) if len(data) <= _MOST_REMEMBERED else parse_request(data)
    except Invalid as bad:
        raise Unreadable(_MALFORMED, bad.happened) from bad
    return data, parsed


@lru_cache(maxsize=8192)
def _remembered(data: bytes) -> Request:
    return parse_request(data)


def _from_path(rest: bytes) -> bytes:
    """Base64 in a path: encoded once or twice, its `+` perhaps a blank by now, and a slash too many before it."""
    if len(rest) > MAX_REQUEST_BYTES * 2:
        raise Unreadable(TOO_LARGE, "a path without end")
    text = unquote_to_bytes(rest)
    if _PERCENT.search(text):
        raise Unreadable(_EMPTY_BAD, f"Error decoding URL: {_shown(text)}")
    text = unquote_to_bytes(text).replace(b" ", b"+")
    text = text.removeprefix(b"/").translate(None, b"\r\n")
    try:
        return binascii.a2b_base64(text, strict_mode=True) if text else b""
    except binascii.Error as bad:
        raise Unreadable(_EMPTY_BAD, f"Error decoding base64 from URL: {_shown(text)}") from bad


def _shown(text: bytes) -> str:
    return text[:1024].decode("ascii", "backslashreplace")


def reply_of(answer: Answer | None, *, if_none_match: bytes, now: datetime) -> Reply:
    """What a client gets of what a source found."""
    if answer is None:
        return _UNAUTHORIZED
    dates = _dates(answer)
    headers = ((b"cache-control", _cache_control(answer, now)), _TYPE, (b"etag", answer.etag), *dates)
    if if_none_match == answer.etag:
        return Reply(_NOT_MODIFIED, (headers[0], *headers[2:]), outcome=answer.outcome)
    return Reply(_OK, headers, answer.body, answer.outcome)


def _cache_control(answer: Answer, now: datetime) -> bytes:
    left = 0 if answer.next_update is None else max(0, int((answer.next_update - now).total_seconds()))
    if answer.fresh_seconds is not None:
        left = min(left, answer.fresh_seconds)
        if left == 0:
            return _NO_CACHE[1]
    return b"max-age=%d, public, no-transform, must-revalidate" % left


@lru_cache(maxsize=1024)
def _http_date(time: datetime) -> bytes:
    """RFC 1123's form, with the `UTC` that CFSSL writes for GMT, in English everywhere."""
    day, month = _DAYS[time.weekday()], _MONTHS[time.month - 1]
    clock = f"{time.hour:02}:{time.minute:02}:{time.second:02}"
    return f"{day}, {time.day:02} {month} {time.year:04} {clock} UTC".encode()


def _dates(answer: Answer) -> tuple[tuple[bytes, bytes], ...]:
    modified = (b"last-modified", _http_date(answer.this_update))
    if answer.fresh_seconds is not None:
        return (modified,)
    return (b"expires", _http_date(shown_next_update(answer))), modified
