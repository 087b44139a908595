"""What a machine lacks, and the command that mends it: packages, kernel features, limits. Decided from `Observed`."""

import ctypes.util
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from groundplane.errors import GroundplaneError, Kind


class Lacking(GroundplaneError):
    """The machine lacks something that this needs."""

    kind = Kind.WRONG_STATE


class NotRoot(GroundplaneError):
    """Namespaces, mounts and links need root."""

    kind = Kind.DENIED


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A program or library and the packages that bring it: Debian's and Fedora's names."""

    name: str
    what_for: str
    apt: str
    dnf: str
    paths: tuple[str, ...] = ()
    library: str = ""


NEEDS = (
    Need(name="etcd", what_for="the store", apt="etcd-server", dnf="etcd", paths=("/usr/bin/etcd",)),
    Need(name="etcdctl", what_for="etcd's own client", apt="etcd-client", dnf="etcd", paths=("/usr/bin/etcdctl",)),
    Need(name="crun", what_for="runs containers", apt="crun", dnf="crun", paths=("/usr/bin/crun",)),
    Need(name="conmon", what_for="holds containers", apt="conmon", dnf="conmon", paths=("/usr/bin/conmon",)),
    Need(name="bird", what_for="BGP", apt="bird2", dnf="bird", paths=("/usr/sbin/bird",)),
    Need(
        name="busybox",
        what_for="the lab's image",
        apt="busybox-static",
        dnf="busybox",
        paths=("/bin/busybox", "/usr/sbin/busybox"),
    ),
    Need(name="libnftables", what_for="packet filter", apt="libnftables1", dnf="nftables", library="nftables"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `cure` is a command, empty if there is none; `required`: nothing works without."""

    subject: str
    ok: bool
    detail: str
    cure: str = ""
    required: bool = True


def missing_needs(present: Callable[[Need], bool]) -> tuple[Need, ...]:
    """The needs that `present` does not find. Pure."""
    return tuple(need for need in NEEDS if not present(need))


def install_command(needs: tuple[Need, ...], *, manager: str) -> str:
    """The one command that installs them with `apt-get` or `dnf`."""
    if manager == "dnf":
        return "dnf install -y " + " ".join(dict.fromkeys(need.dnf for need in needs))
    return "apt-get install -y --no-install-recommends " + " ".join(dict.fromkeys(need.apt for need in needs))


def is_present(need: Need) -> bool:
    """Whether this machine has it."""
    if need.library:
        return ctypes.util.find_library(need.library) is not None or any(
            Path(folder).glob(f"lib{need.library}.so*")
            for folder in ("/usr/lib", "/usr/lib64", f"/usr/lib/{platform.machine()}-linux-gnu")
        )
    return any(os.access(path, os.X_OK) for path in need.paths)


def manager() -> str:
    """The machine's package manager."""
    return "dnf" if shutil.which("dnf") and not shutil.which("apt-get") else "apt-get"


def require_root() -> None:
    """Raise NotRoot unless this process may make namespaces, mounts and links."""
    if os.geteuid() != 0:
        raise NotRoot("needs root: it makes namespaces, mounts and links", to="groundplane", hint="run it with sudo")


def require_ready() -> None:
    """Raise NotRoot or Lacking, before anything is touched."""
    require_root()
    if missing := missing_needs(is_present):
        names = ", ".join(need.name for need in missing)
        raise Lacking(f"lacks {names}", to="this machine", hint=f"run `{install_command(missing, manager=manager())}`")


def examine() -> tuple[Finding, ...]:
    """Look at everything."""
    found = [
        Finding(subject="root", ok=os.geteuid() == 0, detail=f"uid {os.geteuid()}", cure="sudo -i"),
        Finding(
            subject="python",
            ok=sys.version_info >= (3, 11),
            detail=platform.python_version(),
            cure=f"{manager()} install -y python3.11",
        ),
    ]
    for need in NEEDS:
        ok = is_present(need)
        cure = "" if ok else install_command((need,), manager=manager())
        found.append(Finding(subject=need.name, ok=ok, detail=need.what_for, cure=cure))
    return (*found, *_kernel(), *_limits())


def _kernel() -> tuple[Finding, ...]:
    release = platform.release()
    major, minor = (int(part) for part in release.split(".")[:2])
    systems = Path("/proc/filesystems").read_text().split()
    spaces = {path.name for path in Path("/proc/self/ns").iterdir()}
    lacking = {"net", "mnt", "uts", "pid", "ipc", "cgroup"} - spaces
    controllers = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    version = "v2" if controllers else ("hybrid" if Path("/sys/fs/cgroup/unified").exists() else "v1")
    ipip = Path("/sys/class/net/tunl0").exists() or _module("ipip")
    return (
        Finding(subject="kernel", ok=(major, minor) >= (5, 4), detail=release, cure="install a kernel of 5.4 or newer"),
        Finding(
            subject="namespaces",
            ok=not lacking,
            detail="all six" if not lacking else f"lacks {', '.join(sorted(lacking))}",
        ),
        Finding(
            subject="overlayfs",
            ok="overlay" in systems or _module("overlay"),
            detail="layers of images",
            cure="modprobe overlay",
        ),
        Finding(
            subject="cgroups", ok=Path("/sys/fs/cgroup").is_dir(), detail=version, cure="mount the cgroup file system"
        ),
        Finding(
            subject="ipip", ok=ipip, detail="kernel tunnel" if ipip else "none: eBPF takes its place", required=False
        ),
        Finding(subject="bpf", ok=Path("/sys/fs/bpf").is_dir(), detail="IPIP without tunl0", required=False),
    )


def _module(name: str) -> bool:
    folder = Path("/lib/modules") / platform.release()
    for index in ("modules.builtin", "modules.dep"):
        file = folder / index
        if file.exists() and f"/{name}.ko" in file.read_text():
            return True
    return False


def _limits() -> tuple[Finding, ...]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    instances = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    return (
        Finding(
            subject="open files",
            ok=hard >= 65536,  # noqa: PLR2004
            detail=f"hard limit {hard}",
            cure="ulimit -Hn 65536",
            required=False,  # daemons take what there is
        ),
        Finding(
            subject="inotify",
            ok=instances >= 128,  # noqa: PLR2004
            detail=f"{instances} instances",
            cure="sysctl fs.inotify.max_user_instances=1024",
            required=False,
        ),
    )
