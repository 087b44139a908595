"""StopPodSandbox and RemovePodSandbox: idempotent, each step fine with "already gone", the record last."""

import asyncio
from dataclasses import replace
from functools import partial

from groundplane.errors import NotFound
from groundplane.runtime import lifecycle
from groundplane.runtime.container import remove as remove_container
from groundplane.runtime.container import stop as stop_container
from groundplane.runtime.model import ContainerState, Sandbox
from groundplane.runtime.node import Node
from groundplane.runtime.sandbox import files, infra
from groundplane.system import netns


async def stop(node: Node, prefix: str) -> None:
    """StopPodSandbox; an unknown id is fine. If DEL fails the call fails, and is to be repeated."""
    try:
        sandbox = node.sandbox(prefix)
    except NotFound:
        return  # CRI: not an error
    await node.flights.join(("sandbox.stop", sandbox.id), partial(_stop, node, sandbox.id))


async def _stop(node: Node, identity: str) -> None:
    async with node.flights.lock(identity):
        sandbox = node.sandbox(identity)
        await _stop_locked(node, sandbox)


async def _stop_locked(node: Node, sandbox: Sandbox) -> None:
    async with asyncio.TaskGroup() as group:
        for one in node.store.containers_of(sandbox.id):
            if one.state in (ContainerState.RUNNING, ContainerState.UNKNOWN):
                group.create_task(stop_container.stop(node, one.id, timeout_s=0))
    sandbox = stopped(sandbox)
    node.store.sandboxes.put(sandbox)
    if sandbox.infra.pid:
        await infra.end(node, sandbox)
    if sandbox.attached:
        pin = node.pins.path("net", sandbox.id)
        await node.network.detach(sandbox.id, sandbox.spec, pin if netns.pinned(pin) else None)
        sandbox = replace(sandbox, attached=False)
        node.store.sandboxes.put(sandbox)
    await asyncio.to_thread(node.pins.remove, sandbox.id)


async def remove(node: Node, prefix: str) -> None:
    """RemovePodSandbox: by force if need be; an unknown id is fine. Afterwards it is in no list."""
    try:
        sandbox = node.sandbox(prefix)
    except NotFound:
        return  # CRI: not an error
    await node.flights.join(("sandbox.remove", sandbox.id), partial(_remove, node, sandbox.id))


async def _remove(node: Node, identity: str) -> None:
    async with node.flights.lock(identity):
        try:
            sandbox = node.sandbox(identity)
        except NotFound:
            return  # another call removed it while this one waited
        await _stop_locked(node, sandbox)
        async with asyncio.TaskGroup() as group:
            for one in node.store.containers_of(sandbox.id):
                group.create_task(remove_container.remove_known(node, one.id))
        await clear(node, sandbox)
        node.store.sandboxes.delete(sandbox.id)


def stopped(sandbox: Sandbox) -> Sandbox:
    """The same, NOTREADY. Pure."""
    return replace(sandbox, state=lifecycle.sandbox_after(sandbox.state, lifecycle.SandboxEvent.STOP, of=sandbox.id))


async def clear(node: Node, sandbox: Sandbox) -> None:
    """Take away everything of a stopped sandbox but its record."""
    await infra.end(node, sandbox)
    await asyncio.to_thread(node.pins.remove, sandbox.id)
    own = f"{node.config.cgroup_parent}/{sandbox.id}"
    await node.cgroups.remove(own)
    if sandbox.spec.cgroup_parent:
        await node.cgroups.remove(f"{node.pod_cgroup(sandbox)}/infra-{sandbox.id}")
    await asyncio.to_thread(files.remove, node.sandbox_dir(sandbox.id))
