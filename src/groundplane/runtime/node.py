"""All that the verbs work on: configuration, records, effects, and the moment a container ends."""

import asyncio
import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from groundplane.errors import Invalid, NotFound
from groundplane.observe import logger
from groundplane.runtime import lifecycle
from groundplane.runtime.config import Config
from groundplane.runtime.conmon import Shim
from groundplane.runtime.engine import Engine
from groundplane.runtime.exits import Exit, Exits
from groundplane.runtime.flights import Flights
from groundplane.runtime.generate import Host
from groundplane.runtime.model import (
    Container,
    ContainerID,
    ContainerState,
    Image,
    Sandbox,
    SandboxID,
    SandboxSpec,
    SandboxState,
)
from groundplane.runtime.pins import Pins
from groundplane.runtime.ports import ImageStore, Layers, Network
from groundplane.runtime.store import Store
from groundplane.system import process
from groundplane.system.cgroup import Cgroups
from groundplane.system.clock import Clock

K = TypeVar("K", SandboxID, ContainerID)
T = TypeVar("T")


@dataclass(slots=True)
class Node:
    """One host's runtime."""

    config: Config
    store: Store
    engines: Mapping[str, Engine]
    shim: Shim
    pins: Pins
    images: ImageStore
    layers: Layers
    network: Network
    cgroups: Cgroups
    host: Host
    clock: Clock
    flights: Flights = field(default_factory=Flights)
    exits: Exits = field(init=False)
    waiters: dict[ContainerID, asyncio.Event] = field(default_factory=dict)
    stop_before: dict[ContainerID, "Hurry"] = field(default_factory=dict)
    cpu_samples: dict[str, tuple[int, int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.exits = Exits(self.exit_dir, self.on_exit)

    @property
    def exit_dir(self) -> Path:
        """Where conmons leave exit codes."""
        return self.config.state / "exits"

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return nanoseconds(self.clock.now())

    def bundle(self, container: ContainerID) -> Path:
        """A container's OCI bundle."""
        return self.config.state / "containers" / container

    def rootfs(self, container: ContainerID) -> Path:
        """Where its root file system is mounted."""
        return self.bundle(container) / "rootfs"

    def sandbox_dir(self, sandbox: SandboxID) -> Path:
        """A pod's own files."""
        return self.config.state / "sandboxes" / sandbox

    def engine_for(self, sandbox: SandboxSpec) -> Engine:
        """The OCI runtime of the pod's handler. Raises Invalid, naming those there are."""
        if sandbox.handler not in self.engines:
            known = ", ".join(sorted(name for name in self.engines if name))
            raise Invalid("no such runtime handler", to=repr(sandbox.handler), hint=f"use one of: {known}")
        return self.engines[sandbox.handler]

    def pod_cgroup(self, sandbox: Sandbox) -> str:
        """Where the pod's containers have their cgroups: kubelet's own directory for it, or one of ours."""
        given = sandbox.spec.cgroup_parent.rstrip("/")
        return f"/{given.strip('/')}" if given else f"{self.config.cgroup_parent}/{sandbox.id}"

    def sandbox(self, prefix: str) -> Sandbox:
        """By id or a unique prefix; one being made is not there yet. Raises NotFound."""
        found = _by_prefix(self.store.sandboxes.all, prefix, "pod sandbox")
        if found.state is SandboxState.STARTING:
            raise NotFound("no such pod sandbox", to=f"pod sandbox {prefix}")
        return found

    def container(self, prefix: str) -> Container:
        """By id or a unique prefix; one being made is not there yet. Raises NotFound."""
        found = _by_prefix(self.store.containers.all, prefix, "container")
        if found.state is ContainerState.CREATING:
            raise NotFound("no such container", to=f"container {prefix}")
        return found

    def sandbox_of(self, container: Container) -> Sandbox:
        """Its pod."""
        return self.store.sandboxes.all[container.sandbox_id]

    async def image(self, reference: str) -> Image:
        """An image by any of its names. Raises NotFound."""
        return await asyncio.to_thread(self.images.resolve, reference)

    def on_exit(self, container: ContainerID, end: Exit) -> None:
        """Record the end of a container, once, and wake whoever waits for it."""
        known = self.store.containers.all.get(container)
        if known is None or known.state in (ContainerState.EXITED, ContainerState.CREATING):
            return
        marked = (self.bundle(container) / "oom").exists() or self.cgroups.oom_kills(known.cgroup) > 0
        state = lifecycle.container_after(known.state, lifecycle.ContainerEvent.EXIT, of=container)
        reason = known.reason or lifecycle.exit_reason(end.code, oom_killed=marked, seen=end.seen)
        self.store.containers.put(replace(known, state=state, finished_ns=end.at_ns, exit_code=end.code, reason=reason))
        # Where init did not own its PID namespace, what it started may live on: a container ends whole.
        with contextlib.suppress(OSError):
            self.cgroups.kill_all(known.cgroup)
        logger("cri").info("container.exit", container=container, code=end.code, reason=reason)
        if container in self.waiters:
            self.waiters.pop(container).set()

    async def wait_exit(self, container: ContainerID, *, within: timedelta | None) -> bool:
        """Whether `container` ended within that time."""
        known = self.store.containers.all.get(container)
        if known is None or known.state is ContainerState.EXITED:
            return True
        ended = self.waiters.setdefault(container, asyncio.Event())
        try:
            async with asyncio.timeout(None if within is None else max(0.0, within.total_seconds())):
                await ended.wait()
        except TimeoutError:
            return False
        return True


@dataclass(slots=True)
class Hurry:
    """A stop that is under way: when patience ends, and a way to make that earlier."""

    deadline: float
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def no_later_than(self, deadline: float) -> None:
        """A shorter timeout shortens the wait; a longer one changes nothing."""
        if deadline < self.deadline:
            self.deadline = deadline
            self.changed.set()


def new_id() -> str:
    """64 hexadecimal digits."""
    return secrets.token_hex(32)


def nanoseconds(at: datetime) -> int:
    """Exact to the microsecond."""
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000


def _by_prefix(known: Mapping[K, T], prefix: str, what: str) -> T:
    found = [one for identity, one in known.items() if identity.startswith(prefix)] if prefix else []
    if len(found) > 1:
        raise Invalid(f"{len(found)} begin with that", to=f"{what} {prefix}", hint="give more of the id")
    if not found:
        raise NotFound("no such " + what, to=f"{what} {prefix or '(no id)'}")
    return found[0]


def boot_key() -> str:
    """What changes when everything that ran has gone: the boot, or the PID namespace with its init (a lab host's)."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}/{Path('/proc/self/ns/pid').readlink()}/{process.start_time(1)}"
