"""Answers that were signed earlier: read them, and say how HTTP should treat them."""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import ocsp

from groundplane.errors import Invalid
from groundplane.pki.response import load_response

_NEVER = datetime(1, 1, 1, tzinfo=UTC)  # Go's time of nothing, which CFSSL shows where an answer has no next update
_STATUS_WORDS = {
    ocsp.OCSPResponseStatus.MALFORMED_REQUEST: "malformed",
    ocsp.OCSPResponseStatus.INTERNAL_ERROR: "internal error",
    ocsp.OCSPResponseStatus.TRY_LATER: "try later",
    ocsp.OCSPResponseStatus.SIG_REQUIRED: "signature required",
    ocsp.OCSPResponseStatus.UNAUTHORIZED: "unauthorized",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A signed answer as HTTP knows it. `next_update` None: the answer does not say; `fresh_seconds` bounds caches.

    `outcome` is the word of the worst that it says, where somebody counts them.
    """

    body: bytes
    etag: bytes
    this_update: datetime
    next_update: datetime | None
    fresh_seconds: int | None = None
    outcome: str = "answered"


def answer_of(
    body: bytes,
    this_update: datetime,
    next_update: datetime | None,
    *,
    fresh_seconds: int | None = None,
    outcome: str = "answered",
) -> Answer:
    """With the tag that CFSSL gives it."""
    etag = f'"{hashlib.sha256(body).hexdigest().upper()}"'.encode()
    return Answer(
        body=body,
        etag=etag,
        this_update=this_update,
        next_update=next_update,
        fresh_seconds=fresh_seconds,
        outcome=outcome,
    )


def read_answer(body: bytes) -> tuple[int, Answer]:
    """The serial number that it is about, and the answer. Raises Invalid.

    It must be about one certificate. If it brings the signer's certificate, that must fit its signature, as in CFSSL;
    whether the signer may speak is for the client to judge.
    """
    try:
        found = load_response(body)
        response = found.parsed
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise _bad(f"ocsp: error from server: {_STATUS_WORDS[response.response_status]}")
        singles = [*response.responses]
        if len(singles) != 1:
            raise _bad("OCSP response contains bad number of responses")
        (single,) = singles
        certificates = response.certificates
        if certificates and not found.is_by(certificates[0]):
            raise _bad("bad signature on embedded certificate")
        return single.serial_number, answer_of(body, single.this_update_utc, single.next_update_utc)
    except (ValueError, TypeError, UnsupportedAlgorithm) as odd:
        raise _bad(str(odd)) from odd


def read_answers(data: bytes) -> Iterator[tuple[int, Answer] | str]:
    """The answers of a file of CFSSL's: base64 with blanks between. A text for each that cannot be read, with why."""
    for word in re.split(rb"[\t\n\f\r ]", data):
        if not word:
            continue
        shown = word.decode(errors="replace")
        try:
            body = binascii.a2b_base64(word, strict_mode=True)
        except binascii.Error:
            yield f"Base64 decode error illegal base64 data at input byte {bad_byte(word)} on: {shown}"
            continue
        try:
            yield read_answer(body)
        except Invalid as bad:
            yield f"OCSP decode error {bad.happened} on: {shown}"


def bad_byte(word: bytes) -> int:
    """Where Go's decoder stops: at the first byte that is not of the alphabet, or at the group that is cut off."""
    if (found := re.search(rb"[^A-Za-z0-9+/]", word)) is not None and not _is_padding(word, found.start()):
        return found.start()
    return len(word) // 4 * 4


def _is_padding(word: bytes, at: int) -> bool:
    return at % 4 > 1 and word[at:] in {b"=", b"=="} and not len(word) % 4


def encode_answers(bodies: Iterator[bytes]) -> str:
    """The lines of such a file."""
    return "".join(base64.b64encode(body).decode() + "\n" for body in bodies)


def shown_next_update(answer: Answer) -> datetime:
    """What CFSSL shows."""
    return answer.next_update or _NEVER


def _bad(why: str) -> Invalid:
    return Invalid(why, to="OCSP response")
