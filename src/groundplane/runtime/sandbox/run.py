"""RunPodSandbox: the pod's environment, complete and connected, or nothing (CRI reference §5)."""

import asyncio
import time
from dataclasses import replace
from functools import partial

from groundplane.aio import Undo
from groundplane.errors import Exists, Invalid, Unavailable
from groundplane.observe import logger
from groundplane.runtime import lifecycle, pins
from groundplane.runtime.model import NamespaceMode, Sandbox, SandboxID, SandboxSpec, SandboxState
from groundplane.runtime.node import Node, new_id
from groundplane.runtime.sandbox import files, infra
from groundplane.runtime.sandbox.stop import stopped


def check(spec: SandboxSpec) -> dict[str, str]:
    """The sysctls to write. Raises Invalid for what cannot be run, before anything is done. Pure."""
    where = f"pod {spec.metadata.namespace}/{spec.metadata.name}"
    for name, mode in (("network", spec.namespaces.network), ("ipc", spec.namespaces.ipc)):
        if mode not in (NamespaceMode.POD, NamespaceMode.NODE):
            raise Invalid(f"{name} namespace cannot be {mode.name}", to=where, hint="use POD or NODE")
    if spec.namespaces.pid is NamespaceMode.TARGET:
        raise Invalid("pid namespace cannot be TARGET for a pod", to=where, hint="use POD, CONTAINER or NODE")
    if len(spec.hostname.encode()) > pins.HOSTNAME_LIMIT:
        raise Invalid(f"hostname is longer than {pins.HOSTNAME_LIMIT} bytes", to=where)
    if spec.cgroup_parent.endswith(".slice"):
        raise Invalid(
            f"cgroup_parent {spec.cgroup_parent!r} is for the systemd cgroup driver, and this runtime uses cgroupfs",
            to=where,
            hint="set the kubelet's cgroupDriver to cgroupfs",
        )
    return pins.check_sysctls(spec)


async def run(node: Node, spec: SandboxSpec) -> SandboxID:
    """The sandbox's id. A repeat of the same call gets the same id, whether the first has ended or not."""
    sysctls = check(spec)
    node.engine_for(spec)
    return await node.flights.join(("sandbox.run", spec.name), partial(_run, node, spec, sysctls))


async def _run(node: Node, spec: SandboxSpec, sysctls: dict[str, str]) -> SandboxID:
    known = node.store.sandbox_named(spec.name)
    if known is not None:
        if known.spec == spec and known.state is SandboxState.READY:
            return known.id
        raise Exists(
            f"{known.state.value} sandbox {known.id[:13]} has this name",
            to=f"pod {spec.metadata.namespace}/{spec.metadata.name}",
            hint="remove it, or raise metadata.attempt",
        )
    if spec.own_network:
        ready, why = node.network.ready()
        if not ready:
            raise Unavailable(
                f"the pod network is not ready: {why}", to=f"pod {spec.metadata.namespace}/{spec.metadata.name}"
            )
    sandbox = Sandbox(id=SandboxID(new_id()), spec=spec, state=SandboxState.STARTING, created_ns=node.now_ns())
    began = time.perf_counter()
    try:
        async with node.flights.lock(sandbox.id):
            sandbox = await _build(node, sandbox, sysctls)
    except BaseException:
        left = node.store.sandboxes.all.get(sandbox.id)
        if left is not None:  # cleaning up failed: a client must see it, to stop and remove it again
            node.store.sandboxes.put(stopped(left))
        raise
    logger("cri").info(
        "sandbox.run",
        sandbox=sandbox.id,
        pod=f"{spec.metadata.namespace}/{spec.metadata.name}",
        ips=sandbox.ips,
        ms=round((time.perf_counter() - began) * 1000, 1),
        steps_ms=sandbox.steps_ms,
    )
    return sandbox.id


async def _build(node: Node, sandbox: Sandbox, sysctls: dict[str, str]) -> Sandbox:
    spec, steps = sandbox.spec, _Steps()
    async with Undo() as undo:

        async def forget() -> None:
            node.store.sandboxes.delete(sandbox.id)

        # On disk before the first effect, and durable: an address is allocated outside this host's memory.
        undo.push("forget the sandbox", forget)
        sandbox = replace(sandbox, attached=spec.own_network)
        await asyncio.to_thread(node.store.sandboxes.put, sandbox, durable=spec.own_network)
        steps.done("record")
        at = node.sandbox_dir(sandbox.id)
        undo.push("remove its files", partial(asyncio.to_thread, files.remove, at))
        undo.push("remove its cgroup", partial(node.cgroups.remove, f"{node.config.cgroup_parent}/{sandbox.id}"))
        undo.push("remove its namespaces", partial(asyncio.to_thread, node.pins.remove, sandbox.id))

        def prepare() -> None:
            files.write(spec, at)
            node.pins.create(spec, sandbox.id, hostname=files.hostname(spec), sysctls=sysctls)

        await asyncio.to_thread(prepare)
        steps.done("namespaces")
        if spec.own_network:
            netns = node.pins.path("net", sandbox.id)
            # Pushed before the call: an ADD that fails may already have allocated.
            undo.push("detach it from the network", partial(node.network.detach, sandbox.id, spec, netns))
            ips, result = await node.network.attach(sandbox.id, spec, netns)
            sandbox = replace(sandbox, ips=ips, cni_result=result)
            steps.done("network")
        if files.wants_infra(sandbox):
            undo.push("end its infra process", partial(infra.end, node, sandbox))
            sandbox = await infra.ensure(node, sandbox)
            steps.done("infra")
        state = lifecycle.sandbox_after(sandbox.state, lifecycle.SandboxEvent.READY, of=sandbox.id)
        sandbox = replace(sandbox, state=state, steps_ms=steps.found)
        node.store.sandboxes.put(sandbox)
        undo.commit()
    return sandbox


class _Steps:
    """Where the time went, for the verbose status."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}
        self._last = time.perf_counter()

    def done(self, step: str) -> None:
        now = time.perf_counter()
        self.found[step] = round((now - self._last) * 1000, 2)
        self._last = now
