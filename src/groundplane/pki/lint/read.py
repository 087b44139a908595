"""DER values, taken apart without an opinion: a tag, a content, and the bytes of both."""

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

from groundplane.pki import der

BOOLEAN, INTEGER, BIT_STRING, OCTETS, NULL, OBJECT, UTF8, SEQUENCE, SET = 1, 2, 3, 4, 5, 6, 12, 0x30, 0x31
NUMERIC, PRINTABLE, T61, IA5, UTC_TIME, GENERALIZED, BMP = 18, 19, 20, 22, 23, 24, 30
TEXTS = frozenset({UTF8, NUMERIC, PRINTABLE, T61, IA5, BMP})
_REST = r"(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})?(?:\.\d{1,9})?(Z|[+-]\d{4})"
_TIMES = {UTC_TIME: re.compile(r"(\d{2})" + _REST), GENERALIZED: re.compile(r"(\d{4})" + _REST)}


class Malformed(ValueError):
    """Something is not the DER of what it should be."""


class Value(NamedTuple):
    """One value; `number` is its tag without the class and the bit that says it is constructed."""

    tag: int
    content: bytes
    whole: bytes

    @property
    def number(self) -> int:
        """Which of a CHOICE it is."""
        return self.tag & 0x1F

    @property
    def members(self) -> "list[Value]":
        """What a constructed value is made of. Raises Malformed."""
        return values(self.content)


def values(data: bytes) -> list[Value]:
    """One after the other. Raises Malformed."""
    found = []
    try:
        while data:
            start, end = der.body(data)
            found.append(Value(data[0], data[start:end], data[:end]))
            data = data[end:]
    except ValueError as bad:
        raise Malformed(str(bad)) from bad
    return found


def first(data: bytes, tag: int | None = None) -> Value:
    """The first value, of that tag if one is given. Raises Malformed."""
    found = values(data[: _size(data)])
    if not found or (tag is not None and found[0].tag != tag):
        raise Malformed(f"there is no value of the kind {tag}")
    return found[0]


def _size(data: bytes) -> int:
    try:
        return der.body(data)[1]
    except ValueError as bad:
        raise Malformed(str(bad)) from bad


def sequence(data: bytes) -> list[Value]:
    """The members of a SEQUENCE. Raises Malformed."""
    return first(data, SEQUENCE).members


def dotted(content: bytes) -> str:
    """An object identifier in dots. Raises Malformed."""
    try:
        return der.dotted(content)
    except ValueError as bad:
        raise Malformed(str(bad)) from bad


def integer(content: bytes) -> int:
    """A signed number. Raises Malformed."""
    if not content:
        raise Malformed("a number has no digits")
    return int.from_bytes(content, signed=True)


def text(value: Value) -> str | None:
    """A string's characters; None for what is no string."""
    if value.tag not in TEXTS:
        return None
    encoding = {UTF8: "utf-8", BMP: "utf-16-be"}.get(value.tag, "latin-1")
    return value.content.decode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")


def instant(value: Value) -> datetime:
    """A date of a certificate, also one that RFC 5280 does not allow: there are rules about those. Raises Malformed."""
    found = _TIMES[value.tag].fullmatch(value.content.decode("ascii", "replace")) if value.tag in _TIMES else None
    if found is None:
        raise Malformed("this is no date")
    year = int(found[1])
    if value.tag == UTC_TIME:
        year += 2000 if year < 50 else 1900  # noqa: PLR2004 - RFC 5280, 4.1.2.5.1
    zone: timezone = UTC
    if found[7] != "Z":
        away = timedelta(hours=int(found[7][1:3]), minutes=int(found[7][3:]))
        zone = timezone(-away if found[7][0] == "-" else away)
    try:
        month, number, hour, minute = map(int, found.group(2, 3, 4, 5))
        there = datetime(year, month, number, hour, minute, int(found[6] or 0), tzinfo=zone)
        return there.astimezone(UTC)
    except (ValueError, OverflowError) as bad:
        raise Malformed("there is no such date") from bad
