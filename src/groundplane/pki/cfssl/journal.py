"""CFSSL's log lines, for standard error: `2020/12/14 11:27:47 [INFO] received CSR`, in local time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum


class Level(IntEnum):
    """What `-loglevel` counts from."""

    DEBUG = 0
    INFO = 1
    WARNING = 2
    ERROR = 3
    CRITICAL = 4
    FATAL = 5


_NAMES = {level: level.name for level in Level}  # an Enum takes its time to say it


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """Writes lines of at least `least` with `write`; `clock` tells the local time."""

    write: Callable[[str], object]
    clock: Callable[[], datetime]
    least: int = Level.INFO

    def debug(self, text: str) -> None:
        """What only a search for a fault needs."""
        self._line(Level.DEBUG, text)

    def info(self, text: str) -> None:
        """What was done."""
        self._line(Level.INFO, text)

    def warning(self, text: str) -> None:
        """What is odd."""
        self._line(Level.WARNING, text)

    def error(self, text: str) -> None:
        """What went wrong."""
        self._line(Level.ERROR, text)

    def critical(self, text: str) -> None:
        """What ended it."""
        self._line(Level.CRITICAL, text)

    def fatal(self, text: str) -> None:
        """What it could not begin with."""
        self._line(Level.FATAL, text)

    def _line(self, level: Level, text: str) -> None:
        if level >= self.least:
            end = "" if text[-1:] == "\n" else "\n"
            self.write(f"{self.clock():%Y/%m/%d %H:%M:%S} [{_NAMES[level]}] {text}{end}")
