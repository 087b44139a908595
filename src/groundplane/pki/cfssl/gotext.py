"""Durations, dates and object identifiers inside CFSSL's JSON, refused in Go's words."""

import re
from datetime import UTC, datetime, timedelta

from groundplane.errors import Invalid
from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.wire.duration import parse_duration

_TERM = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)([^0-9.]*)")
_UNITS = frozenset({"ns", "us", "µs", "μs", "ms", "s", "m", "h"})
_LAYOUT = "2006-01-02T15:04:05Z07:00"
# What each part of the layout takes, in order.
_DATE = tuple(
    (part, re.compile(pattern))
    for part, pattern in (
        *(("2006", r"[0-9]{4}"), ("-", "-"), ("01", r"[0-9]{2}"), ("-", "-"), ("02", r"[0-9]{2}"), ("T", "T")),
        *(("15", r"[0-9]{2}"), (":", ":"), ("04", r"[0-9]{2}"), (":", ":"), ("05", r"[0-9]{2}(?:\.[0-9]+)?")),
        ("Z07:00", r"Z|[+-][0-9]{2}:[0-9]{2}"),
    )
)
_DAY_LAYOUT, _DAY = "2006-01-02", _DATE[:5]


def quote(text: str) -> str:
    """In double quotes, as Go's %q for plain text."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def duration(text: str) -> timedelta:
    """A duration. Raises Plain."""
    try:
        return parse_duration(text, at="duration")
    except Invalid as bad:
        words = f"time: invalid duration {quote(text)}"
        body = text[1:] if text[:1] in {"+", "-"} else text
        position = 0
        while found := _TERM.match(body, position):
            if not found[1]:
                words = f"time: missing unit in duration {quote(text)}"
                break
            if found[1] not in _UNITS:
                words = f"time: unknown unit {quote(found[1])} in duration {quote(text)}"
                break
            position = found.end()
        raise Plain(words) from bad


def duration_text(span: timedelta) -> str:
    """A duration as Go prints it: `1h0m0s`, `1.5s`, `-300ms`."""
    microseconds = span // timedelta(microseconds=1)
    if microseconds < 0:
        return f"-{duration_text(-span)}"
    if microseconds < 1_000_000:  # noqa: PLR2004 - a second
        unit, size = ("ms", 1000) if microseconds >= 1000 else ("µs", 1)  # noqa: PLR2004 - a millisecond
        return f"{_decimal(microseconds, size)}{unit}" if microseconds else "0s"
    minutes, rest = divmod(microseconds, 60_000_000)
    hours, minutes = divmod(minutes, 60)
    larger = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{larger}{_decimal(rest, 1_000_000)}s"


def _decimal(number: int, size: int) -> str:
    whole, part = divmod(number, size)
    digits = f"{part:0{len(str(size)) - 1}d}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)


def date(value: object) -> object:
    """A date, unchanged: the policy's own door reads it. Raises Plain for one that is not RFC 3339."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Plain("Time.UnmarshalJSON: input is not a JSON string")
    whole, rest = quote(value), value
    for part, pattern in _DATE:
        found = pattern.match(rest)
        if found is None:
            raise _no_date(whole, rest, part)
        rest = rest[found.end() :]
    if rest:
        raise Plain(f"parsing time {quote(whole)} as {quote(quote(_LAYOUT))}: extra text: {quote(rest)}")
    return value


def day(text: str) -> datetime:
    """A day, `2006-01-02`: its first moment in UTC. Raises Plain."""
    whole, rest = quote(text), text
    for part, pattern in _DAY:
        found = pattern.match(rest)
        if found is None:
            raise Plain(f"parsing time {whole} as {quote(_DAY_LAYOUT)}: cannot parse {quote(rest)} as {quote(part)}")
        rest = rest[found.end() :]
    if rest:
        raise Plain(f"parsing time {whole}: extra text: {quote(rest)}")
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as bad:
        which = "day" if 1 <= int(text[5:7]) <= 12 else "month"  # noqa: PLR2004 - months
        raise Plain(f"parsing time {whole}: {which} out of range") from bad


def _no_date(whole: str, rest: str, part: str) -> Plain:
    place = f"cannot parse {quote(rest + chr(34))} as {quote(part)}"
    return Plain(f"parsing time {quote(whole)} as {quote(quote(_LAYOUT))}: {place}")


def identifier(value: object) -> object:
    """An object identifier as dotted text, unchanged. Raises Plain."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Plain("OID JSON string not wrapped in quotes.")
    if not any(char.isdigit() for char in value):
        raise Plain("Invalid OID")
    for part in value.split("."):
        if not re.fullmatch(r"[+-]?[0-9]+", part):
            raise Plain(f"strconv.Atoi: parsing {quote(part)}: invalid syntax")
    return value
