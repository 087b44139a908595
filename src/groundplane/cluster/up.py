"""`up`: look, plan, do the difference, prove it. Also `plan`, which stops before doing.

The order, and what runs at the same time:

    certificates ──────────────┐
    hosts ── runtime, images ──┴── etcd ── resources, agents ── pods ── proof

Each step is safe to kill and to repeat; the lock is the kernel's, so a killed `up` leaves none behind.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundplane.cluster import doctor, document, record
from groundplane.cluster.lab.lab import Lab
from groundplane.cluster.lab.spawn import Spawner
from groundplane.cluster.model import Cluster, Provider
from groundplane.cluster.plan import Change, changes
from groundplane.errors import DeadlineExceeded, Kind, Unimplemented
from groundplane.system import files

Progress = Callable[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """How `up` ended. `phases`: seconds by step."""

    healthy: bool
    changed: bool
    phases: dict[str, float]

    @property
    def exit_code(self) -> int:
        """0, or that of a cluster that is not healthy."""
        return 0 if self.healthy else Kind.UNAVAILABLE.exit_code


@dataclass(slots=True)
class Steps:
    """Times each step and tells of it."""

    tell: Progress
    phases: dict[str, float] = field(default_factory=dict)
    changed: bool = False

    def done(self, step: str, began: float, what: Sequence[str], *, nothing: str = "in place") -> None:
        """A step ended, having done `what`."""
        self.changed = self.changed or bool(what)
        self.phases[step] = time.monotonic() - began
        self.tell(step, self.phases[step], ", ".join(what) or nothing)


def run(path: Path | None, *, name: str | None, within: float, progress: Progress) -> Done:
    """Bring the cluster of the file at `path` up; blocks. Raises GroundplaneError; nothing is half-written then."""
    began = time.monotonic()
    doctor.require_ready()
    spawner = _early_spawner(path, name)
    try:
        cluster = document.load(path, name=name)
        _check_provider(cluster)
        lab = Lab(cluster.name)
        lab.prepare()
        with files.lock(lab.paths.lock):
            if spawner is None and not all(lab.up(host.name) for host in cluster.hosts):
                spawner = Spawner()
            steps = Steps(tell=progress)
            steps.phases["read"] = time.monotonic() - began
            return _locked(cluster, lab, spawner, steps, within=within - steps.phases["read"], began=began)
    finally:
        if spawner is not None:
            spawner.close()


def _early_spawner(path: Path | None, name: str | None) -> Spawner | None:
    """The helper that boots hosts, forked before the file is read: it loads its code meanwhile."""
    from groundplane.names import parse_cluster_name

    wanted = parse_cluster_name(name, at="--name") if name is not None else document.load_name(path)
    lab = Lab(wanted)
    known = lab.known_hosts()
    return None if known and all(lab.up(host) for host in known) else Spawner()


def _check_provider(cluster: Cluster) -> None:
    if cluster.provider is not Provider.LAB:
        raise Unimplemented(
            "hosts over SSH are not built yet", to=f"{cluster.source}: provider", hint="use `provider: lab`"
        )


def _locked(cluster: Cluster, lab: Lab, spawner: Spawner | None, steps: Steps, *, within: float, began: float) -> Done:
    from groundplane.cluster.bringup import BringUp

    before = record.load(cluster.name)
    work = BringUp(cluster=cluster, before=before, lab=lab, spawner=spawner, steps=steps)
    work.prepare()

    async def bounded() -> bool:
        try:
            async with asyncio.timeout(within):
                return await work.run()
        except TimeoutError as late:
            raise DeadlineExceeded(
                f"not healthy after {time.monotonic() - began:.1f} s", to=cluster.name, hint="see `groundplane status`"
            ) from late

    healthy = asyncio.run(bounded())
    steps.phases["total"] = time.monotonic() - began
    verdict = "healthy" if healthy else "not healthy: see `groundplane status`"
    steps.tell(cluster.name, steps.phases["total"], verdict if steps.changed else f"{verdict}, no change", ok=healthy)
    return Done(healthy=healthy, changed=steps.changed, phases=steps.phases)


def plan(path: Path | None, *, name: str | None) -> tuple[Change, ...]:
    """What `run` would change now. Changes nothing."""
    doctor.require_root()
    cluster = document.load(path, name=name)
    _check_provider(cluster)
    lab = Lab(cluster.name)
    before = record.load(cluster.name)
    from groundplane.cluster.observe import observe

    if lab.fabric_up(cluster.networks):
        lab.enter_fabric()
    return changes(asyncio.run(observe(cluster, before, lab)).facts)
