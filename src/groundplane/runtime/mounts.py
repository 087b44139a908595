"""The mounts of a container: the defaults, the client's over them, parents first (CRI reference §6, §12). Pure."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from groundplane.errors import Invalid, Unimplemented
from groundplane.runtime.model import Mount, NamespaceMode, Propagation

_ALLOWED_OPTIONS = frozenset({"noexec", "nodev", "nosuid"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The pod's files, as they stand on the host; None where the host's own are shown or none is wanted."""

    hosts: str
    hostname: str
    resolv_conf: str
    shm: str


def check(mount: Mount) -> None:
    """Raises Invalid or Unimplemented for a mount that must not be made."""
    where = f"mount {mount.container_path or '(no container_path)'}"
    if not mount.container_path:
        raise Invalid("has no container_path", to=where)
    if not mount.host_path:
        raise Invalid("has no host_path", to=where)
    if not mount.host_path.startswith("/"):
        raise Invalid(f"host_path {mount.host_path!r} is not absolute", to=where)
    if mount.recursive_read_only and not mount.readonly:
        raise Invalid("recursive_read_only needs readonly", to=where)
    if mount.recursive_read_only and mount.propagation is not Propagation.PRIVATE:
        raise Invalid("recursive_read_only needs PROPAGATION_PRIVATE", to=where)
    if bad := sorted(set(mount.options) - _ALLOWED_OPTIONS):
        raise Invalid(f"mount option {bad[0]!r} is not allowed", to=where, hint="use noexec, nodev or nosuid")
    if mount.selinux_relabel and mount.host_path in {"/", "/usr", "/etc", "/proc", "/sys", "/dev"}:
        raise Unimplemented(f"relabelling {mount.host_path} is refused", to=where)


def _clean(path: str) -> str:
    return "/" + "/".join(part for part in PurePosixPath("/", path).parts[1:] if part != ".")


def defaults(*, privileged: bool, host_ipc: bool, cgroup_v2: bool, host_mqueue: bool = True) -> list[dict[str, Any]]:
    """What every container has, before the pod's shared files."""
    write = "rw" if privileged else "ro"
    found: list[dict[str, Any]] = [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
        ),
        _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", write),
    ]
    if host_ipc and host_mqueue:
        found.append(_bind("/dev/mqueue", "/dev/mqueue", "rw", "nosuid", "noexec", "nodev"))
    elif not host_ipc:
        found.append(_mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"))
    kind = "cgroup2" if cgroup_v2 else "cgroup"
    found.append(_mount("/sys/fs/cgroup", "cgroup", "cgroup", "nosuid", "noexec", "nodev", "relatime", write))
    found[-1]["source"] = kind
    return found


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}


def _bind(destination: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": "bind", "source": source, "options": ["rbind", *options]}


def plan(
    wanted: tuple[Mount, ...],
    *,
    shared: Shared,
    privileged: bool,
    readonly_rootfs: bool,
    ipc: NamespaceMode,
    cgroup_v2: bool,
    host_mqueue: bool = True,
) -> list[dict[str, Any]]:
    """All mounts in the order they must be made: by depth of the destination, stable for equals.

    A client's mount takes the place of a default at the same destination; one on /dev or /sys drops the defaults below.
    """
    base = defaults(
        privileged=privileged,
        host_ipc=ipc is NamespaceMode.NODE,
        cgroup_v2=cgroup_v2,
        host_mqueue=host_mqueue,
    )
    base.append(_bind("/dev/shm", shared.shm, "rw", "nosuid", "noexec", "nodev"))  # noqa: S108 - the container's own
    write = "ro" if readonly_rootfs else "rw"
    for destination, source in (
        ("/etc/hosts", shared.hosts),
        ("/etc/hostname", shared.hostname),
        ("/etc/resolv.conf", shared.resolv_conf),
    ):
        if source:
            base.append(_bind(destination, source, write, "rprivate"))
    taken = {_clean(mount.container_path) for mount in wanted}
    covered = tuple(f"{top}/" for top in ("/dev", "/sys") if top in taken)
    kept = [
        mount
        for mount in base
        if mount["destination"] not in taken and not (covered and mount["destination"].startswith(covered))
    ]
    chosen = kept + [_client(mount) for mount in wanted]
    return sorted(chosen, key=lambda mount: len(PurePosixPath(mount["destination"]).parts))


def _client(mount: Mount) -> dict[str, Any]:
    options = ["rro"] if mount.recursive_read_only else ["ro"] if mount.readonly else ["rw"]
    return _bind(_clean(mount.container_path), mount.host_path, *options, mount.propagation.option, *mount.options)


def rootfs_propagation(wanted: tuple[Mount, ...]) -> str:
    """What `linux.rootfsPropagation` must be raised to: shared over slave; "" leaves the runtime's own."""
    asked = {mount.propagation for mount in wanted}
    if Propagation.BIDIRECTIONAL in asked:
        return "rshared"
    return "rslave" if Propagation.HOST_TO_CONTAINER in asked else ""
