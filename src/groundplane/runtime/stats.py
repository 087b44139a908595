"""Usage of containers and pods, read from cgroup files and the pod's network: no process is started, no tree walked."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundplane.errors import GroundplaneError
from groundplane.runtime.model import Container, ContainerState, Sandbox, SandboxState
from groundplane.runtime.node import Node
from groundplane.runtime.proto import api_pb2 as pb
from groundplane.system import netns
from groundplane.system.cgroup import Usage

_WALK_EVERY_NS = 10 * 10**9
_NET_DEV_FIELDS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """One interface's line in /proc/net/dev."""

    name: str
    rx_bytes: int
    rx_errors: int
    tx_bytes: int
    tx_errors: int


def parse_net_dev(text: str) -> list[Counters]:
    """Every interface but `lo`. Pure."""
    found = []
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        numbers = rest.split()
        if colon and len(numbers) >= _NET_DEV_FIELDS and name.strip() != "lo":
            found.append(
                Counters(
                    name=name.strip(),
                    rx_bytes=int(numbers[0]),
                    rx_errors=int(numbers[2]),
                    tx_bytes=int(numbers[8]),
                    tx_errors=int(numbers[10]),
                )
            )
    return found


def _value(number: int) -> pb.UInt64Value:
    return pb.UInt64Value(value=number)


def _cpu(node: Node, key: str, usage: Usage, now: int) -> pb.CpuUsage:
    """Usage so far and, from the second look on, the rate since an earlier one."""
    answer = pb.CpuUsage(timestamp=now, usage_core_nano_seconds=_value(usage.cpu_ns))
    earlier = node.cpu_samples.get(key)
    rate = earlier[2] if earlier else 0
    if earlier and now - earlier[0] >= 10**8:
        rate = max(0, (usage.cpu_ns - earlier[1]) * 10**9 // (now - earlier[0]))
    if earlier is None or now - earlier[0] >= 10**8:
        node.cpu_samples[key] = (now, usage.cpu_ns, rate)
    if earlier:
        answer.usage_nano_cores.value = rate
    return answer


def _memory(usage: Usage, now: int) -> pb.MemoryUsage:
    return pb.MemoryUsage(
        timestamp=now,
        working_set_bytes=_value(usage.working_set_bytes),
        available_bytes=_value(usage.available_bytes),
        usage_bytes=_value(usage.memory_bytes),
        rss_bytes=_value(usage.rss_bytes),
        page_faults=_value(usage.page_faults),
        major_page_faults=_value(usage.major_page_faults),
    )


def container(node: Node, found: Container) -> pb.ContainerStats:
    """One container's usage; zeroes where it does not run."""
    now = time.time_ns()
    usage = (node.cgroups.usage(found.cgroup) if found.state is ContainerState.RUNNING else None) or Usage()
    return pb.ContainerStats(
        attributes=pb.ContainerAttributes(
            id=found.id,
            metadata=pb.ContainerMetadata(name=found.spec.name, attempt=found.spec.attempt),
            labels=found.spec.labels,
            annotations=found.spec.annotations,
        ),
        cpu=_cpu(node, found.id, usage, now),
        memory=_memory(usage, now),
        swap=pb.SwapUsage(
            timestamp=now,
            swap_usage_bytes=_value(usage.swap_bytes),
            swap_available_bytes=_value(max(0, usage.swap_limit_bytes - usage.swap_bytes)),
        ),
        writable_layer=_writable(node, found, now),
    )


def sandbox(node: Node, found: Sandbox) -> pb.PodSandboxStats:
    """A pod's usage: its cgroup, its network, its containers."""
    now = time.time_ns()
    usage = (node.cgroups.usage(node.pod_cgroup(found)) if found.state is SandboxState.READY else None) or Usage()
    containers = [one for one in node.store.containers_of(found.id) if one.state is ContainerState.RUNNING]
    meta = found.spec.metadata
    linux = pb.LinuxPodSandboxStats(
        cpu=_cpu(node, found.id, usage, now),
        memory=_memory(usage, now),
        process=pb.ProcessUsage(timestamp=now, process_count=_value(usage.processes)),
        containers=[container(node, one) for one in containers],
    )
    if found.spec.own_network:
        linux.network.CopyFrom(_network(node, found, now))
    return pb.PodSandboxStats(
        attributes=pb.PodSandboxAttributes(
            id=found.id,
            metadata=pb.PodSandboxMetadata(
                name=meta.name, namespace=meta.namespace, uid=meta.uid, attempt=meta.attempt
            ),
            labels=found.spec.labels,
            annotations=found.spec.annotations,
        ),
        linux=linux,
    )


def _network(node: Node, found: Sandbox, now: int) -> pb.NetworkUsage:
    answer = pb.NetworkUsage(timestamp=now)
    try:
        text = netns.run_in(node.pins.path("net", found.id), _read_net_dev)
    except (GroundplaneError, OSError):
        return answer  # the pod stopped meanwhile
    for one in parse_net_dev(text):
        usage = pb.NetworkInterfaceUsage(
            name=one.name,
            rx_bytes=_value(one.rx_bytes),
            rx_errors=_value(one.rx_errors),
            tx_bytes=_value(one.tx_bytes),
            tx_errors=_value(one.tx_errors),
        )
        if one.name == "eth0":
            answer.default_interface.CopyFrom(usage)
        else:
            answer.interfaces.append(usage)
    return answer


def _read_net_dev() -> str:
    return Path(f"/proc/self/task/{threading.get_native_id()}/net/dev").read_text()


def _writable(node: Node, found: Container, now: int) -> pb.FilesystemUsage:
    """What the container wrote: walked at most every ten seconds, as containerd does."""
    key = f"layer/{found.id}"
    at, used, inodes = node.cpu_samples.get(key, (0, 0, 0))
    if now - at > _WALK_EVERY_NS:
        upper = node.layers.upper(found.id)
        used, inodes = _walk(upper) if upper is not None else (0, 0)
        node.cpu_samples[key] = (now, used, inodes)
    return pb.FilesystemUsage(
        timestamp=now,
        fs_id=pb.FilesystemIdentifier(mountpoint=str(mount_point(node.images.root))),
        used_bytes=_value(used),
        inodes_used=_value(inodes),
    )


def _walk(top: Path) -> tuple[int, int]:
    used, inodes = 0, 0
    for at, _, names in os.walk(top):
        inodes += 1 + len(names)
        for name in names:
            try:
                used += os.lstat(os.path.join(at, name)).st_blocks * 512  # noqa: PTH118 - half the time of Path
            except FileNotFoundError:
                continue  # removed while walking
    return used, inodes


def mount_point(path: Path) -> Path:
    """Where the file system that holds `path` is mounted."""
    found = path.resolve()
    while not found.is_mount():
        found = found.parent
    return found


def image_filesystem(node: Node) -> dict[str, Any]:
    """ImageFsInfo's one file system; blocks."""
    used, inodes = node.images.usage()
    return {
        "timestamp": time.time_ns(),
        "fs_id": pb.FilesystemIdentifier(mountpoint=str(mount_point(node.images.root))),
        "used_bytes": _value(used),
        "inodes_used": _value(inodes),
    }
