"""Go's durations (`876000h`, `1h30m`, `-1.5s`), exact to the nanosecond, as CFSSL's files write them.

Refused: a missing or unknown unit (Go has no days, weeks or years; the message does the sum), anything that is not
ASCII digits, and more than Go's int64 of nanoseconds holds (about 292 years).
"""

import re
from datetime import timedelta

from groundplane.errors import Invalid

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_HOURS = {"d": 24, "day": 24, "days": 24, "w": 168, "y": 8760, "year": 8760, "years": 8760}
_TERM = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([^0-9.]*)")
_LIMIT = 2**63 - 1  # nanoseconds
_LONGEST = 64  # characters: no sensible duration has more, and int() of very long text is slow
_FINEST = 10**_LONGEST  # parts of a nanosecond that are counted, so that nothing is rounded before the end


def parse_duration(text: str, *, at: str) -> timedelta:
    """`text` as a duration, cut to whole microseconds, but never to nothing. Raises Invalid, naming `at`."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return timedelta()
    if not rest or len(rest) > _LONGEST:
        raise Invalid(f"{text[:_LONGEST]!r} is not a duration", to=at, hint="write one such as 8760h or 1h30m")
    total, position = 0, 0
    while position < len(rest):
        term = _TERM.match(rest, position)
        if term is None:
            raise Invalid(f"{text!r} is not a duration", to=at, hint="write one such as 8760h or 1h30m")
        number, unit = term.groups()
        if unit not in _UNITS:
            raise Invalid(_unit_trouble(text, unit), to=at, hint=_unit_mend(number, unit))
        whole, _, part = number.partition(".")
        total += int(whole + part) * _UNITS[unit] * 10 ** (_LONGEST - len(part))
        position = term.end()
    if total > _LIMIT * _FINEST:
        raise Invalid(f"{text!r} is more than a duration can hold", to=at, hint="use 2562047h (292 years) or less")
    nanoseconds = total // _FINEST
    return timedelta(microseconds=sign * (nanoseconds // 1000 or (1 if nanoseconds else 0)))


def _unit_trouble(text: str, unit: str) -> str:
    return f"unknown unit {unit!r} in duration {text!r}" if unit else f"missing unit in duration {text!r}"


def _unit_mend(number: str, unit: str) -> str:
    if unit in _HOURS:
        from fractions import Fraction

        hours = Fraction(number) * _HOURS[unit]
        if hours.denominator == 1:
            return f"write {hours}h (units: h m s ms us ns)"
    return "the units are h m s ms us ns"


def render_duration(span: timedelta) -> str:
    """For people: `365 days`, `36 h`, `5 min`, `12 s`."""
    seconds = int(span.total_seconds())
    for size, word in ((86400, "days"), (3600, "h"), (60, "min")):
        if abs(seconds) >= 2 * size:
            return f"{seconds // size} {word}" if seconds >= 0 else f"-{-seconds // size} {word}"
    return f"{seconds} s"
