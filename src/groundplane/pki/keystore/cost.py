"""How slowly a file would have a password tried: one that asks for hours, or for all memory, is refused unread.

Every way of making a key of a password (PKCS#5, PKCS#12, its MAC) writes its numbers after its salt. What is itself
encrypted cannot be seen; OpenSSL looks at the MAC first, so its password must be known to hide something there.
"""

from collections.abc import Iterator

from groundplane.errors import Invalid
from groundplane.pki import der

_MOST_ROUNDS = 10_000_000  # some 5 s
_MOST_MEMORY = 2**30
_SCRYPT_UNIT = 128  # bytes, for each of N and r (RFC 7914)
_DEEPEST = 40  # OpenSSL stops before
_INDEFINITE, _CONSTRUCTED, _LONG = 0x80, 0x20, 0x1F
_SCRYPT_NUMBERS = 2


def refuse_costly(data: bytes, *, source: str) -> None:
    """Raises Invalid."""
    try:
        for numbers in _salted(data, 0):
            memory = _SCRYPT_UNIT * numbers[0] * numbers[1] if len(numbers) > _SCRYPT_NUMBERS else 0
            if max(numbers) > _MOST_ROUNDS or memory > _MOST_MEMORY:
                raise Invalid("to try a password on it would take hours, or all memory", to=source, hint="refuse it")
    except (ValueError, IndexError):
        return  # it is not BER: whoever reads it will say so


def _salted(data: bytes, depth: int) -> Iterator[list[int]]:
    """The numbers that follow an octet string, wherever they do."""
    if depth > _DEEPEST:
        return
    numbers: list[int] | None = None
    for tag, inside in _values(data):
        if tag == der.INTEGER and numbers is not None:
            numbers.append(int.from_bytes(inside[:16], signed=False))
            continue
        if numbers:
            yield numbers
        numbers = [] if tag == der.OCTET_STRING else None
        if tag == der.OCTET_STRING | _CONSTRUCTED:
            joined = b"".join(piece for _, piece in _values(inside))
            yield from _inner(joined, depth)
        elif tag & _CONSTRUCTED:
            yield from _salted(inside, depth + 1)
        elif tag == der.OCTET_STRING:
            yield from _inner(inside, depth)
    if numbers:
        yield numbers


def _inner(data: bytes, depth: int) -> Iterator[list[int]]:
    """An octet string may be a value itself."""
    if data[:1] != bytes((der.SEQUENCE,)):
        return
    try:
        yield from _salted(data, depth + 1)
    except (ValueError, IndexError):
        return  # it is not


def _values(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each value, also of indefinite length. Raises ValueError, IndexError."""
    at = 0
    while at < len(data):
        tag, inside, at = _value(data, at)
        yield tag, inside


def _value(data: bytes, at: int, depth: int = 0) -> tuple[int, bytes, int]:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    tag, at = data[at], at + 1
    if tag & _LONG == _LONG:
        while data[at] & _INDEFINITE:
            at += 1
        at += 1
    size, start = data[at], at + 1
    if size == _INDEFINITE:
        end = start
        while data[end : end + 2] != b"\0\0":
            _, _, end = _value(data, end, depth + 1)
        return tag, data[start:end], end + 2
    if size > _INDEFINITE:
        start += size - _INDEFINITE
        size = int.from_bytes(data[at + 1 : start])
    if start + size > len(data):
        raise ValueError("cut short")
    return tag, data[start : start + size], start + size
