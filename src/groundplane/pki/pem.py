"""PEM blocks in one pass (RFC 7468, and the headers of RFC 1421), with Go's opinion of what is one.

Text between blocks is passed over, and so is what begins like a block and does not end like one. A block begins at the
beginning of a line and ends at the end of one.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"\n-----END ", b"-----"
_WIDTH = 64
_BLANKS = b" \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class PemBlock:
    """One block: its label, its headers, its content, and from where to where in the text it stands."""

    label: str
    headers: Mapping[bytes, bytes]
    content: bytes = field(repr=False)
    start: int
    stop: int


def pem_block(label: str, content: bytes) -> bytes:
    """A block, with 64 letters to a line (RFC 7468, section 2)."""
    text = base64.b64encode(content).decode()
    lines = [text[place : place + _WIDTH] for place in range(0, len(text), _WIDTH)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def pem_blocks(data: bytes) -> Iterator[PemBlock]:
    """The blocks that can be decoded, in order. Time is in proportion to the size, for any input."""
    position = 0
    while (end := data.find(_END, position)) >= 0:
        after = end + len(_END)
        found = _block(data, data.rfind(_BEGIN, position, end), end, position)
        if found is not None:
            yield found
        position = after if found is None else found.stop


def _block(data: bytes, start: int, end: int, position: int) -> PemBlock | None:
    """What stands between `start` and the END line before which `end` is the line break."""
    if start < 0 or (start > position and data[start - 1] != _BLANKS[-1]):
        return None
    title, text = _line(data, start + len(_BEGIN))
    if not title.endswith(_DASHES):
        return None
    headers: dict[bytes, bytes] = {}
    while data.find(b":", text, end) >= 0 and b":" in (words := _line(data, text))[0]:
        name, _, value = words[0].partition(b":")
        headers[name.strip()] = value.strip()
        text = words[1]
    if headers and text > end:
        return None
    closing = end + len(_END) + len(title)
    rest, stop = _line(data, closing)
    if data[end + len(_END) : closing] != title or rest:
        return None
    try:
        content = binascii.a2b_base64(data[text:end].translate(None, _BLANKS), strict_mode=True)
    except binascii.Error:
        return None
    label = title.removesuffix(_DASHES).decode(errors="replace")
    return PemBlock(label=label, headers=headers, content=content, start=start, stop=stop)


def _line(data: bytes, position: int) -> tuple[bytes, int]:
    """A line without the blanks at its end, and where the next one begins."""
    stop = data.find(b"\n", position)
    stop = len(data) if stop < 0 else stop
    return data[position:stop].removesuffix(b"\r").rstrip(b" \t"), stop + 1
