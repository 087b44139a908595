"""Carry out recovery, before the first call is served: evidence, verdicts (`recover`), cleaning up after a crash."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from groundplane.errors import GroundplaneError
from groundplane.observe import logger
from groundplane.runtime import conmon, engine, recover
from groundplane.runtime.container import remove as remove_container
from groundplane.runtime.exits import living, read_exit
from groundplane.runtime.model import Container, ContainerID, ContainerState, Sandbox, SandboxID
from groundplane.runtime.node import Node, boot_key
from groundplane.runtime.sandbox import files as sandbox_files
from groundplane.runtime.sandbox import infra
from groundplane.runtime.sandbox import stop as stop_sandbox
from groundplane.system import netns

_ONE_CONTAINER = timedelta(seconds=10)  # one that hangs must not hold up the rest


async def restore(node: Node) -> None:
    """Bring every record to what is true now."""
    key = boot_key()
    rebooted = node.store.fact("boot") not in ("", key)
    sandboxes = list(node.store.sandboxes.all.values())
    for sandbox in sandboxes:
        _judge_sandbox(node, sandbox, rebooted=rebooted)
    async with asyncio.TaskGroup() as group:
        for container in list(node.store.containers.all.values()):
            group.create_task(_judge_container(node, container, rebooted=rebooted))
    for sandbox in sandboxes:
        if sandbox.state.value == "starting":
            await _roll_back(node, sandbox)
    await _orphans(node)
    node.store.remember("boot", key)
    logger("cri").info(
        "restore",
        rebooted=rebooted,
        sandboxes=len(node.store.sandboxes.all),
        containers=len(node.store.containers.all),
    )


def _judge_sandbox(node: Node, sandbox: Sandbox, *, rebooted: bool) -> None:
    seen = recover.SandboxEvidence(
        pins_intact=not rebooted and node.pins.intact(sandbox.spec, sandbox.id),
        infra_alive=not sandbox.infra.pid or (not rebooted and living(sandbox.infra)),
    )
    _, now = recover.sandbox(sandbox, seen)
    infra.watch(node, now)
    if now is not sandbox:
        node.store.sandboxes.put(now)
        logger("cri").warning("sandbox.lost", sandbox=sandbox.id, rebooted=rebooted)


async def _judge_container(node: Node, container: Container, *, rebooted: bool) -> None:
    container = _with_processes(node, container)
    alive = not rebooted and living(container.init)
    status = ""
    if alive and container.state is ContainerState.CREATED:
        try:
            async with asyncio.timeout(_ONE_CONTAINER.total_seconds()):
                found = await node.engine_for(node.sandbox_of(container).spec).state(container.id)
        except (GroundplaneError, TimeoutError) as unknown:
            logger("cri").warning("container.unknown", container=container.id, why=str(unknown))
            found = None
        status = str(found.get("status", "")) if found else ""
    seen = recover.ContainerEvidence(
        exit=None if rebooted else read_exit(node.exit_dir, container.id),
        init_alive=alive,
        engine_status=status,
        oom_killed=(node.bundle(container.id) / "oom").exists() or node.cgroups.oom_kills(container.cgroup) > 0,
        now_ns=node.now_ns(),
    )
    if seen.exit is None and container.state is ContainerState.RUNNING and not alive and living(container.shim):
        # Init has just ended and conmon is about to write its code: let the watch tell.
        node.exits.watch(container.id, init=container.init, shim=container.shim)
        return
    fate, now = recover.container(container, seen)
    match fate:
        case recover.Fate.ROLL_BACK:
            await _clear_container(node, container)
        case recover.Fate.WATCH:
            node.store.containers.put(now)
            node.exits.watch(now.id, init=now.init, shim=now.shim)
        case recover.Fate.KEEP:
            if now is not container:
                node.store.containers.put(now)


def _with_processes(node: Node, container: Container) -> Container:
    """A record of a create that was cut short may lack them: the bundle's pid files tell."""
    if container.init.pid:
        return container
    bundle = node.bundle(container.id)
    return replace(container, init=conmon.find_init(bundle), shim=conmon.find(bundle))


async def _clear_container(node: Node, container: Container) -> None:
    try:
        if living(container.shim):  # its create may be under way still
            await asyncio.to_thread(engine.kill_family, container.shim.pid)
        await asyncio.to_thread(node.cgroups.kill_all, container.cgroup)
        await remove_container.clear(node, container)
    except (GroundplaneError, OSError) as stuck:
        logger("cri").error("container.rollback", container=container.id, why=str(stuck))


async def _roll_back(node: Node, sandbox: Sandbox) -> None:
    """Undo a run that a crash cut short. What cannot be undone now stays listed, for a client to stop and remove."""
    try:
        if sandbox.attached:
            pin = node.pins.path("net", sandbox.id)
            await node.network.detach(sandbox.id, sandbox.spec, pin if netns.pinned(pin) else None)
        await stop_sandbox.clear(node, sandbox)
        node.store.sandboxes.delete(sandbox.id)
    except (GroundplaneError, OSError) as stuck:
        logger("cri").error("sandbox.rollback", sandbox=sandbox.id, why=str(stuck))
        node.store.sandboxes.put(stop_sandbox.stopped(sandbox))


async def _orphans(node: Node) -> None:
    """Pins, bundles and pod directories that no record knows."""
    for identity in node.pins.known() - set(node.store.sandboxes.all):
        node.pins.remove(identity)
    for kind, known in (("containers", node.store.containers.all), ("sandboxes", node.store.sandboxes.all)):
        for path in (node.config.state / kind).iterdir():
            if path.name in known:
                continue
            logger("cri").warning("orphan", path=str(path))
            if kind == "containers":
                await asyncio.to_thread(remove_container.clear_files, node, ContainerID(path.name))
            else:
                await asyncio.to_thread(sandbox_files.remove, node.sandbox_dir(SandboxID(path.name)))
