"""A lab host's control groups: one subtree in every hierarchy the machine has, and only that visible inside.

Version 1 hierarchies are entered one by one; a version 2 tree beside them ("hybrid") is entered too, so that nothing
of a host escapes its subtree, but is not shown inside: crun refuses the hybrid layout. Where version 2 is all there
is, the host's init moves to a leaf, since inner nodes with controllers must be empty of processes.
"""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from groundplane.errors import Failed
from groundplane.system import mount

ROOT = Path("/sys/fs/cgroup")
_LEAF = "init"
_PATIENCE = 3.0


class SubtreeBusy(Failed):
    """Processes in a subtree did not die, or a group could not be removed."""


def unified() -> bool:
    """Whether the machine has version 2 only."""
    return (ROOT / "cgroup.controllers").exists()


def hierarchies() -> list[tuple[Path, str, str]]:
    """(mount point, file system type, mount options) of each hierarchy; links such as `cpu -> cpu,cpuacct` left out."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        dash = fields.index("-")
        kind, options = fields[dash + 1], fields[dash + 3]
        target = Path(fields[4])
        if kind in ("cgroup", "cgroup2") and ROOT in (target, target.parent):
            chosen = ",".join(o for o in options.split(",") if o not in ("rw", "ro", "relatime", "noatime"))
            found.append((target, kind, chosen))
    return found


def join(path: str) -> None:
    """Make the subtree `path` (such as `groundplane/seed/etcd1`) in each hierarchy and move this process there."""
    for target, _, options in hierarchies():
        group = target
        for part in path.split("/"):
            group = group / part
            group.mkdir(exist_ok=True)
            if "cpuset" in options.split(","):
                _inherit_cpuset(group)
            if unified():
                _delegate(group.parent)
        (group / "cgroup.procs").write_text("0")


def _inherit_cpuset(group: Path) -> None:
    """A version 1 cpuset takes no process before it has processors and memory nodes."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        file = group / name
        if file.exists() and not file.read_text().strip():
            file.write_text((group.parent / name).read_text())


def _delegate(group: Path) -> None:
    available = (group / "cgroup.controllers").read_text().split()
    (group / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in available))


def mount_own(target: Path) -> None:
    """Inside the new cgroup namespace: show its root at `target`."""
    flags = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
    if unified():
        mount.mount("cgroup2", target, "cgroup2", flags)
        leaf = target / _LEAF
        leaf.mkdir(exist_ok=True)
        (leaf / "cgroup.procs").write_text("0")
        _delegate(target)
        return
    mount.mount("tmpfs", target, "tmpfs", flags, "mode=755,size=1m")
    for machine, kind, options in hierarchies():
        if kind == "cgroup":
            inside = target / machine.name
            inside.mkdir()
            mount.mount("cgroup", inside, "cgroup", flags, options)


def _groups(path: str) -> Iterator[Path]:
    for target, _, _ in hierarchies():
        top = target / path
        if top.is_dir():
            yield from (Path(folder) for folder, _, _ in os.walk(top, topdown=False))


def processes(path: str) -> set[int]:
    """Every process in the subtree, in any hierarchy."""
    found: set[int] = set()
    for group in _groups(path):
        try:
            found.update(int(line) for line in (group / "cgroup.procs").read_text().split())
        except OSError:
            continue  # the group went away while we looked
    return found - {0}


def kill(path: str) -> None:
    """SIGKILL everything in the subtree until it is empty. Raises SubtreeBusy if something will not die."""
    end = time.monotonic() + _PATIENCE
    while left := processes(path):
        if time.monotonic() > end:
            raise SubtreeBusy(f"processes {sorted(left)} do not die", to=path)
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # it ended between the look and the blow
        time.sleep(0.005)  # the kernel has no event for "this version 1 group is empty"


def remove(path: str) -> None:
    """Remove the subtree, which must be empty of processes, from every hierarchy; already gone is fine."""
    end = time.monotonic() + _PATIENCE
    while groups := list(_groups(path)):
        for group in groups:
            try:
                group.rmdir()
            except FileNotFoundError:
                pass  # removed meanwhile
            except OSError as busy:
                # EBUSY for some milliseconds after the last process ended: exit is not yet complete.
                if time.monotonic() > end:
                    raise SubtreeBusy(f"cannot be removed: {busy.strerror}", to=group) from busy
                time.sleep(0.005)
                break


def remove_if_empty(path: str) -> None:
    """Remove a group that other labs may share, unless they do."""
    for target, _, _ in hierarchies():
        try:
            (target / path).rmdir()
        except OSError:
            pass  # missing, or another lab lives in it
