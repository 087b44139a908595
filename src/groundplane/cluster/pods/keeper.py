"""The daemon that keeps a host's pods running: look, decide (`plan`), do, and look again.

It looks once a second (CRI's own clients relist at that pace), at once on SIGHUP, and sooner while something is
still to be done. Everything it knows is in the runtime and in its configuration: it may be killed at any moment.
"""

import asyncio
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from groundplane.cluster.pods.model import (
    CONTAINER,
    HASH_ANNOTATION,
    OWNER_LABEL,
    Phase,
    SeenContainer,
    SeenSandbox,
    WantedPod,
)
from groundplane.cluster.pods.plan import Action, RemoveSandbox, RunContainer, RunSandbox, StartContainer, actions
from groundplane.errors import GroundplaneError
from groundplane.observe import logger, set_up
from groundplane.runtime.client import RuntimeClient
from groundplane.runtime.proto import api_pb2 as cri

_STEADY, _BUSY_FIRST, _BUSY_LONGEST = 1.0, 0.03, 1.0
_NS = 1_000_000_000
_PHASES = {
    cri.CONTAINER_CREATED: Phase.CREATED,
    cri.CONTAINER_RUNNING: Phase.RUNNING,
    cri.CONTAINER_EXITED: Phase.EXITED,
    cri.CONTAINER_UNKNOWN: Phase.UNKNOWN,
}
_log = logger("pods")


def main(config: Path) -> int:
    """Run until SIGTERM."""
    set_up()
    asyncio.run(_serve(config))
    return 0


def load(config: Path) -> tuple[Path, tuple[WantedPod, ...]]:
    """The runtime's socket and the pods wanted."""
    data = json.loads(config.read_bytes())
    return Path(data["socket"]), tuple(WantedPod.from_json(pod) for pod in data["pods"])


async def _serve(config: Path) -> None:
    loop = asyncio.get_running_loop()
    stop, look = asyncio.Event(), asyncio.Event()

    def end() -> None:
        stop.set()
        look.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    loop.add_signal_handler(signal.SIGHUP, look.set)
    socket, wanted = load(config)
    pause = _BUSY_FIRST
    async with RuntimeClient(socket) as client:
        while not stop.is_set():
            look.clear()
            try:
                _, wanted = load(config)
                busy = await _converge(client, wanted)
            except (GroundplaneError, OSError, ValueError) as failed:
                _log.warning("pods.look.failed", error=str(failed))
                busy = True
            pause = min(pause * 1.5, _BUSY_LONGEST) if busy else _BUSY_FIRST
            try:
                async with asyncio.timeout(pause if busy else _STEADY):
                    await look.wait()
            except TimeoutError:
                continue


async def _converge(client: RuntimeClient, wanted: Sequence[WantedPod]) -> bool:
    """One look and its actions; True while there is more to do."""
    todo = actions(wanted, await observe(client), now=time.time())

    async def serve(key: str, steps: Sequence[Action]) -> None:
        try:
            for step in steps:
                await _do(client, step)
        except GroundplaneError as failed:
            _log.warning("pods.action.failed", pod=key, action=type(step).__name__, error=str(failed))

    async with asyncio.TaskGroup() as group:
        for key, steps in todo.items():
            group.create_task(serve(key, steps))
    return bool(todo)


async def observe(client: RuntimeClient) -> list[SeenSandbox]:
    """The keeper's sandboxes and their containers."""
    mine = {OWNER_LABEL: "cluster"}
    sandboxes = await client.call(
        "ListPodSandbox", cri.ListPodSandboxRequest(filter=cri.PodSandboxFilter(label_selector=mine))
    )
    containers = await client.call(
        "ListContainers", cri.ListContainersRequest(filter=cri.ContainerFilter(label_selector=mine))
    )
    inside: dict[str, list[SeenContainer]] = {}
    for found in containers.containers:
        ended = 0.0
        if found.state == cri.CONTAINER_EXITED:
            status = await client.call("ContainerStatus", cri.ContainerStatusRequest(container_id=found.id))
            ended = status.status.finished_at / _NS
        inside.setdefault(found.pod_sandbox_id, []).append(
            SeenContainer(
                id=found.id,
                phase=_PHASES[found.state],
                attempt=found.metadata.attempt,
                created=found.created_at / _NS,
                ended=ended,
            )
        )
    return [
        SeenSandbox(
            id=found.id,
            key=f"{found.metadata.namespace}/{found.metadata.name}",
            digest=found.annotations.get(HASH_ANNOTATION, ""),
            ready=found.state == cri.SANDBOX_READY,
            attempt=found.metadata.attempt,
            created=found.created_at / _NS,
            containers=tuple(inside.get(found.id, ())),
        )
        for found in sandboxes.items
    ]


async def _do(client: RuntimeClient, action: Action) -> None:
    match action:
        case RemoveSandbox(sandbox=sandbox, key=key):
            await client.call("StopPodSandbox", cri.StopPodSandboxRequest(pod_sandbox_id=sandbox))
            await client.call("RemovePodSandbox", cri.RemovePodSandboxRequest(pod_sandbox_id=sandbox))
            _log.info("pods.removed", pod=key, sandbox=sandbox)
        case RunSandbox(pod=pod, attempt=attempt):
            config = _sandbox_config(pod, attempt)
            answer = await client.call("RunPodSandbox", cri.RunPodSandboxRequest(config=config))
            await _run_container(client, pod, answer.pod_sandbox_id, config, 0)
        case RunContainer(pod=pod, sandbox=sandbox, attempt=attempt):
            for old in action.replaces:
                await client.call("RemoveContainer", cri.RemoveContainerRequest(container_id=old))
            await _run_container(client, pod, sandbox, _sandbox_config(pod, action.sandbox_attempt), attempt)
        case StartContainer(container=container):
            await client.call("StartContainer", cri.StartContainerRequest(container_id=container))


async def _run_container(client: RuntimeClient, pod: WantedPod, sandbox: str, config: Any, attempt: int) -> None:
    answer = await client.call(
        "CreateContainer",
        cri.CreateContainerRequest(
            pod_sandbox_id=sandbox, config=_container_config(pod, attempt), sandbox_config=config
        ),
    )
    await client.call("StartContainer", cri.StartContainerRequest(container_id=answer.container_id))
    _log.info("pods.started", pod=pod.key, sandbox=sandbox, container=answer.container_id, attempt=attempt)


def _labels(pod: WantedPod) -> dict[str, str]:
    return {
        **pod.labels,
        OWNER_LABEL: "cluster",
        "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": pod.namespace,
        "io.kubernetes.pod.uid": pod.uid,
    }


def _sandbox_config(pod: WantedPod, attempt: int) -> Any:
    options = cri.NamespaceOption(network=cri.POD, pid=cri.CONTAINER, ipc=cri.POD)
    return cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(name=pod.name, namespace=pod.namespace, uid=pod.uid, attempt=attempt),
        hostname=pod.name,
        log_directory=f"/var/log/pods/{pod.namespace}_{pod.name}_{pod.uid}",
        labels=_labels(pod),
        annotations={HASH_ANNOTATION: pod.digest},
        linux=cri.LinuxPodSandboxConfig(security_context=cri.LinuxSandboxSecurityContext(namespace_options=options)),
    )


def _container_config(pod: WantedPod, attempt: int) -> Any:
    options = cri.NamespaceOption(network=cri.POD, pid=cri.CONTAINER, ipc=cri.POD)
    return cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name=CONTAINER, attempt=attempt),
        image=cri.ImageSpec(image=pod.image),
        command=pod.command,
        args=pod.args,
        envs=[cri.KeyValue(key=key, value=value.encode()) for key, value in pod.env],
        labels={**_labels(pod), "io.kubernetes.container.name": CONTAINER},
        log_path=f"{CONTAINER}/{attempt}.log",
        linux=cri.LinuxContainerConfig(
            security_context=cri.LinuxContainerSecurityContext(
                namespace_options=options,
                seccomp=cri.SecurityProfile(profile_type=cri.SecurityProfile.RuntimeDefault),
            )
        ),
    )
