"""Start and end the process that holds a pod's shared PID namespace."""

import asyncio
import json
import os
from dataclasses import replace
from datetime import timedelta

from groundplane.observe import logger
from groundplane.runtime import conmon, generate, lifecycle
from groundplane.runtime import infra as program
from groundplane.runtime.exits import living, open_living
from groundplane.runtime.model import ContainerID, Process, Sandbox, SandboxState
from groundplane.runtime.node import Node
from groundplane.system import files, process

_KILL_LIMIT = timedelta(seconds=10)


async def ensure(node: Node, sandbox: Sandbox) -> Sandbox:
    """The sandbox with its infra process running; recorded. One caller at a time per sandbox."""
    if living(sandbox.infra):
        return sandbox
    engine = node.engine_for(sandbox.spec)
    bundle = node.sandbox_dir(sandbox.id) / "infra"
    spec = generate.infra(
        sandbox,
        rootfs=str(bundle / "rootfs"),
        cgroup=f"{node.pod_cgroup(sandbox)}/infra-{sandbox.id}",
        pins=node.pins.joined(sandbox.spec, sandbox.id),
        host=node.host,
    )

    def start() -> Process:
        program.write_rootfs(bundle / "rootfs")
        files.replace(bundle / "config.json", json.dumps(spec).encode(), durable=False)
        pid = engine.run_detached(
            ContainerID(sandbox.id), bundle=bundle, before=conmon.before_create(node.cgroups.version)
        )
        return Process(pid=pid, start=process.start_time(pid))

    started = replace(sandbox, infra=await asyncio.to_thread(start))
    node.store.sandboxes.put(started)
    watch(node, started)
    return started


def watch(node: Node, sandbox: Sandbox) -> None:
    """Once its infra process ends unasked, a pod is not ready any more: its containers' PID namespace is gone."""
    fd = open_living(sandbox.infra)
    if fd is None:
        return
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        now = node.store.sandboxes.all.get(sandbox.id)
        if now is not None and now.state is SandboxState.READY and now.infra == sandbox.infra:
            logger("cri").warning("sandbox.infra-ended", sandbox=sandbox.id)
            state = lifecycle.sandbox_after(now.state, lifecycle.SandboxEvent.LOST, of=now.id)
            node.store.sandboxes.put(replace(now, state=state))

    loop.add_reader(fd, ended)


async def end(node: Node, sandbox: Sandbox) -> None:
    """Kill it, and with it all that is left in its PID namespace; gone or never there is fine."""
    if (node.sandbox_dir(sandbox.id) / "infra").exists():
        if living(sandbox.infra):  # the runtime's own delete would wait for it in steps
            await asyncio.to_thread(process.kill_and_wait, sandbox.infra.pid, within=_KILL_LIMIT)
        await node.engine_for(sandbox.spec).delete(ContainerID(sandbox.id))
