"""A lab host's control groups: one subtree in every hierarchy the machine has, and only that visible inside.

Version 1 hierarchies are entered one by one; a version 2 tree beside them ("hybrid") is entered too, so that nothing
of a host escapes its subtree, but is not shown inside: crun refuses the hybrid layout. Where version 2 is all there
is, the host's init moves to a leaf, since inner nodes with controllers must be empty of processes.
"""

import time
from pathlib import Path

from groundplane.errors import Failed
from groundplane.system import mount
from groundplane.system.cgroup import ROOT, Cgroups

_LEAF = "init"
_PATIENCE, _LOOK_AGAIN = 3.0, 0.005  # seconds


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


def kill(path: str) -> None:
    """SIGKILL everything in the subtree until it is empty. Raises SubtreeBusy if something will not die."""
    groups, end = Cgroups(ROOT), time.monotonic() + _PATIENCE
    while left := groups.processes(path):
        if time.monotonic() > end:
            raise SubtreeBusy(f"processes {sorted(left)} do not die", to=path)
        groups.kill_all(path)
        time.sleep(_LOOK_AGAIN)  # the kernel has no event for "this version 1 group is empty"


def remove(path: str) -> None:
    """Remove the subtree, which must be empty of processes, from every hierarchy; already gone is fine."""
    groups, end = Cgroups(ROOT), time.monotonic() + _PATIENCE
    # Busy for some milliseconds after the last process ended: its exit is not yet complete.
    while not groups.try_remove(path):
        if time.monotonic() > end:
            raise SubtreeBusy("cannot be removed: something is in it still", to=path)
        time.sleep(_LOOK_AGAIN)


def remove_if_empty(path: str) -> None:
    """Remove a group that other labs may share, unless they do."""
    for group in Cgroups(ROOT).directories(path):
        try:
            group.rmdir()
        except OSError:
            pass  # another lab lives in it
