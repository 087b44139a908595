"""StartContainer: only from CREATED. A failure is an exit like any other: 128, StartError, and its cause."""

import time
from dataclasses import replace
from functools import partial

from groundplane.errors import Failed, WrongState
from groundplane.observe import logger
from groundplane.runtime import lifecycle
from groundplane.runtime.container import create
from groundplane.runtime.model import START_ERROR_EXIT, ContainerState, NamespaceMode, SandboxState
from groundplane.runtime.node import Node


async def start(node: Node, prefix: str) -> None:
    """Returns once the process has been let go. Raises WrongState, or what the runtime said."""
    container = node.container(prefix)
    await node.flights.join(("container.start", container.id), partial(_start, node, container.id))


async def _start(node: Node, identity: str) -> None:
    began = time.perf_counter()
    async with node.flights.lock(identity):
        container = node.container(identity)
        sandbox = node.sandbox_of(container)
        running = lifecycle.container_after(container.state, lifecycle.ContainerEvent.START, of=container.id)
        if sandbox.state is not SandboxState.READY:
            raise WrongState("its pod sandbox is not ready", to=f"container {container.id[:13]}")
        if container.spec.security.namespaces.pid is NamespaceMode.TARGET:
            create.target(node, container)
        engine = node.engine_for(sandbox.spec)
        at = node.now_ns()
        try:
            await engine.start(container.id)
        except Failed as failed:
            now = node.container(identity)
            if now.state is ContainerState.CREATED:
                state = lifecycle.container_after(now.state, lifecycle.ContainerEvent.START_FAILED, of=now.id)
                node.exits.forget(now.id)
                node.store.containers.put(
                    replace(
                        now,
                        state=state,
                        finished_ns=node.now_ns(),
                        exit_code=START_ERROR_EXIT,
                        reason="StartError",
                        message=failed.happened,
                    )
                )
            raise
        # A process that lived for a millisecond may have been seen to end before this line.
        now = node.container(identity)
        if now.state is ContainerState.CREATED:
            node.store.containers.put(replace(now, state=running, started_ns=at))
        else:
            node.store.containers.put(replace(now, started_ns=at))
    logger("cri").info("container.start", container=container.id, ms=round((time.perf_counter() - began) * 1000, 1))
