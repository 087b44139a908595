"""Container logs: where they go, and a new file under the same name when kubelet has rotated the old one away.

conmon writes the lines (`<time> <stream> <F|P> <text>`); this module never touches their content.
"""

import asyncio
import ctypes
import os
import posixpath
from datetime import timedelta
from pathlib import Path
from typing import Self

from groundplane.errors import DeadlineExceeded, Failed
from groundplane.runtime import conmon
from groundplane.runtime.model import Container, ContainerSpec, SandboxSpec
from groundplane.system import files

_IN_CREATE, _IN_MOVED_TO = 0x100, 0x80
_libc = ctypes.CDLL(None, use_errno=True)
LOG_MODE = 0o640


def path_of(container: ContainerSpec, sandbox: SandboxSpec) -> str:
    """The log's absolute path, or "" for none: both parts must be given. Pure."""
    if not sandbox.log_directory or not container.log_path:
        return ""
    return posixpath.normpath(posixpath.join(sandbox.log_directory, container.log_path))


async def reopen(container: Container, bundle: Path, *, within: timedelta) -> None:
    """Returns once conmon writes to a new file at the log's path.

    Nothing is sent while conmon still has the file at that path: it would truncate it. Raises ShimGone, and then no
    file has been made; DeadlineExceeded if conmon does not follow.
    """
    if not container.log_path:
        raise Failed("has no log", to=f"container {container.id[:13]}")
    path = Path(container.log_path)
    if conmon.holds(container.shim, path):
        return
    with _Arrivals(path.parent) as arrivals:
        conmon.ask_reopen(bundle)
        try:
            async with asyncio.timeout(within.total_seconds()):
                while not conmon.holds(container.shim, path):
                    await arrivals.wait()
        except TimeoutError as late:
            raise DeadlineExceeded("conmon did not open it again in time", to=path) from late
    os.chmod(path, LOG_MODE)  # noqa: PTH101 - one system call, not worth a thread


class _Arrivals:
    """inotify on one directory, for a moment."""

    def __init__(self, directory: Path) -> None:
        files.ensure_directory(directory)
        self._fd = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0 or _libc.inotify_add_watch(self._fd, os.fsencode(directory), _IN_CREATE | _IN_MOVED_TO) < 0:
            raise Failed(f"cannot watch: {os.strerror(ctypes.get_errno())}", to=directory)
        self._event = asyncio.Event()

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._fd, self._readable)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        os.close(self._fd)

    def _readable(self) -> None:
        try:
            os.read(self._fd, 65536)
        except BlockingIOError:
            return
        self._event.set()

    async def wait(self) -> None:
        """Until something arrives."""
        await self._event.wait()
        self._event.clear()
