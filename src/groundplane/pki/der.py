"""A little DER (X.690): enough to put a certificate together from its parts, and to take one apart into them."""

from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache

INTEGER, BIT_STRING, OCTET_STRING, IDENTIFIER, UTF8, PRINTABLE = 0x02, 0x03, 0x04, 0x06, 0x0C, 0x13
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31
TRUE = b"\x01\x01\xff"
_SHORT, _BASE = 0x80, 128
_LONGEST_IDENTIFIER = 1024  # octets
_LAST_UTC_YEAR = 2049  # RFC 5280, 4.1.2.5


def wrap(tag: int, content: bytes) -> bytes:
    """A value with its tag and length."""
    size = len(content)
    if size < _SHORT:
        return bytes((tag, size)) + content
    if size < 1 << 16:
        head = (tag, 0x82, size >> 8, size & 0xFF) if size > 0xFF else (tag, 0x81, size)  # noqa: PLR2004 - an octet
        return bytes(head) + content
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes((tag, _SHORT | len(length))) + length + content


def integer(number: int) -> bytes:
    """INTEGER."""
    magnitude = number if number >= 0 else ~number
    return wrap(INTEGER, number.to_bytes(magnitude.bit_length() // 8 + 1, signed=True))


@lru_cache(maxsize=512)
def identifier(dotted: str) -> bytes:
    """OBJECT IDENTIFIER. Raises ValueError."""
    numbers = [int(part) for part in dotted.split(".")]
    if len(numbers) < 2 or min(numbers) < 0 or numbers[0] > 2 or (numbers[0] < 2 and numbers[1] > 39):  # noqa: PLR2004 - X.690, 8.19.4
        raise ValueError(dotted)
    return wrap(IDENTIFIER, b"".join(_base128(number) for number in (numbers[0] * 40 + numbers[1], *numbers[2:])))


def _base128(number: int) -> bytes:
    octets = bytearray((number % _BASE,))
    while number := number // _BASE:
        octets.append(number % _BASE | _SHORT)
    return bytes(reversed(octets))


def time(instant: datetime) -> bytes:
    """A date of a certificate, in UTC."""
    if instant.year <= _LAST_UTC_YEAR:
        return b"\x17\x0d%02d%s" % (instant.year % 100, _since_january(instant))
    return b"\x18\x0f%04d%s" % (instant.year, _since_january(instant))


def _since_january(instant: datetime) -> bytes:
    it = instant  # strftime takes three times as long
    return b"%02d%02d%02d%02d%02dZ" % (it.month, it.day, it.hour, it.minute, it.second)


def bits(content: bytes) -> bytes:
    """BIT STRING of whole octets."""
    return wrap(BIT_STRING, b"\0" + content)


def parts(value: bytes) -> Iterator[bytes]:
    """The members of a constructed value, each whole. Raises ValueError."""
    place, end = body(value)
    while place < end:
        _, stop = body(value, place, end)
        yield value[place:stop]
        place = stop


def body(value: bytes, place: int = 0, end: int | None = None) -> tuple[int, int]:
    """Where the content of the value at `place` begins and ends, which is not after `end`. Raises ValueError."""
    end = len(value) if end is None else end
    start = place + 2  # after a tag and a length
    if start > end:
        raise ValueError("cut short")
    size = value[start - 1]
    if size & _SHORT:
        length = start
        start += size & ~_SHORT
        size = int.from_bytes(value[length : min(start, end)])
    if start + size > end:
        raise ValueError("cut short")
    return start, start + size


def dotted(content: bytes) -> str:
    """An object identifier's content, in dots. Raises ValueError."""
    numbers, number, is_open = [], 0, False
    if len(content) > _LONGEST_IDENTIFIER:
        raise ValueError("an object identifier is too long")
    for octet in content:
        number = number << 7 | octet & 0x7F
        is_open = bool(octet & _SHORT)
        if not is_open:
            numbers.append(number)
            number = 0
    if is_open or not numbers:
        raise ValueError("this is no object identifier")
    head = min(numbers[0] // 40, 2)
    return ".".join(map(str, (head, numbers[0] - 40 * head, *numbers[1:])))


def content(value: bytes) -> bytes:
    """What is inside."""
    start, end = body(value)
    return value[start:end]


def content_of(value: bytes, tag: int) -> bytes:
    """What is inside of a value of that kind. Raises ValueError for another."""
    if not value or value[0] != tag:
        raise _odd(value, tag)
    return content(value)


def _odd(value: bytes, tag: int) -> ValueError:
    return ValueError(f"a value of kind {value[:1].hex() or 'none'} stands where one of {tag:02x} should")


def members(value: bytes, tag: int, *, whole: bool = False) -> Iterator[bytes]:
    """The members of a value of that kind, which is all there is if it is the `whole`. Raises ValueError."""
    if not value or value[0] != tag:
        raise _odd(value, tag)
    if whole and body(value)[1] != len(value):
        raise ValueError("there is something after it")
    return parts(value)


def fields(value: bytes, tag: int, *, whole: bool = False) -> list[bytes]:
    """The same all at once, in half the time. Raises ValueError."""
    if not value or value[0] != tag:
        raise _odd(value, tag)
    place, end = body(value)
    if whole and end != len(value):
        raise ValueError("there is something after it")
    found = []
    while place < end:
        start = place + 2
        stop = start + value[start - 1] if start <= end and value[start - 1] < _SHORT else 0
        if not start <= stop <= end:  # its length takes more than an octet, or says too much
            _, stop = body(value, place, end)
        found.append(value[place:stop])
        place = stop
    return found


def dotted_of(value: bytes) -> str:
    """An OBJECT IDENTIFIER, in dots. Raises ValueError."""
    return dotted(content_of(value, IDENTIFIER))
