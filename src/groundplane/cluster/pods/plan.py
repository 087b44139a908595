"""What to do next for each pod: from what is wanted and what the runtime shows to a list of actions. Pure.

A sandbox that is ready and was made from the same wish is kept, with its address; its container is started again in
it when it ends, after a pause that doubles from 0.1 s to 10 s while it keeps ending early. Any other sandbox goes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundplane.cluster.pods.model import Phase, SeenContainer, SeenSandbox, WantedPod

RESTART_FIRST, RESTART_LONGEST = 0.1, 10.0
_STEADY = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSandbox:
    """Stop a sandbox and remove it with all that is in it."""

    sandbox: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSandbox:
    """Make a sandbox, then its container."""

    pod: WantedPod
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContainer:
    """Make and start a container in a sandbox; `replaces` are removed first."""

    pod: WantedPod
    sandbox: str
    sandbox_attempt: int
    attempt: int
    replaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer:
    """Start a container that was created before a crash."""

    container: str
    key: str


Action = RemoveSandbox | RunSandbox | RunContainer | StartContainer


def actions(wanted: Sequence[WantedPod], seen: Sequence[SeenSandbox], *, now: float) -> dict[str, tuple[Action, ...]]:
    """Actions by pod key, in the order they must be done; pods may be served at the same time. None: nothing to do."""
    by_key: Mapping[str, WantedPod] = {pod.key: pod for pod in wanted}
    found: dict[str, tuple[Action, ...]] = {}
    for key in dict.fromkeys([*by_key, *(sandbox.key for sandbox in seen)]):
        mine = [sandbox for sandbox in seen if sandbox.key == key]
        todo = _for_pod(by_key.get(key), mine, now=now)
        if todo:
            found[key] = todo
    return found


def _for_pod(pod: WantedPod | None, seen: Sequence[SeenSandbox], *, now: float) -> tuple[Action, ...]:
    usable = [s for s in seen if pod is not None and s.ready and s.digest == pod.digest]
    keep = max(usable, key=lambda s: (s.created, s.id), default=None)
    gone: list[Action] = [RemoveSandbox(sandbox=s.id, key=s.key) for s in seen if s is not keep]
    if pod is None:
        return tuple(gone)
    if keep is None:
        attempt = max((s.attempt for s in seen), default=-1) + 1
        return (*gone, RunSandbox(pod=pod, attempt=attempt))
    return (*gone, *_container(pod, keep, now=now))


def _container(pod: WantedPod, sandbox: SeenSandbox, *, now: float) -> tuple[Action, ...]:
    containers = sorted(sandbox.containers, key=lambda c: c.attempt)
    if any(c.phase in (Phase.RUNNING, Phase.UNKNOWN) for c in containers):
        return ()
    created = [c for c in containers if c.phase is Phase.CREATED]
    if created:
        return (StartContainer(container=created[-1].id, key=pod.key),)
    attempt = containers[-1].attempt + 1 if containers else 0
    if containers and now < due(containers[-1]):
        return ()
    return (
        RunContainer(
            pod=pod,
            sandbox=sandbox.id,
            sandbox_attempt=sandbox.attempt,
            attempt=attempt,
            replaces=tuple(c.id for c in containers),
        ),
    )


def due(last: SeenContainer) -> float:
    """When the successor of an ended container may start, in seconds since the epoch."""
    if last.ended - last.created >= _STEADY:
        return last.ended + RESTART_FIRST
    return last.ended + min(RESTART_FIRST * float(2 ** min(last.attempt, 10)), RESTART_LONGEST)
