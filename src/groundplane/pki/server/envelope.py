"""Results and refusals as CFSSL's JSON, byte for byte: Go's encoder ends a success, and `http.Error` a failure."""

import re

import msgspec

from groundplane.errors import GroundplaneError
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.server.model import Answer, Refused, Result

JSON = ((b"content-type", b"application/json"),)
TEXT = ((b"content-type", b"text/plain; charset=utf-8"), (b"x-content-type-options", b"nosniff"))
_OK, _BAD_REQUEST, _INTERNAL = 200, 400, 500
_ENCODE = msgspec.json.Encoder().encode  # much faster than Python's own
_SHORT = re.compile(rb"\\[bf]")  # Go writes these two in full
NO_BUNDLER = (
    Code.REQUEST_REFUSED.number,
    "This request requires a bundler, but one is not initialized for the API server.",
)


def success(result: Result) -> Answer:
    """200 and the envelope."""
    messages = [] if result.note is None else [{"code": result.note[0], "message": result.note[1]}]
    envelope = {"success": True, "result": result.value, "errors": [], "messages": messages}
    return Answer(status=_OK, body=_line(envelope), headers=JSON, code=_OK)


def failure(error: CfsslError | GroundplaneError) -> Answer:
    """CFSSL's own errors are 400 with their code, those of the server have their status, all others are 500 with 0."""
    match error:
        case Coded():
            return _failure(_BAD_REQUEST, error.code.number, error.text)
        case Refused():
            return _failure(error.status, error.status, str(error))
        case _:
            return _failure(_INTERNAL, 0, str(error))


def broken() -> Answer:
    """For a mistake of ours: the log has it, the caller need not."""
    return _failure(_INTERNAL, 0, "internal error")


def _failure(status: int, code: int, text: str) -> Answer:
    errors = [{"code": code, "message": text}]
    envelope = {"success": False, "result": None, "errors": errors, "messages": []}
    return Answer(status=status, body=_line(envelope), headers=TEXT, code=code)


def _line(value: object) -> bytes:
    """As `compact` has it, and a line end."""
    text = _ENCODE(value)
    if not text.isascii() or b"<" in text or b">" in text or b"&" in text or _SHORT.search(text):
        text = compact(value).encode()
    return text + b"\n"


def plain(status: int, text: str) -> Answer:
    """A line of text, such as Go's `404 page not found`."""
    return Answer(status=status, body=(text + "\n").encode(), headers=TEXT, code=status)
