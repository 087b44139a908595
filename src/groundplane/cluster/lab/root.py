"""A lab host's root file system: the machine's programs, the host's own state.

A tmpfs that shows the machine's top-level directories as they are, except for those in which the host has a life of
its own: `/etc` (the machine's, with changes kept apart), `/var`, `/run`, `/tmp`, `/opt`, `/dev`, `/proc`, `/sys`.
Called in the host's new namespaces, before anything else runs there.
"""

import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from groundplane.cluster.lab import cgroups
from groundplane.cluster.lab.paths import HostPaths
from groundplane.system import mount

_OWN = ("dev", "etc", "opt", "proc", "run", "sys", "tmp", "var", "lost+found")
_NODES = ("null", "zero", "full", "random", "urandom", "tty")
_ETC_WORK = ".etc"


def build(paths: HostPaths, *, name: str, hosts: Iterable[tuple[str, str]], stage: Path) -> None:
    """Assemble the root on `stage` (an empty directory of the machine) and make it the root of this mount namespace."""
    mount.make_private(Path("/"))
    mount.mount("tmpfs", stage, "tmpfs", mount.MS_NODEV, "mode=755,size=64m")
    mount.mount("none", stage, flags=mount.MS_PRIVATE)
    _machine_directories(stage)
    _etc(stage, name, hosts)
    _kernel(stage)
    _dev(stage)
    for directory, mode in (("run", 0o755), ("tmp", 0o1777), ("var", 0o755), ("opt", 0o755)):
        (stage / directory).mkdir()
        (stage / directory).chmod(mode)
    for directory in ("var/lib", "var/log", "var/tmp", "var/cache", "run/lock"):
        (stage / directory).mkdir()
    (stage / "var/run").symlink_to("/run")
    _machine_opt(stage)
    for machine, inside in paths.inside:
        machine.mkdir(parents=True, exist_ok=True)
        target = stage / inside.relative_to("/")
        target.mkdir(parents=True, exist_ok=True)
        mount.bind(machine, target, recursive=False)
    _python(stage)
    old = stage / ".old"
    old.mkdir()
    mount.pivot_root(stage, old)
    os.chdir("/")
    mount.unmount(Path("/.old"))
    Path("/.old").rmdir()


def _machine_directories(stage: Path) -> None:
    for entry in sorted(Path("/").iterdir()):
        if entry.name in _OWN:
            continue
        target = stage / entry.name
        if entry.is_symlink():
            target.symlink_to(entry.readlink())
        elif entry.is_dir():
            target.mkdir()
            mount.bind(entry, target, read_only=True)


def _machine_opt(stage: Path) -> None:
    own = {"etcd", "ca", "cni"}
    machine = Path("/opt")
    for entry in sorted(machine.iterdir()) if machine.is_dir() else ():
        if entry.name not in own and entry.is_dir() and not entry.is_symlink():
            target = stage / "opt" / entry.name
            target.mkdir()
            mount.bind(entry, target, read_only=True)


def _etc(stage: Path, name: str, hosts: Iterable[tuple[str, str]]) -> None:
    upper, work, etc = stage / _ETC_WORK / "upper", stage / _ETC_WORK / "work", stage / "etc"
    for directory in (upper, work, etc):
        directory.mkdir(parents=True)
    mount.mount("overlay", etc, "overlay", 0, f"lowerdir=/etc,upperdir={upper},workdir={work}")
    lines = ["127.0.0.1 localhost", *(f"{address} {host}" for address, host in hosts)]
    for file, content in (("hostname", f"{name}\n"), ("hosts", "\n".join(lines) + "\n"), ("resolv.conf", "")):
        target = etc / file
        if target.is_symlink():
            target.unlink()
        target.write_text(content)


def _kernel(stage: Path) -> None:
    for directory in ("proc", "sys"):
        (stage / directory).mkdir()
    plain = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
    mount.mount("proc", stage / "proc", "proc", plain)
    mount.mount("sysfs", stage / "sys", "sysfs", plain)
    if Path("/sys/fs/bpf").is_dir():
        mount.mount("bpf", stage / "sys/fs/bpf", "bpf", plain, "mode=700")
    cgroups.mount_own(stage / "sys/fs/cgroup")


def _dev(stage: Path) -> None:
    dev = stage / "dev"
    dev.mkdir()
    mount.mount("tmpfs", dev, "tmpfs", mount.MS_NOSUID, "mode=755,size=1m")
    for name in _NODES:
        machine = Path("/dev") / name
        node = machine.stat()
        os.mknod(dev / name, stat.S_IFCHR | 0o666, node.st_rdev)
        (dev / name).chmod(0o666)
    if Path("/dev/net/tun").exists():
        (dev / "net").mkdir()
        os.mknod(dev / "net/tun", stat.S_IFCHR | 0o666, Path("/dev/net/tun").stat().st_rdev)
    for directory in ("pts", "shm", "mqueue"):
        (dev / directory).mkdir()
    flags = mount.MS_NOSUID | mount.MS_NOEXEC
    mount.mount("devpts", dev / "pts", "devpts", flags, "newinstance,ptmxmode=0666,mode=620")
    mount.mount("tmpfs", dev / "shm", "tmpfs", flags | mount.MS_NODEV, "mode=1777,size=64m")
    mount.mount("mqueue", dev / "mqueue", "mqueue", flags | mount.MS_NODEV)
    for link, target in (("ptmx", "pts/ptmx"), ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0")):
        (dev / link).symlink_to(target)
    (dev / "stdout").symlink_to("/proc/self/fd/1")
    (dev / "stderr").symlink_to("/proc/self/fd/2")


def _python(stage: Path) -> None:
    """Show this very interpreter and its packages at the same paths, wherever they are installed."""
    wanted = {Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in sys.path if entry)}
    wanted.add(Path(__file__).resolve().parents[3])
    for path in sorted(wanted):
        if not path.is_dir() or path.parts[1] not in _OWN:
            continue
        target = stage / path.relative_to("/")
        if not target.exists():
            target.mkdir(parents=True)
            mount.bind(path, target, read_only=True)
