"""CreateContainer: image, layer, identity, runtime spec, conmon with the runtime's create; all of it or nothing."""

import asyncio
import json
import os
import platform
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from groundplane.aio import Undo
from groundplane.errors import Exists, Invalid, NotFound, WrongState
from groundplane.observe import logger
from groundplane.runtime import conmon, devices, generate, lifecycle, logs, mounts, resources, rootfs, signals, user
from groundplane.runtime.container import remove
from groundplane.runtime.exits import living
from groundplane.runtime.model import (
    Container,
    ContainerID,
    ContainerSpec,
    ContainerState,
    Image,
    Mount,
    NamespaceMode,
    ProfileKind,
    Sandbox,
    SandboxState,
    container_name,
)
from groundplane.runtime.node import Node, new_id
from groundplane.runtime.sandbox import files as sandbox_files
from groundplane.runtime.sandbox import infra
from groundplane.system import files

_APPARMOR_LOADED = Path("/sys/kernel/security/apparmor/profiles")
_TERM = 15


def check(spec: ContainerSpec, sandbox: Sandbox) -> None:
    """Raises Invalid for what cannot be given, before anything is done. Pure."""
    for mount in spec.mounts:
        mounts.check(mount)
    for device in spec.devices:
        resources.check_device(device)
    mine, pods = spec.security.namespaces, sandbox.spec.namespaces
    if mine.network is not pods.network and mine.network is not NamespaceMode.POD:
        raise Invalid("a container's network namespace is its pod's", to=f"container {spec.name}")
    if mine.ipc in (NamespaceMode.CONTAINER, NamespaceMode.TARGET):
        raise Invalid(f"ipc namespace cannot be {mine.ipc.name}", to=f"container {spec.name}", hint="use POD or NODE")
    if mine.pid is NamespaceMode.TARGET and not mine.target_id:
        raise Invalid("pid namespace TARGET needs target_id", to=f"container {spec.name}")


async def create(node: Node, sandbox_prefix: str, spec: ContainerSpec) -> ContainerID:
    """The container's id. A repeat of the same call gets the same id, whether the first has ended or not."""
    sandbox = node.sandbox(sandbox_prefix)
    if sandbox.state is not SandboxState.READY:
        raise WrongState("the pod sandbox is not ready", to=f"container {spec.name}", hint="run a new pod sandbox")
    check(spec, sandbox)
    name = container_name(spec, sandbox.spec.metadata)
    return await node.flights.join(("container.create", name), partial(_create, node, sandbox.id, spec, name))


async def _create(node: Node, sandbox_id: str, spec: ContainerSpec, name: str) -> ContainerID:
    began = time.perf_counter()
    sandbox = node.sandbox(sandbox_id)
    known = node.store.container_named(name, sandbox)
    if known is not None:
        if known.spec == spec and known.state is ContainerState.CREATED:
            return known.id
        raise Exists(
            f"{known.state.value} container {known.id[:13]} has this name",
            to=f"container {spec.name}",
            hint="remove it, or raise metadata.attempt",
        )
    image = await node.image(spec.image.image)
    if spec.security.namespaces.pid is NamespaceMode.POD and not living(sandbox.infra):
        async with node.flights.lock(sandbox.id):
            await infra.ensure(node, node.sandbox(sandbox.id))
    sandbox = node.sandbox(sandbox_id)
    if sandbox.state is not SandboxState.READY:  # stopped while this waited; from here to the record nothing waits
        raise WrongState("the pod sandbox is not ready", to=f"container {spec.name}", hint="run a new pod sandbox")
    identity = ContainerID(new_id())
    container = Container(
        id=identity,
        sandbox_id=sandbox.id,
        spec=spec,
        state=ContainerState.CREATING,
        created_ns=node.now_ns(),
        image_id=image.id,
        image_ref=image.ref,
        cgroup=f"{node.pod_cgroup(sandbox)}/{identity}",
        log_path=logs.path_of(spec, sandbox.spec),
        stop_signal=spec.stop_signal
        or (signals.parse(image.config.stop_signal) if image.config.stop_signal else _TERM),
    )
    async with node.flights.lock(container.id), Undo() as undo:
        undo.push("remove the container", partial(remove.clear, node, container))
        node.store.containers.put(container)
        container = await asyncio.to_thread(_build, node, container, sandbox, image)
        node.store.containers.put(container)
        node.exits.watch(container.id, init=container.init, shim=container.shim)
        undo.commit()
    logger("cri").info(
        "container.create",
        container=container.id,
        name=name,
        image=spec.image.image,
        ms=round((time.perf_counter() - began) * 1000, 1),
    )
    return container.id


def _build(node: Node, container: Container, sandbox: Sandbox, image: Image) -> Container:
    """The effects, in order; blocks. Raises whatever the first to fail raised: the caller undoes."""
    spec, bundle, root = container.spec, node.bundle(container.id), node.rootfs(container.id)
    files.ensure_directory(bundle, mode=0o711)  # a process with a mapped root passes through
    files.ensure_directory(root)
    node.layers.mount(container.id, image.id, root)
    passwd, group = rootfs.read_text(root, "/etc/passwd"), rootfs.read_text(root, "/etc/group")
    who = user.resolve(spec.security, image_user=image.config.user, passwd=passwd, group=group)
    resolved = replace(spec, mounts=tuple(_on_host(one) for one in spec.mounts))
    made = replace(container, identity=who)
    cwd = spec.working_dir or image.config.working_dir
    if cwd and cwd != "/":
        rootfs.ensure_directory(root, cwd, uid=who.uid, gid=who.gid)
    document = generate.container(
        replace(made, spec=resolved),
        sandbox,
        image.config,
        places=_places(node, made, sandbox),
        host=node.host,
        hostname=_hostname(sandbox),
    )
    for path in image.config.volumes:
        _anonymous_volume(document, bundle, path)
    files.replace(bundle / "config.json", json.dumps(document).encode(), durable=False)
    if made.log_path:
        Path(made.log_path).parent.mkdir(parents=True, exist_ok=True)
    init, shim = node.shim.create(
        conmon.Request(
            container=made.id,
            name=container_name(spec, sandbox.spec.metadata),
            bundle=bundle,
            log_path=made.log_path,
            terminal=spec.tty,
            stdin=spec.stdin,
            stdin_once=spec.stdin_once,
        ),
        node.engine_for(sandbox.spec),
    )
    state = lifecycle.container_after(made.state, lifecycle.ContainerEvent.CREATE, of=made.id)
    return replace(made, state=state, init=init, shim=shim)


def _hostname(sandbox: Sandbox) -> str:
    return sandbox_files.hostname(sandbox.spec) if sandbox.spec.own_network else platform.node()


def _on_host(mount: Mount) -> Mount:
    """Its source with links resolved; a missing one is made, as containerd does."""
    source = Path(os.path.realpath(mount.host_path))
    if not source.exists():
        source.mkdir(parents=True)
    return replace(mount, host_path=str(source))


def _anonymous_volume(document: dict[str, Any], bundle: Path, path: str) -> None:
    """A directory of its own for a volume of the image, unless a mount covers the path."""
    taken = {one["destination"] for one in document["mounts"]}
    if path in taken:
        return
    at = bundle / "volumes" / path.strip("/").replace("/", "_")
    files.ensure_directory(at)
    document["mounts"].append(
        {"destination": path, "type": "bind", "source": str(at), "options": ["rbind", "rw", "rprivate"]}
    )


def _places(node: Node, container: Container, sandbox: Sandbox) -> generate.Places:
    security = container.spec.security
    joined = node.pins.joined(sandbox.spec, sandbox.id)
    mode = security.namespaces.pid
    pid = ""
    if mode is NamespaceMode.POD:
        pid = f"/proc/{sandbox.infra.pid}/ns/pid"
    elif mode is NamespaceMode.TARGET:
        pid = f"/proc/{target(node, container).init.pid}/ns/pid"
    text = ""
    if security.seccomp is not None and security.seccomp.kind is ProfileKind.LOCALHOST:
        text = _profile_text(security.seccomp.ref)
    if security.apparmor is not None and security.apparmor.kind is ProfileKind.LOCALHOST and node.host.apparmor:
        _check_loaded(security.apparmor.ref)
    found = devices.every() if security.privileged else []
    for device in container.spec.devices:
        found += devices.find(device)
    ipc = "" if security.namespaces.ipc is NamespaceMode.NODE else joined.get("ipc", "")
    return generate.Places(
        rootfs=str(node.rootfs(container.id)),
        shared=sandbox_files.shared(sandbox.spec, node.sandbox_dir(sandbox.id)),
        net=joined.get("network", ""),
        ipc=ipc,
        uts=joined.get("uts", ""),
        pid=pid,
        own_pid=mode is NamespaceMode.CONTAINER,
        seccomp_text=text,
        devices=tuple(found),
    )


def target(node: Node, container: Container) -> Container:
    """The running container whose PID namespace is joined. Raises NotFound or WrongState."""
    wanted = node.container(container.spec.security.namespaces.target_id)
    if wanted.sandbox_id != container.sandbox_id:
        raise NotFound("is in another pod", to=f"target container {wanted.id[:13]}")
    if wanted.state is not ContainerState.RUNNING:
        raise WrongState("is not running", to=f"target container {wanted.id[:13]}")
    return wanted


def _profile_text(ref: str) -> str:
    if not ref.startswith("/"):
        raise Invalid("localhost_ref is not an absolute path", to=f"seccomp profile {ref!r}")
    try:
        return Path(ref).read_text()
    except OSError as unreadable:
        raise Invalid(f"cannot be read: {unreadable.strerror}", to=f"seccomp profile {ref}") from unreadable


def _check_loaded(name: str) -> None:
    loaded = {line.rpartition(" (")[0] for line in (files.read_optional(_APPARMOR_LOADED) or b"").decode().splitlines()}
    if name not in loaded:
        raise Invalid("is not loaded", to=f"AppArmor profile {name!r}", hint="load it with apparmor_parser")
