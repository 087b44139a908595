"""How urgent a certificate is. Nothing here reads or knows the time."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from groundplane.pki.model import SeenCertificate


class Level(IntEnum):
    """From harmless to grave; a report is as grave as its gravest line."""

    GOOD = 0
    NOT_YET = 1  # it begins in the future
    WARNING = 2
    CRITICAL = 3
    EXPIRED = 4
    UNREADABLE = 5

    @property
    def word(self) -> str:
        """As a report says it."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """How long before its end a certificate is worth a warning, and when it is critical."""

    warning: timedelta = timedelta(days=30)
    critical: timedelta = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A certificate and where it is; or `trouble`, a sentence, where none could be read.

    `fingerprint` is its SHA-256, in hex.
    """

    place: str
    certificate: SeenCertificate | None = None
    fingerprint: str = ""
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of the report."""

    found: Found
    level: Level
    left: timedelta | None = None


def assess(found: Iterable[Found], thresholds: Thresholds, *, now: datetime) -> tuple[Line, ...]:
    """A line for each, the one that ends first at the top; what could not be read comes before all."""
    lines = [_line(one, thresholds, now) for one in found]
    return tuple(sorted(lines, key=lambda line: (line.left is not None, line.left or timedelta(), line.found.place)))


def gravest(lines: Iterable[Line]) -> Level:
    """The level of the whole."""
    return max((line.level for line in lines), default=Level.GOOD)


def _line(found: Found, thresholds: Thresholds, now: datetime) -> Line:
    it = found.certificate
    if it is None:
        return Line(found=found, level=Level.UNREADABLE)
    left = it.not_after - now
    if left <= timedelta():
        level = Level.EXPIRED
    elif left <= thresholds.critical:
        level = Level.CRITICAL
    elif left <= thresholds.warning:
        level = Level.WARNING
    else:
        level = Level.NOT_YET if it.not_before > now else Level.GOOD
    return Line(found=found, level=level, left=left)
