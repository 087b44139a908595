"""What a host runs, as data: the lab's stand-in for unit files.

A unit is either a program (an argv to exec) or one of groundplane's own daemons (forked from the init, which has their
code in memory already, so that a restart costs milliseconds). Decides when a unit that ended is started again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum

import msgspec

DAEMONS = ("cri", "agent", "pods")
"""groundplane's own daemons, by the name of their command."""

RESTART_FIRST = 0.05
RESTART_LONGEST = 5.0
STEADY_AFTER = 10.0
"""Seconds: first and longest pause before a restart; a unit that ran this long counts as steady again."""


class UnitState(Enum):
    """`starting` until a unit that notifies has said READY=1; then, and for others at once, `running`."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"  # ended; it will be started again
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One supervised process. Exactly one of `argv` (absolute program first) and `daemon` is set.

    `directory`: working directory. `notify`: it says READY=1 (sd_notify) when it serves. `revision` changes when what
    it reads has changed so that a restart is needed. `stop_seconds`: SIGTERM, then SIGKILL after this long.
    """

    name: str
    argv: tuple[str, ...] = ()
    daemon: str = ""
    directory: str = "/"
    notify: bool = False
    revision: str = ""
    stop_seconds: float = 5.0
    open_files: int = 65536

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> "Unit":
        """The unit that `to_json` was called on. Raises msgspec.ValidationError on anything else."""
        return msgspec.convert(data, cls)


def pause_before_restart(*, failures: int) -> float:
    """Seconds to wait before start number `failures` + 1: doubling from the first, capped."""
    doublings = min(max(0, failures - 1), 16)  # beyond, the cap holds anyway
    return min(RESTART_FIRST * float(2**doublings), RESTART_LONGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What turns the units that run into those wanted."""

    start: tuple[Unit, ...]
    restart: tuple[Unit, ...]
    stop: tuple[str, ...]


def difference(have: Mapping[str, Unit], want: Mapping[str, Unit]) -> Difference:
    """Start what is new, restart what changed in any field, stop what is no longer wanted; in the order of `want`."""
    return Difference(
        start=tuple(unit for name, unit in want.items() if name not in have),
        restart=tuple(unit for name, unit in want.items() if name in have and have[name] != unit),
        stop=tuple(name for name in have if name not in want),
    )
