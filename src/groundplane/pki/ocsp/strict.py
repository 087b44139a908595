"""A stranger's DER, read strictly: one pass over the octets, bounded by their number, with nothing recursive.

(`cryptography` reads no requests for several certificates.) `groundplane.pki.der` writes.
"""

from collections.abc import Iterator

INTEGER, OCTET_STRING, OID, SEQUENCE = 0x02, 0x04, 0x06, 0x30
EXPLICIT = 0xA0  # of a context's tag, which is added
_SHORT, _LONG = 0x7F, 0x80
_MOST_LENGTH_OCTETS = 4
_MULTI_OCTET_TAG = 0x1F
_SIGN, _ARC = 0x80, 40


class BadDER(ValueError):
    """The octets are not what they should be."""


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element in a row. Raises BadDER."""
    position, end = 0, len(data)
    while position < end:
        tag, start, stop = _header(data, position)
        yield tag, data[start:stop]
        position = stop


def only(data: bytes, tag: int) -> bytes:
    """The content of the only element, which has this tag. Raises BadDER."""
    found, start, stop = _header(data, 0)
    if found != tag:
        raise BadDER(f"a tag of {found:#x} instead of {tag:#x}")
    if stop != len(data):
        raise BadDER("more follows")
    return data[start:stop]


def _header(data: bytes, position: int) -> tuple[int, int, int]:
    try:
        tag, length = data[position], data[position + 1]
    except IndexError:
        raise BadDER("it is cut off") from None
    if tag & _MULTI_OCTET_TAG == _MULTI_OCTET_TAG:
        raise BadDER("a tag of several octets")
    start = position + 2
    if length > _SHORT:
        count = length - _LONG
        octets = data[start : start + count]
        if not 0 < count <= _MOST_LENGTH_OCTETS or len(octets) != count:
            raise BadDER("an impossible length")
        length = int.from_bytes(octets)
        if length <= _SHORT or octets[0] == 0:
            raise BadDER("a length in too many octets")
        start += count
    stop = start + length
    if stop > len(data):
        raise BadDER("it is cut off")
    return tag, start, stop


def to_int(content: bytes, *, most: int) -> int:
    """The number in the content of an INTEGER of at most `most` octets. Raises BadDER."""
    if not 0 < len(content) <= most:
        raise BadDER("an empty or a huge number")
    if len(content) > 1 and (content[0], content[1] >> 7) in {(0, 0), (0xFF, 1)}:
        raise BadDER("a number in too many octets")
    return int.from_bytes(content, signed=True)


def to_oid(content: bytes) -> str:
    """The dotted form of an identifier's content, which is at most 32 octets. Raises BadDER."""
    if not 0 < len(content) <= 32 or content[-1] & _SIGN:  # noqa: PLR2004 - ours have at most 9
        raise BadDER("an impossible identifier")
    arcs, value = [], 0
    for octet in content:
        if octet == _SIGN and value == 0:
            raise BadDER("an arc in too many octets")
        value = value << 7 | octet & _SHORT
        if not octet & _SIGN:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // _ARC, 2)
    return ".".join(map(str, (first, arcs[0] - first * _ARC, *arcs[1:])))
