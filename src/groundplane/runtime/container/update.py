"""UpdateContainerResources and ReopenContainerLog."""

import json
from dataclasses import replace
from datetime import timedelta

from groundplane.runtime import lifecycle, logs, resources
from groundplane.runtime.model import ContainerState, Resources
from groundplane.runtime.node import Node
from groundplane.system import files

_REOPEN_LIMIT = timedelta(seconds=5)


async def update(node: Node, prefix: str, wanted: Resources) -> None:
    """New limits; what is 0 stays. A created container's bundle is changed, a running one asked. Raises WrongState."""
    identity = node.container(prefix).id
    async with node.flights.lock(identity):
        container = node.container(identity)
        lifecycle.container_after(container.state, lifecycle.ContainerEvent.UPDATE, of=container.id)
        merged = resources.merge(container.spec.resources, wanted)
        document = resources.render(merged, cgroup_v2=node.cgroups.v2, swap=node.host.swap)
        # The runtime's create has already made the cgroup of a created container: both states are asked alike.
        engine = node.engine_for(node.sandbox_of(container).spec)
        await engine.update(container.id, document)
        if container.state is ContainerState.CREATED:
            path = node.bundle(container.id) / "config.json"
            config = json.loads(path.read_bytes())
            config["linux"]["resources"] = {**config["linux"]["resources"], **document}
            files.replace(path, json.dumps(config).encode(), durable=False)
        node.store.containers.put(replace(container, spec=replace(container.spec, resources=merged)))


async def reopen_log(node: Node, prefix: str) -> None:
    """Returns once the log is written to a new file. Raises WrongState unless it runs; then no file was made."""
    container = node.container(prefix)
    lifecycle.container_after(container.state, lifecycle.ContainerEvent.REOPEN_LOG, of=container.id)

    async def work() -> None:
        await logs.reopen(container, node.bundle(container.id), within=_REOPEN_LIMIT)

    await node.flights.join(("container.reopen", container.id), work)
