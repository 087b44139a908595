"""The life of a sandbox and of a container, as tables.

    sandbox:    starting ──ready──▶ ready ──stop──▶ notready ──remove──▶ (gone)
    container:  creating ──create──▶ created ──start──▶ running ──exit──▶ exited ──remove──▶ (gone)
                                        └─────start failed─────────────────▲

There is no way back to READY or RUNNING. A pair that is not in a table is refused; nothing else decides.
"""

from enum import Enum

from groundplane.errors import WrongState
from groundplane.runtime.model import (
    KILLED_EXIT,
    UNKNOWN_EXIT,
    ContainerID,
    ContainerState,
    SandboxID,
    SandboxState,
)


class SandboxEvent(Enum):
    """What can happen to a sandbox."""

    READY = "become ready"
    STOP = "stop"
    LOST = "lose its namespaces"


class ContainerEvent(Enum):
    """What can happen to a container."""

    CREATE = "be created"
    START = "start"
    START_FAILED = "fail to start"
    EXIT = "exit"
    STOP = "stop"
    EXEC = "run a command"
    REOPEN_LOG = "reopen its log"
    UPDATE = "change its resources"


S, C = SandboxState, ContainerState

SANDBOX = {
    (S.STARTING, SandboxEvent.READY): S.READY,
    (S.STARTING, SandboxEvent.STOP): S.NOTREADY,
    (S.STARTING, SandboxEvent.LOST): S.NOTREADY,
    (S.READY, SandboxEvent.STOP): S.NOTREADY,
    (S.READY, SandboxEvent.LOST): S.NOTREADY,
    (S.NOTREADY, SandboxEvent.STOP): S.NOTREADY,
    (S.NOTREADY, SandboxEvent.LOST): S.NOTREADY,
}

CONTAINER = {
    (C.CREATING, ContainerEvent.CREATE): C.CREATED,
    (C.CREATED, ContainerEvent.START): C.RUNNING,
    (C.CREATED, ContainerEvent.START_FAILED): C.EXITED,
    (C.CREATED, ContainerEvent.EXIT): C.EXITED,  # killed, or rebooted away, before it was started
    (C.CREATED, ContainerEvent.STOP): C.CREATED,  # CRI: StopContainer is idempotent
    (C.CREATED, ContainerEvent.UPDATE): C.CREATED,
    (C.RUNNING, ContainerEvent.EXIT): C.EXITED,
    (C.RUNNING, ContainerEvent.STOP): C.RUNNING,  # until the exit is seen
    (C.RUNNING, ContainerEvent.EXEC): C.RUNNING,
    (C.RUNNING, ContainerEvent.REOPEN_LOG): C.RUNNING,
    (C.RUNNING, ContainerEvent.UPDATE): C.RUNNING,
    (C.UNKNOWN, ContainerEvent.EXIT): C.EXITED,
    (C.UNKNOWN, ContainerEvent.STOP): C.UNKNOWN,
    (C.EXITED, ContainerEvent.STOP): C.EXITED,
    (C.EXITED, ContainerEvent.EXIT): C.EXITED,
}


def sandbox_after(state: SandboxState, event: SandboxEvent, *, of: SandboxID) -> SandboxState:
    """The next state. Raises WrongState."""
    if (state, event) not in SANDBOX:
        raise WrongState(f"cannot {event.value} while {state.value}", to=f"pod sandbox {of}")
    return SANDBOX[state, event]


def container_after(state: ContainerState, event: ContainerEvent, *, of: ContainerID) -> ContainerState:
    """The next state. Raises WrongState."""
    if (state, event) not in CONTAINER:
        raise WrongState(f"cannot {event.value} while {state.value}", to=f"container {of}")
    return CONTAINER[state, event]


def exit_reason(code: int, *, oom_killed: bool, seen: bool) -> str:
    """The word kubelet shows.

    `seen` False: the exit was lost. An OOM kill counts only if init itself died of SIGKILL: a child's does not.
    """
    if not seen:
        return "Unknown"
    if code == 0:
        return "Completed"
    if oom_killed and code == KILLED_EXIT:
        return "OOMKilled"
    return "Error"


__all__ = [
    "CONTAINER",
    "SANDBOX",
    "UNKNOWN_EXIT",
    "ContainerEvent",
    "SandboxEvent",
    "container_after",
    "exit_reason",
    "sandbox_after",
]
