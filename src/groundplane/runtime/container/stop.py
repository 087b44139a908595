"""StopContainer: the stop signal once, patience, then SIGKILL to the cgroup. A client that leaves changes nothing."""

import asyncio
import signal
from dataclasses import replace
from datetime import timedelta
from functools import partial

from groundplane.errors import DeadlineExceeded, NotFound
from groundplane.observe import logger
from groundplane.runtime.model import Container, ContainerState
from groundplane.runtime.node import Hurry, Node

_AFTER_KILL = timedelta(seconds=10)  # a process in uninterruptible sleep may outlast SIGKILL
_ENDED = (ContainerState.CREATED, ContainerState.EXITED)


async def stop(node: Node, prefix: str, *, timeout_s: int) -> None:
    """Unknown, created and exited are fine. A second call with a shorter timeout shortens the first one's wait."""
    try:
        container = node.container(prefix)
    except NotFound:
        return  # CRI: not an error
    if container.state in _ENDED:
        return
    loop = asyncio.get_running_loop()
    deadline = loop.time() + max(0, timeout_s)
    under_way = node.stop_before.get(container.id)
    if under_way is not None:
        under_way.no_later_than(deadline)
    await node.flights.join(("container.stop", container.id), partial(_stop, node, container.id, deadline))


async def _stop(node: Node, identity: str, deadline: float) -> None:
    async with node.flights.lock(identity):
        container = node.container(identity)
        if container.state in _ENDED:
            return
        hurry = node.stop_before.setdefault(container.id, Hurry(deadline=deadline))
        try:
            await _end(node, container, hurry)
        finally:
            node.stop_before.pop(container.id, None)


async def _end(node: Node, container: Container, hurry: Hurry) -> None:
    loop = asyncio.get_running_loop()
    engine = node.engine_for(node.sandbox_of(container).spec)
    if hurry.deadline > loop.time():
        if not container.terminated_ns:
            # Recorded first: after a crash in between, the signal was perhaps not sent, and SIGKILL follows anyway.
            node.store.containers.put(replace(container, terminated_ns=node.now_ns()))
            await engine.kill(container.id, container.stop_signal)
        if await _patience(node, container, hurry):
            return
    await kill(node, container)


async def _patience(node: Node, container: Container, hurry: Hurry) -> bool:
    """Wait for the end until the deadline, which may move nearer. Whether it ended."""
    loop = asyncio.get_running_loop()
    while (left := hurry.deadline - loop.time()) > 0:
        hurry.changed.clear()
        ended = asyncio.ensure_future(node.wait_exit(container.id, within=timedelta(seconds=left)))
        sooner = asyncio.ensure_future(hurry.changed.wait())
        try:
            await asyncio.wait((ended, sooner), return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and ended.result():
                return True
        finally:
            ended.cancel()
            sooner.cancel()
    return False


async def kill(node: Node, container: Container) -> None:
    """SIGKILL init and all in its cgroup, and see it end. Raises DeadlineExceeded if it does not."""
    engine = node.engine_for(node.sandbox_of(container).spec)
    try:
        await engine.kill(container.id, signal.SIGKILL)
    finally:
        await asyncio.to_thread(node.cgroups.kill_all, container.cgroup)
    if not await node.wait_exit(container.id, within=_AFTER_KILL):
        raise DeadlineExceeded(
            "does not end after SIGKILL",
            to=f"container {container.id[:13]}",
            hint="its process waits in the kernel: look for a dead disk or file server, then stop it again",
        )
    logger("cri").info("container.killed", container=container.id)
