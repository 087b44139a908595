"""When containers end, and with which code: from the kernel, never by asking again and again.

Three signs, per container: conmon's exit file (inotify on the directory), the end of init, and the end of conmon (a
pidfd each). A code is believed only from the file. Init usually ends milliseconds before the file appears, so its end
alone decides nothing while conmon lives; once both are gone and there is no file, the exit is lost: 255, `Unknown`.
A conmon that dies alone changes nothing: the container runs on.
"""

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from groundplane.errors import Failed
from groundplane.runtime.model import UNKNOWN_EXIT, ContainerID, Process
from groundplane.system import process

_IN_MOVED_TO, _IN_CLOSE_WRITE, _IN_Q_OVERFLOW = 0x80, 0x8, 0x4000
_IN_NONBLOCK, _IN_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
_EVENT = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """How a container ended; `seen` False if nobody was there to see it."""

    code: int
    at_ns: int
    seen: bool = True


@dataclass(slots=True)
class _Watched:
    fds: dict[str, int] = field(default_factory=dict)  # "init", "shim": a pidfd while it lives


def read_exit(directory: Path, container: ContainerID) -> Exit | None:
    """What conmon wrote about `container`, if it did."""
    path = directory / container
    try:
        text = path.read_text().strip()
        at = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    return Exit(code=int(text), at_ns=at) if text.lstrip("-").isdigit() else None


def open_living(who: Process) -> int | None:
    """A pidfd for exactly `who`, or None if it has ended."""
    if not who.pid:
        return None
    try:
        fd = os.pidfd_open(who.pid)
    except ProcessLookupError:
        return None
    if process.start_time(who.pid) != who.start or not process.alive(who.pid):
        os.close(fd)
        return None
    return fd


def living(who: Process) -> bool:
    """Whether exactly `who` still runs."""
    return bool(who.pid) and process.start_time(who.pid) == who.start and process.alive(who.pid)


class Exits:
    """Watches one exit directory; calls `on_exit` once for each container that ends."""

    def __init__(self, directory: Path, on_exit: Callable[[ContainerID, Exit], None]) -> None:
        self._directory = directory
        self._on_exit = on_exit
        self._watched: dict[ContainerID, _Watched] = {}
        self._inotify = -1

    def start(self) -> None:
        """Begin, on the running loop."""
        self._inotify = _libc.inotify_init1(_IN_NONBLOCK | _IN_CLOEXEC)
        if (
            self._inotify < 0
            or _libc.inotify_add_watch(self._inotify, os.fsencode(self._directory), _IN_MOVED_TO | _IN_CLOSE_WRITE) < 0
        ):
            raise Failed(f"cannot watch: {os.strerror(ctypes.get_errno())}", to=self._directory)
        asyncio.get_running_loop().add_reader(self._inotify, self._files_changed)

    def stop(self) -> None:
        """Let go of every descriptor; no container is touched."""
        for container in list(self._watched):
            self.forget(container)
        if self._inotify >= 0:
            asyncio.get_running_loop().remove_reader(self._inotify)
            os.close(self._inotify)
            self._inotify = -1

    def watch(self, container: ContainerID, *, init: Process, shim: Process) -> None:
        """Report the end of `container`, now if it has ended already."""
        watched = self._watched.setdefault(container, _Watched())
        loop = asyncio.get_running_loop()
        for role, who in (("init", init), ("shim", shim)):
            if role in watched.fds:
                continue
            fd = open_living(who)
            if fd is not None:
                watched.fds[role] = fd
                loop.add_reader(fd, self._ended, container, role)
        self._judge(container)

    def forget(self, container: ContainerID) -> None:
        """Stop watching."""
        watched = self._watched.pop(container, None)
        for fd in watched.fds.values() if watched else ():
            asyncio.get_running_loop().remove_reader(fd)
            os.close(fd)

    def _ended(self, container: ContainerID, role: str) -> None:
        fd = self._watched[container].fds.pop(role)
        asyncio.get_running_loop().remove_reader(fd)
        os.close(fd)
        self._judge(container)

    def _judge(self, container: ContainerID) -> None:
        watched = self._watched.get(container)
        if watched is None:
            return
        found = read_exit(self._directory, container)
        if found is None and not watched.fds:
            found = Exit(code=UNKNOWN_EXIT, at_ns=time.time_ns(), seen=False)
        if found is not None:
            self.forget(container)
            self._on_exit(container, found)

    def _files_changed(self) -> None:
        try:
            data = os.read(self._inotify, 65536)
        except BlockingIOError:
            return
        at = 0
        while at + _EVENT.size <= len(data):
            _, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + length].rstrip(b"\0").decode("ascii", "replace")
            at += length
            for container in list(self._watched) if mask & _IN_Q_OVERFLOW else [ContainerID(name)]:
                self._judge(container)  # an overflowed queue loses names, not files
