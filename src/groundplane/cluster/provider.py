"""What bring-up asks of a host, whatever it is: a set of namespaces here, a machine over SSH elsewhere.

The steps know only this. Paths are the host's own (`/etc/groundplane/agent.json`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from groundplane.cluster.lab.units import Unit
from groundplane.names import HostName


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitStatus:
    """One supervised process as its supervisor sees it. `seconds`: how long it has been running."""

    state: str
    pid: int
    seconds: float
    restarts: int
    last_exit: str

    @property
    def running(self) -> bool:
        """It serves: a unit that says when it is ready has said so."""
        return self.state == "running"


class HostDoor(Protocol):
    """A host that is up."""

    @property
    def name(self) -> HostName:
        """Its name."""

    def read(self, path: Path) -> bytes | None:
        """The content of a file, None where there is none."""

    def write(self, path: Path, data: bytes, *, mode: int) -> bool:
        """Put a file in place atomically, with this mode; False if it was so already."""

    def make_directory(self, path: Path, *, mode: int) -> None:
        """Make a directory with this mode."""

    def link(self, path: Path, target: Path) -> None:
        """Make `path` a symbolic link to `target`."""

    def copy(self, source: Path, path: Path) -> bool:
        """Put a large file of this machine in place (hard-linked where that can be); False if it was there already."""

    def log_tail(self, unit: str) -> str:
        """The last words of a unit."""

    async def apply(self, units: Sequence[Unit]) -> Mapping[str, Sequence[str]]:
        """Run exactly these units: names by what was done ("started", "restarted", "stopped")."""

    async def status(self) -> Mapping[str, UnitStatus]:
        """Each unit's state."""

    async def signal(self, unit: str, number: int) -> None:
        """Send a signal to a unit's process."""

    async def restart(self, unit: str) -> None:
        """Stop a unit and start it again."""

    def socket(self, name: str) -> Path:
        """Where this process finds the host's unix socket /run/groundplane/`name`."""
