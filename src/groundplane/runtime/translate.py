"""CRI messages into the model's words: the one place where a request is checked for shape.

Any message field may be absent. A missing required part raises Invalid, naming the field; nothing here crashes on an
empty request. What this runtime does not build is refused here by name, so that nobody is given less than was asked.
"""

from typing import Any

from groundplane.errors import Invalid, Unimplemented
from groundplane.runtime import signals
from groundplane.runtime.model import (
    DNS,
    ContainerSpec,
    Device,
    ImageRequest,
    Metadata,
    Mount,
    NamespaceMode,
    Namespaces,
    Port,
    Profile,
    ProfileKind,
    Propagation,
    Resources,
    SandboxSpec,
    Security,
    SELinux,
)
from groundplane.runtime.proto import api_pb2 as pb

_PROTOCOLS = ("tcp", "udp", "sctp")
_STRICT = 1


def required(message: Any, field: str) -> Any:
    """A sub-message that must be there. Raises Invalid."""
    if not message.HasField(field):
        raise Invalid(f"{field} is missing", to=type(message).__name__)
    return getattr(message, field)


def identity(text: str, what: str) -> str:
    """A non-empty id. Raises Invalid."""
    if not text:
        raise Invalid(f"{what} is empty", to="request")
    return text


def sandbox(config: pb.PodSandboxConfig, *, handler: str) -> SandboxSpec:
    """RunPodSandbox's config."""
    meta = required(config, "metadata")
    for field in ("name", "namespace", "uid"):
        if not getattr(meta, field):
            raise Invalid(f"metadata.{field} is empty", to="PodSandboxConfig")
    security = config.linux.security_context
    if security.namespace_options.userns_options.mode == pb.NamespaceMode.POD and _has_user_namespace(security):
        raise _no_user_namespaces()
    return SandboxSpec(
        metadata=Metadata(name=meta.name, namespace=meta.namespace, uid=meta.uid, attempt=meta.attempt),
        hostname=config.hostname,
        log_directory=config.log_directory,
        dns=DNS(
            servers=tuple(config.dns_config.servers),
            searches=tuple(config.dns_config.searches),
            options=tuple(config.dns_config.options),
        ),
        ports=tuple(
            Port(
                protocol=_PROTOCOLS[one.protocol],
                container_port=one.container_port,
                host_port=one.host_port,
                host_ip=one.host_ip,
            )
            for one in config.port_mappings
        ),
        labels=dict(config.labels),
        annotations=dict(config.annotations),
        cgroup_parent=config.linux.cgroup_parent,
        namespaces=_namespaces(security),
        privileged=security.privileged,
        sysctls=dict(config.linux.sysctls),
        handler=handler,
    )


def _has_user_namespace(security: Any) -> bool:
    return bool(security.HasField("namespace_options") and security.namespace_options.HasField("userns_options"))


def _no_user_namespaces() -> Unimplemented:
    return Unimplemented("user namespaces are not built", to="userns_options", hint="use mode NODE")


def _namespaces(security: Any) -> Namespaces:
    options = security.namespace_options
    try:
        return Namespaces(
            network=NamespaceMode(options.network),
            pid=NamespaceMode(options.pid),
            ipc=NamespaceMode(options.ipc),
            target_id=options.target_id,
        )
    except ValueError as unknown:
        raise Invalid(str(unknown), to="namespace_options") from unknown


def container(config: pb.ContainerConfig) -> ContainerSpec:
    """CreateContainer's config."""
    meta = required(config, "metadata")
    if not meta.name:
        raise Invalid("metadata.name is empty", to="ContainerConfig")
    image = required(config, "image")
    if not image.image:
        raise Invalid("image.image is empty", to="ContainerConfig")
    if config.CDI_devices:
        raise Unimplemented("CDI devices are not built", to="ContainerConfig.CDI_devices", hint="use devices")
    context = config.linux.security_context
    if _has_user_namespace(context) and context.namespace_options.userns_options.mode == pb.NamespaceMode.POD:
        raise _no_user_namespaces()
    return ContainerSpec(
        name=meta.name,
        attempt=meta.attempt,
        image=image_request(image),
        command=tuple(config.command),
        args=tuple(config.args),
        working_dir=config.working_dir,
        envs=tuple((one.key, _text(one.value, one.key)) for one in config.envs),
        mounts=tuple(_mount(one) for one in config.mounts),
        devices=tuple(
            Device(container_path=one.container_path, host_path=one.host_path, permissions=one.permissions or "rwm")
            for one in config.devices
        ),
        labels=dict(config.labels),
        annotations=dict(config.annotations),
        log_path=config.log_path,
        stdin=config.stdin,
        stdin_once=config.stdin_once,
        tty=config.tty,
        resources=resources(config.linux.resources),
        security=_security(context),
        stop_signal=_signal(config.stop_signal),
    )


def _text(value: bytes, key: str) -> str:
    """An environment variable's value: bytes on the wire, but the runtime specification is JSON, which is text."""
    try:
        return value.decode()
    except UnicodeDecodeError as bad:
        raise Invalid("its value is not UTF-8", to=f"environment variable {key}") from bad


def _signal(number: int) -> int:
    return signals.parse(pb.Signal.Name(number)) if number else 0


def image_request(image: Any) -> ImageRequest:
    """How an image was named."""
    return ImageRequest(
        image=image.image,
        annotations=dict(image.annotations),
        user_specified=image.user_specified_image,
        handler=image.runtime_handler,
    )


def _mount(mount: Any) -> Mount:
    if mount.HasField("image") and mount.image.image:
        raise Unimplemented("image volumes are not built", to=f"mount {mount.container_path}")
    if mount.uidMappings or mount.gidMappings:
        raise Unimplemented("id-mapped mounts are not built", to=f"mount {mount.container_path}")
    return Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.readonly,
        recursive_read_only=mount.recursive_read_only,
        selinux_relabel=mount.selinux_relabel,
        propagation=Propagation(mount.propagation),
        options=tuple(mount.mount_options),
    )


def resources(found: Any) -> Resources:
    """LinuxContainerResources; absent is all zero."""
    return Resources(
        cpu_period=found.cpu_period,
        cpu_quota=found.cpu_quota,
        cpu_shares=found.cpu_shares,
        memory_limit_bytes=found.memory_limit_in_bytes,
        memory_swap_limit_bytes=found.memory_swap_limit_in_bytes,
        oom_score_adj=found.oom_score_adj,
        cpuset_cpus=found.cpuset_cpus,
        cpuset_mems=found.cpuset_mems,
        hugepage_limits={one.page_size: one.limit for one in found.hugepage_limits},
        unified=dict(found.unified),
    )


def _security(context: Any) -> Security:
    selinux = context.selinux_options
    if context.supplemental_groups_policy not in (0, _STRICT):
        raise Invalid(
            f"supplemental_groups_policy {context.supplemental_groups_policy} is unknown", to="security context"
        )
    return Security(
        privileged=context.privileged,
        capabilities_add=tuple(context.capabilities.add_capabilities),
        capabilities_drop=tuple(context.capabilities.drop_capabilities),
        capabilities_ambient=tuple(context.capabilities.add_ambient_capabilities),
        namespaces=_namespaces(context),
        selinux=SELinux(user=selinux.user, role=selinux.role, type=selinux.type, level=selinux.level),
        run_as_user=context.run_as_user.value if context.HasField("run_as_user") else None,
        run_as_group=context.run_as_group.value if context.HasField("run_as_group") else None,
        run_as_username=context.run_as_username,
        readonly_rootfs=context.readonly_rootfs,
        supplemental_groups=tuple(context.supplemental_groups),
        strict_groups=context.supplemental_groups_policy == _STRICT,
        no_new_privs=context.no_new_privs,
        masked_paths=tuple(context.masked_paths),
        readonly_paths=tuple(context.readonly_paths),
        seccomp=_profile(context, "seccomp", context.seccomp_profile_path),
        apparmor=_profile(context, "apparmor", context.apparmor_profile),
    )


def _profile(context: Any, field: str, old: str) -> Profile | None:
    """The new message wins; without it the deprecated string decides. An empty message means the runtime's default."""
    if context.HasField(field):
        found = getattr(context, field)
        kind = ProfileKind(found.profile_type)
        if kind is not ProfileKind.LOCALHOST and found.localhost_ref:
            raise Invalid("localhost_ref needs profile_type Localhost", to=f"{field} profile")
        if kind is ProfileKind.LOCALHOST and not found.localhost_ref:
            raise Invalid("profile_type Localhost needs localhost_ref", to=f"{field} profile")
        return Profile(kind=kind, ref=found.localhost_ref)
    if not old:
        return None
    if old == "unconfined":
        return Profile(kind=ProfileKind.UNCONFINED)
    if old in ("runtime/default", "docker/default"):
        return Profile(kind=ProfileKind.RUNTIME_DEFAULT)
    if old.startswith("localhost/"):
        return Profile(kind=ProfileKind.LOCALHOST, ref=old.removeprefix("localhost/"))
    raise Invalid(
        f"{old!r} is not a profile", to=f"{field} profile", hint="use runtime/default, unconfined, localhost/…"
    )
