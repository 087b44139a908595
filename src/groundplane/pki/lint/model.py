"""The words of linting: what a rule says of a certificate, where rules come from, and what a profile asks for.

Names, sources, dates and results are zlint's (v3.5.0, which CFSSL 1.6.5 is built with), so that a policy written for
CFSSL means the same here. No rule reads anything but the certificate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundplane.pki.lint.view import View


class Status(IntEnum):
    """What a rule found, from harmless to not; a policy's `lint_error_level` is one of these numbers."""

    NOT_APPLICABLE = 1
    NOT_EFFECTIVE = 2
    PASS = 3
    NOTICE = 4
    WARN = 5
    ERROR = 6
    FATAL = 7

    @property
    def word(self) -> str:
        """As zlint writes it."""
        return _WORDS[self]


_WORDS = {
    Status.NOT_APPLICABLE: "NA",
    Status.NOT_EFFECTIVE: "NE",
    Status.PASS: "pass",
    Status.NOTICE: "info",
    Status.WARN: "warn",
    Status.ERROR: "error",
    Status.FATAL: "fatal",
}
# What a policy's `lint_error_level` may be: a number, or zlint's word for it.
LEVELS = {"reserved": 0} | {word: int(status) for status, word in _WORDS.items()}
NA, PASS, NOTICE, WARN, ERROR, FATAL = (
    *(Status.NOT_APPLICABLE, Status.PASS, Status.NOTICE, Status.WARN),
    *(Status.ERROR, Status.FATAL),
)


class Source(StrEnum):
    """Who asks for it."""

    RFC3279 = "RFC3279"
    RFC5280 = "RFC5280"
    RFC5480 = "RFC5480"
    RFC5891 = "RFC5891"
    RFC8813 = "RFC8813"
    BASELINE = "CABF_BR"
    EXTENDED = "CABF_EV"
    MOZILLA = "Mozilla"
    APPLE = "Apple"
    COMMUNITY = "Community"
    ETSI = "ETSI_ESI"


# zlint, and so CFSSL, knows rules of these two sources, but not the sources by name.
UNNAMEABLE = frozenset({Source.RFC3279, Source.RFC8813})
SOURCES = tuple(source for source in Source if source not in UNNAMEABLE)

Condition = Callable[["View"], bool]
Check = Callable[["View"], bool | Status]
_FAILED = {"e": Status.ERROR, "w": Status.WARN, "n": Status.NOTICE}


@dataclass(frozen=True, slots=True)
class Lint:
    """A rule. `check` says whether a certificate that it applies to keeps it; a Status where neither is the answer.

    What a breach amounts to is in the name: `e_`, `w_` or `n_`. It counts for certificates that begin on the day
    `since` or later, and before `until`.
    """

    name: str
    source: Source
    since: datetime | None
    applies: Condition
    check: Check
    until: datetime | None = None

    def judge(self, view: "View") -> Status:
        """What it says of a certificate. The Baseline Requirements are about servers' certificates alone."""
        try:
            return self._judge(view)
        except (ValueError, IndexError):
            return Status.FATAL  # what the rule is about is no DER of what it should be

    def _judge(self, view: "View") -> Status:
        if self.source is Source.BASELINE and not view.for_servers:
            return Status.NOT_APPLICABLE
        if not self.applies(view):
            return Status.NOT_APPLICABLE
        start = view.not_before
        if (self.since is not None and start < self.since) or (self.until is not None and start >= self.until):
            return Status.NOT_EFFECTIVE
        found = self.check(view)
        if isinstance(found, Status):
            return found
        return Status.PASS if found else _FAILED[self.name[0]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule says of one certificate."""

    name: str
    source: Source
    status: Status


def day(year: int, month: int, number: int = 1) -> datetime:
    """Midnight, when a rule begins to count."""
    return datetime(year, month, number, tzinfo=UTC)


RFC2459, RFC3280, RFC5280_DAY = day(1999, 1), day(2002, 4), day(2008, 5)
BASELINE_DAY = day(2012, 7)


def rules_of(
    source: Source, since: datetime | None, *, until: datetime | None = None
) -> "Callable[[str, Condition, Check], Lint]":
    """Writes down rules of one source and day."""
    return lambda name, applies, check: Lint(name, source, since, applies, check, until)
