"""An append-only file of JSON lines: who had what issued or revoked, and when.

The file is opened anew for each line, so that it may be moved away at any time; a line is written by one call, so that
several processes may share the file. `GROUNDPLANE_PKI_AUDIT` names the file for commands.
"""

import getpass
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from groundplane.errors import Unavailable

VARIABLE = "GROUNDPLANE_PKI_AUDIT"
_MODE = 0o600


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLog:
    """Appends to `path`, which is made 0600."""

    path: Path
    clock: Callable[[], datetime] = _now

    def write(self, fields: Mapping[str, object]) -> None:
        """A line of these, after the time. Returns when the kernel has it. Raises Unavailable."""
        line = {"timestamp": f"{self.clock():%Y-%m-%dT%H:%M:%S.%fZ}", **fields}
        data = (json.dumps(line, ensure_ascii=False) + "\n").encode(errors="replace")
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
            try:
                while data:
                    data = data[os.write(descriptor, data) :]
            finally:
                os.close(descriptor)
        except OSError as bad:
            raise Unavailable(
                f"cannot be written: {bad.strerror or bad}", to=self.path, hint="make room for it"
            ) from bad


def command(event: str, **fields: object) -> None:
    """A line about what a command did, where the variable names a file. Raises Unavailable."""
    if path := os.environ.get(VARIABLE):
        AuditLog(path=Path(path)).write({"door": "command", "caller": _user(), "event": event, **fields})


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name
        return str(os.getuid())
