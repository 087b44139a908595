"""The model's words as CRI messages."""

from collections.abc import Iterable
from typing import Any

from groundplane.runtime import signals
from groundplane.runtime.model import (
    Container,
    ContainerState,
    Image,
    ImageRequest,
    Metadata,
    Mount,
    Namespaces,
    Resources,
    Sandbox,
    SandboxState,
)
from groundplane.runtime.proto import api_pb2 as pb

_CONTAINER_STATE: dict[ContainerState, Any] = {
    ContainerState.CREATING: pb.CONTAINER_UNKNOWN,
    ContainerState.CREATED: pb.CONTAINER_CREATED,
    ContainerState.RUNNING: pb.CONTAINER_RUNNING,
    ContainerState.EXITED: pb.CONTAINER_EXITED,
    ContainerState.UNKNOWN: pb.CONTAINER_UNKNOWN,
}


def container_state(state: ContainerState) -> Any:
    """CRI's number for it."""
    return _CONTAINER_STATE[state]


def sandbox_state(state: SandboxState) -> Any:
    """CRI's number for it."""
    return pb.SANDBOX_READY if state is SandboxState.READY else pb.SANDBOX_NOTREADY


def _metadata(meta: Metadata) -> pb.PodSandboxMetadata:
    return pb.PodSandboxMetadata(name=meta.name, namespace=meta.namespace, uid=meta.uid, attempt=meta.attempt)


def sandbox(found: Sandbox) -> pb.PodSandbox:
    """A list's entry."""
    return pb.PodSandbox(
        id=found.id,
        metadata=_metadata(found.spec.metadata),
        state=sandbox_state(found.state),
        created_at=found.created_ns,
        labels=found.spec.labels,
        annotations=found.spec.annotations,
        runtime_handler=found.spec.handler,
    )


def _options(namespaces: Namespaces) -> pb.NamespaceOption:
    return pb.NamespaceOption(
        network=_mode(namespaces.network.value),
        pid=_mode(namespaces.pid.value),
        ipc=_mode(namespaces.ipc.value),
        target_id=namespaces.target_id,
    )


def _mode(number: int) -> Any:
    return number


def sandbox_status(found: Sandbox) -> pb.PodSandboxStatus:
    """PodSandboxStatus."""
    return pb.PodSandboxStatus(
        id=found.id,
        metadata=_metadata(found.spec.metadata),
        state=sandbox_state(found.state),
        created_at=found.created_ns,
        network=pb.PodSandboxNetworkStatus(
            ip=found.ips[0] if found.ips else "", additional_ips=[pb.PodIP(ip=one) for one in found.ips[1:]]
        ),
        linux=pb.LinuxPodSandboxStatus(namespaces=pb.Namespace(options=_options(found.spec.namespaces))),
        labels=found.spec.labels,
        annotations=found.spec.annotations,
        runtime_handler=found.spec.handler,
    )


def _image_spec(asked: ImageRequest) -> pb.ImageSpec:
    return pb.ImageSpec(
        image=asked.image,
        annotations=asked.annotations,
        user_specified_image=asked.user_specified,
        runtime_handler=asked.handler,
    )


def container(found: Container) -> pb.Container:
    """A list's entry."""
    return pb.Container(
        id=found.id,
        pod_sandbox_id=found.sandbox_id,
        metadata=pb.ContainerMetadata(name=found.spec.name, attempt=found.spec.attempt),
        image=_image_spec(found.spec.image),
        image_ref=found.image_ref,
        image_id=found.image_id,
        state=container_state(found.state),
        created_at=found.created_ns,
        labels=found.spec.labels,
        annotations=found.spec.annotations,
    )


def _mount(mount: Mount) -> pb.Mount:
    return pb.Mount(
        container_path=mount.container_path,
        host_path=mount.host_path,
        readonly=mount.readonly,
        recursive_read_only=mount.recursive_read_only,
        selinux_relabel=mount.selinux_relabel,
        propagation=_mode(mount.propagation.value),
        mount_options=mount.options,
    )


def resources(found: Resources) -> pb.ContainerResources:
    """What is in force."""
    return pb.ContainerResources(
        linux=pb.LinuxContainerResources(
            cpu_period=found.cpu_period,
            cpu_quota=found.cpu_quota,
            cpu_shares=found.cpu_shares,
            memory_limit_in_bytes=found.memory_limit_bytes,
            memory_swap_limit_in_bytes=found.memory_swap_limit_bytes,
            oom_score_adj=found.oom_score_adj,
            cpuset_cpus=found.cpuset_cpus,
            cpuset_mems=found.cpuset_mems,
            hugepage_limits=[
                pb.HugepageLimit(page_size=size, limit=limit) for size, limit in found.hugepage_limits.items()
            ],
            unified=found.unified,
        )
    )


def container_status(found: Container) -> pb.ContainerStatus:
    """ContainerStatus: only the mounts that the client asked for."""
    identity = found.identity
    return pb.ContainerStatus(
        id=found.id,
        metadata=pb.ContainerMetadata(name=found.spec.name, attempt=found.spec.attempt),
        state=container_state(found.state),
        created_at=found.created_ns,
        started_at=found.started_ns,
        finished_at=found.finished_ns,
        exit_code=found.exit_code,
        image=_image_spec(found.spec.image),
        image_ref=found.image_ref,
        image_id=found.image_id,
        reason=found.reason,
        message=found.message,
        labels=found.spec.labels,
        annotations=found.spec.annotations,
        mounts=[_mount(one) for one in found.spec.mounts],
        log_path=found.log_path,
        resources=resources(found.spec.resources),
        user=pb.ContainerUser(
            linux=pb.LinuxContainerUser(uid=identity.uid, gid=identity.gid, supplemental_groups=identity.groups)
        ),
        stop_signal=signals.cri_name(found.stop_signal),
    )


def image(found: Image) -> pb.Image:
    """An image, with the user it wants: a number or a name, never both, neither where it says nothing."""
    user = found.config.user.partition(":")[0]
    answer = pb.Image(
        id=found.id,
        repo_tags=found.tags,
        repo_digests=found.digests,
        size=found.size_bytes,
        spec=pb.ImageSpec(image=found.id),
    )
    if user.isdigit():
        answer.uid.value = int(user)
    elif user:
        answer.username = user
    return answer


def selected(labels: dict[str, str], selector: Iterable[tuple[str, str]]) -> bool:
    """Whether every pair of the selector is among the labels."""
    return all(labels.get(key) == value for key, value in selector)
