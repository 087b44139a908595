"""The words of a scan: grades, what a scanner found, which scanners there are."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from groundplane.errors import Unavailable

if TYPE_CHECKING:
    from groundplane.pki.scan.line import Line


class Grade(IntEnum):
    """How good it is, worst first."""

    BAD = 0
    WARNING = 1
    GOOD = 2
    SKIPPED = 3

    def __str__(self) -> str:
        return self.name.capitalize()


class _Absent:
    """No output at all, which is not the same as null."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a scanner found: `output` is JSON's, or ABSENT; `error` says why the grade is what it is."""

    grade: Grade
    output: object = ABSENT
    error: str = ""

    def document(self) -> dict[str, object]:
        """As CFSSL's JSON."""
        made: dict[str, object] = {"grade": str(self.grade)}
        if self.output is not ABSENT:
            made["output"] = self.output
        if self.error:
            made["error"] = self.error
        return made


class Trouble(Unavailable):
    """The server did not do what was asked of it; `happened` is in Go's words."""

    def __init__(self, happened: str, *, to: object, hint: str = "") -> None:
        super().__init__(happened, to=to, hint=hint)


class Unreachable(Trouble):
    """There is no connection."""


class Refused(Trouble):
    """There is a connection, and the server does not go along with the hello."""


class OutOfTime(Trouble):
    """The whole scan has no time left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanner:
    """`scan` raises Trouble, which is a bad grade."""

    description: str
    scan: "Callable[[Line], Found]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Scanners by name."""

    description: str
    scanners: Mapping[str, Scanner]
