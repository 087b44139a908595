"""The log as JSON, one object a line, each with the request it is about."""

import json
from contextvars import ContextVar
from dataclasses import dataclass
from random import getrandbits

from groundplane.pki.cfssl.journal import Journal, Level

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
_MOST = 64
_ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
LEVELS = {"debug": Level.DEBUG, "info": Level.INFO, "warning": Level.WARNING, "error": Level.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonJournal(Journal):
    """CFSSL's journal, for machines; `clock` tells the time in UTC."""

    component: str = "pki"

    def event(self, event: str, **fields: object) -> None:
        """Something with fields of its own."""
        self._write(Level.INFO, event, fields)

    def trouble(self, event: str, **fields: object) -> None:
        """Something that somebody should mend."""
        self._write(Level.ERROR, event, fields)

    def detail(self, event: str, **fields: object) -> None:
        """The same, for those who search for a fault."""
        self._write(Level.DEBUG, event, fields)

    def _line(self, level: Level, text: str) -> None:
        self._write(level, text.rstrip("\n"), {})

    def _write(self, level: Level, event: str, fields: dict[str, object]) -> None:
        if level < self.least:
            return
        line: dict[str, object] = {
            "timestamp": f"{self.clock():%Y-%m-%dT%H:%M:%S.%fZ}",
            "level": level.name.lower(),
            "component": self.component,
            "event": event,
            **fields,
        }
        if request := REQUEST_ID.get():
            line["request_id"] = request
        self.write(json.dumps(line, ensure_ascii=False) + "\n")


def request_id(given: str) -> str:
    """What the caller calls its request, if that is harmless; else a new name."""
    if 0 < len(given) <= _MOST and _ALLOWED.issuperset(given):
        return given
    # No secret, so not the kernel's: asking it hands the interpreter to another thread, for 40 us in a responder.
    return f"{getrandbits(64):016x}"
