"""RemoveContainer: by force if it runs; layer, bundle and record go, the log stays (it is kubelet's)."""

import asyncio
import shutil
from functools import partial

from groundplane.errors import NotFound
from groundplane.runtime.container import stop
from groundplane.runtime.model import Container, ContainerID, ContainerState
from groundplane.runtime.node import Node
from groundplane.system import files


async def remove(node: Node, prefix: str) -> None:
    """An unknown id is fine."""
    try:
        container = node.container(prefix)
    except NotFound:
        return  # CRI: not an error
    await remove_known(node, container.id)


async def remove_known(node: Node, identity: ContainerID) -> None:
    """The same by full id, for one being made as well."""
    await node.flights.join(("container.remove", identity), partial(_remove, node, identity))


async def _remove(node: Node, identity: ContainerID) -> None:
    if identity in node.stop_before:
        node.stop_before[identity].no_later_than(asyncio.get_running_loop().time())
    async with node.flights.lock(identity):
        container = node.store.containers.all.get(identity)
        if container is None:
            return  # another call removed it while this one waited
        if container.state in (ContainerState.RUNNING, ContainerState.UNKNOWN):
            await stop.kill(node, container)
        await clear(node, container)


async def clear(node: Node, container: Container) -> None:
    """Take away every trace, the record last; each step is fine with "already gone"."""
    node.exits.forget(container.id)
    bundle = node.bundle(container.id)
    if bundle.exists():
        await node.engine_for(node.sandbox_of(container).spec).delete(container.id)
    await node.cgroups.remove(container.cgroup)
    await asyncio.to_thread(clear_files, node, container.id)
    node.store.containers.delete(container.id)
    node.cpu_samples.pop(container.id, None)
    waiter = node.waiters.pop(container.id, None)
    if waiter is not None:
        waiter.set()


def clear_files(node: Node, identity: ContainerID) -> None:
    """Its mount, layer, shim's leftovers and bundle; blocks."""
    root = node.rootfs(identity)
    node.layers.unmount(root)
    if root.exists():
        root.rmdir()  # refuses if something is still mounted there, rather than empty an image
    node.layers.remove(identity)
    node.shim.forget(identity)
    with files.open_missing_ok():
        shutil.rmtree(node.bundle(identity))
