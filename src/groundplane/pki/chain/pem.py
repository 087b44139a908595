"""PEM blocks in one pass, whatever is in between: text before, after or inside is passed over, as Go does."""

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True)
class PemBlock:
    """One block: its label, its content, and where in the text it stops."""

    label: str
    content: bytes
    stop: int


def pem_blocks(data: bytes) -> Iterator[PemBlock]:
    """The blocks that can be decoded, in order. Time is in proportion to the size, for any input."""
    position, end = 0, -1
    while (start := _line(data, _BEGIN, position)) >= 0:
        stop_of_line = data.find(b"\n", start)
        if stop_of_line < 0:
            return
        position = stop_of_line + 1
        title = data[start + len(_BEGIN) : stop_of_line].rstrip()
        if not title.endswith(_DASHES):
            continue
        if end < position:
            end = _line(data, _END, position)
            if end < 0:
                return
        label = title.removesuffix(_DASHES)
        closing = _END + label + _DASHES
        if not data.startswith(closing, end):
            continue
        content = _decoded(data[position:end])
        if content is None:
            continue
        position = end + len(closing)
        yield PemBlock(label.decode(errors="replace"), content, position)


def _line(data: bytes, words: bytes, position: int) -> int:
    """Where a line begins with `words`, from `position` on; -1 if nowhere."""
    if (position == 0 or data[position - 1 : position] == b"\n") and data.startswith(words, position):
        return position
    found = data.find(b"\n" + words, position)
    return found + 1 if found >= 0 else -1


def _decoded(body: bytes) -> bytes | None:
    """Base64 after the headers, if there are any; None for what is none."""
    if b":" in body:
        _, blank, after = body.replace(b"\r\n", b"\n").rpartition(b"\n\n")
        if not blank:
            return None
        body = after
    try:
        return base64.b64decode(body.translate(None, _BLANKS), validate=True)
    except binascii.Error:
        return None
