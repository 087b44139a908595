"""cgroups, both versions: which layout this host has, what a cgroup uses, its end.

A cgroup is named by its path from the root of the hierarchies, such as `/pods/ab12/cd34`. Under v1 it is a directory
in each controller's tree; "hybrid" is v1 with an (often empty) v2 tree at `unified` beside it. Limits are written by
the OCI runtime; this module makes and removes the directories above its containers, and reads.

v1 has no event for "the last process is gone" that reaches into a lab host (release_agent belongs to the root
namespace), so `remove` looks again after a pause. That is the only poll here.
"""

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path

from groundplane.errors import Failed
from groundplane.system import mount

ROOT = Path("/sys/fs/cgroup")
_CGROUP2_MAGIC = 0x63677270
_NO_LIMIT = 1 << 62  # v1 writes "no limit" as the highest page-aligned number
_V1_CONTROLLERS = (
    "cpu",
    "cpuacct",
    "cpuset",
    "memory",
    "devices",
    "freezer",
    "blkio",
    "pids",
    "hugetlb",
    "net_cls",
    "net_prio",
    "perf_event",
    "rdma",
    "misc",
    "systemd",
    "unified",  # last: the v2 tree of a hybrid layout
)


class CgroupBusy(Failed):
    """Processes are still in it."""


class Version(Enum):
    """Which layout."""

    V1 = "v1"
    HYBRID = "hybrid"
    V2 = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a cgroup uses now. Bytes and nanoseconds; a limit of 0 means none."""

    cpu_ns: int = 0
    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    inactive_file_bytes: int = 0
    rss_bytes: int = 0
    page_faults: int = 0
    major_page_faults: int = 0
    swap_bytes: int = 0
    swap_limit_bytes: int = 0
    processes: int = 0

    @property
    def working_set_bytes(self) -> int:
        """Memory that could not be dropped at once."""
        return max(0, self.memory_bytes - self.inactive_file_bytes)

    @property
    def available_bytes(self) -> int:
        """What is left below the limit; 0 where there is none."""
        return max(0, self.memory_limit_bytes - self.working_set_bytes) if self.memory_limit_bytes else 0


class Cgroups:
    """The hierarchies mounted at `root`."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root
        self.version = detect(root)

    @property
    def v2(self) -> bool:
        """Whether v2 is in charge."""
        return self.version is Version.V2

    @property
    def counts_swap(self) -> bool:
        """Whether this kernel accounts swap, and so takes a limit on it."""
        if self.v2:
            return any(self.root.glob("*/memory.swap.max"))
        return (self.root / "memory/memory.memsw.limit_in_bytes").exists()

    def directories(self, path: str) -> Iterator[Path]:
        """Every existing directory of the cgroup `path`."""
        tail = path.strip("/")
        names = _V1_CONTROLLERS if self.version is Version.HYBRID else _V1_CONTROLLERS[:-1]
        trees = [self.root] if self.v2 else [self.root / name for name in names]
        for tree in trees:
            at = tree / tail
            if tail and at.is_dir():
                yield at

    def processes(self, path: str) -> set[int]:
        """Ids of all processes in it and below it."""
        found: set[int] = set()
        for top in self.directories(path):
            for at, _, _ in os.walk(top):
                found.update(int(one) for one in _read(Path(at) / "cgroup.procs").split())
        return found

    def kill_all(self, path: str) -> None:
        """SIGKILL every process in it and below it; those that fork meanwhile as well."""
        for at in self.directories(path):
            if (at / "cgroup.kill").exists():
                (at / "cgroup.kill").write_text("1")
                return
        for _ in range(10):  # v1: a forking process may escape one sweep, not ten
            left = self.processes(path)
            if not left:
                return
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass  # it ended by itself

    async def remove(self, path: str, *, within: timedelta = timedelta(seconds=5)) -> None:
        """Remove it and all below it. Raises CgroupBusy if a process does not leave in time; gone already is fine."""
        loop = asyncio.get_running_loop()
        end, pause = loop.time() + within.total_seconds(), 0.002
        while not self.try_remove(path):
            if loop.time() > end:
                left = sorted(self.processes(path))
                raise CgroupBusy(f"processes are still in it: {left[:5]}", to=f"cgroup {path}")
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.1)

    def try_remove(self, path: str) -> bool:
        """One attempt; False if the kernel says it is busy."""
        done = True
        for top in list(self.directories(path)):
            for at, _, _ in os.walk(top, topdown=False):
                try:
                    Path(at).rmdir()
                except FileNotFoundError:
                    pass  # somebody else removed it
                except OSError:
                    done = False
        return done

    def usage(self, path: str) -> Usage | None:
        """What it uses, or None where there is no such cgroup."""
        return self._usage_v2(path) if self.v2 else self._usage_v1(path)

    def oom_kills(self, path: str) -> int:
        """How many processes of it the kernel's OOM killer took."""
        if self.v2:
            return _keyed(self.root / path.strip("/") / "memory.events").get("oom_kill", 0)
        return _keyed(self.root / "memory" / path.strip("/") / "memory.oom_control").get("oom_kill", 0)

    def _usage_v2(self, path: str) -> Usage | None:
        at = self.root / path.strip("/")
        if not at.is_dir():
            return None
        stat = _keyed(at / "memory.stat")
        return Usage(
            cpu_ns=_keyed(at / "cpu.stat").get("usage_usec", 0) * 1000,
            memory_bytes=_number(at / "memory.current"),
            memory_limit_bytes=_number(at / "memory.max"),
            inactive_file_bytes=stat.get("inactive_file", 0),
            rss_bytes=stat.get("anon", 0),
            page_faults=stat.get("pgfault", 0),
            major_page_faults=stat.get("pgmajfault", 0),
            swap_bytes=_number(at / "memory.swap.current"),
            swap_limit_bytes=_number(at / "memory.swap.max"),
            processes=_number(at / "pids.current"),
        )

    def _usage_v1(self, path: str) -> Usage | None:
        tail = path.strip("/")
        memory = self.root / "memory" / tail
        cpu = self.root / "cpuacct" / tail
        if not memory.is_dir() and not cpu.is_dir():
            return None
        stat = _keyed(memory / "memory.stat")
        used = _number(memory / "memory.usage_in_bytes")
        limit = _number(memory / "memory.limit_in_bytes")
        both = _number(memory / "memory.memsw.usage_in_bytes")
        both_limit = _number(memory / "memory.memsw.limit_in_bytes")
        return Usage(
            cpu_ns=_number(cpu / "cpuacct.usage"),
            memory_bytes=used,
            memory_limit_bytes=limit,
            inactive_file_bytes=stat.get("total_inactive_file", 0),
            rss_bytes=stat.get("total_rss", 0),
            page_faults=stat.get("total_pgfault", 0),
            major_page_faults=stat.get("total_pgmajfault", 0),
            swap_bytes=max(0, both - used),
            swap_limit_bytes=max(0, both_limit - limit) if limit and both_limit else 0,
            processes=_number(self.root / "pids" / tail / "pids.current"),
        )


def detect(root: Path = ROOT) -> Version:
    """By statfs(2) of `root`, then of `root`/unified."""
    if mount.file_system(root) == _CGROUP2_MAGIC:
        return Version.V2
    return Version.HYBRID if mount.file_system(root / "unified") == _CGROUP2_MAGIC else Version.V1


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""  # the cgroup went away, or this controller is not here: nothing used


def _number(path: Path) -> int:
    text = _read(path).strip()
    if not text.isdigit():  # "max", or nothing
        return 0
    number = int(text)
    return 0 if number >= _NO_LIMIT else number


def _keyed(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _read(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004 - key value
