"""What each object is after a restart: its record against what the host still shows. Pure (CRI reference §20).

An exit file outweighs all; then life; then a reboot, which nothing survived. A container whose record says CREATING was
never promised to anybody: it is rolled back. Nobody invents an exit code: an exit that left no file is 255, `Unknown`.
"""

from dataclasses import dataclass, replace
from enum import Enum

from groundplane.runtime import lifecycle
from groundplane.runtime.exits import Exit
from groundplane.runtime.model import UNKNOWN_EXIT, Container, ContainerState, Process, Sandbox, SandboxState


class Fate(Enum):
    """What to do with a record."""

    KEEP = "keep"
    ROLL_BACK = "roll back"
    WATCH = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerEvidence:
    """What the host shows of one container. `engine_status` is asked only where the record says CREATED."""

    exit: Exit | None = None
    init_alive: bool = False
    engine_status: str = ""
    oom_killed: bool = False
    now_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxEvidence:
    """What the host shows of one sandbox."""

    pins_intact: bool
    infra_alive: bool = True


def container(record: Container, seen: ContainerEvidence) -> tuple[Fate, Container]:
    """The record as it must be now, and whether to watch it, keep it or undo it."""
    if record.state is ContainerState.CREATING:
        return Fate.ROLL_BACK, record
    if record.state is ContainerState.EXITED:
        return Fate.KEEP, record
    if seen.exit is not None or not seen.init_alive:
        end = seen.exit or Exit(code=UNKNOWN_EXIT, at_ns=seen.now_ns, seen=False)
        started = record.started_ns or (record.created_ns if end.seen and record.state is ContainerState.CREATED else 0)
        return Fate.KEEP, replace(
            record,
            state=lifecycle.container_after(record.state, lifecycle.ContainerEvent.EXIT, of=record.id),
            started_ns=started,
            finished_ns=end.at_ns,
            exit_code=end.code,
            reason=lifecycle.exit_reason(end.code, oom_killed=seen.oom_killed, seen=end.seen),
        )
    if record.state is ContainerState.CREATED and seen.engine_status == "running":
        # It was let go, and the daemon died before it could write that down.
        state = lifecycle.container_after(record.state, lifecycle.ContainerEvent.START, of=record.id)
        return Fate.WATCH, replace(record, state=state, started_ns=seen.now_ns)
    return Fate.WATCH, record


def sandbox(record: Sandbox, seen: SandboxEvidence) -> tuple[Fate, Sandbox]:
    """The record as it must be now, and whether to keep it or undo it."""
    if record.state is SandboxState.STARTING:
        return Fate.ROLL_BACK, record
    if record.state is SandboxState.READY and not (seen.pins_intact and seen.infra_alive):
        state = lifecycle.sandbox_after(record.state, lifecycle.SandboxEvent.LOST, of=record.id)
        return Fate.KEEP, replace(record, state=state, infra=record.infra if seen.infra_alive else Process())
    return Fate.KEEP, record
