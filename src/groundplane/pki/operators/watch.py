"""A small process that looks at a server's files, and has the master load anew when one has changed.

Its own process, since the master only waits for signals and may have no threads. A file that is being written is left
alone until it has been the same for a whole turn. It ends with the master.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import NoReturn

from groundplane.errors import GroundplaneError

EVERY = 2.0  # seconds
State = tuple[tuple[int, int, int] | None, ...]
Files = Callable[[], tuple[Path, ...]]


def state_of(paths: Iterable[Path]) -> State:
    """Changes whenever a file is written, replaced or removed."""
    return tuple(_state(path) for path in paths)


@contextlib.contextmanager
def watching(files: Files) -> Generator[None]:
    """As long as the block lasts, SIGHUP comes to this process when one of `files` has changed.

    `files` is asked again after each change, for other files may count then; it may raise GroundplaneError.
    """
    master = os.getpid()
    child = os.fork()
    if child == 0:
        _watch(files, master)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _watch(files: Files, master: int) -> NoReturn:
    try:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # meant for the master
        gone = os.pidfd_open(master)  # can be read once it has ended, however that came
        paths = files()
        served = before = state_of(paths)
        while os.getppid() == master and not select.select([gone], [], [], EVERY)[0]:
            now = state_of(paths)
            if now == before != served:
                os.kill(master, signal.SIGHUP)
                served = now
                with contextlib.suppress(GroundplaneError):  # the master says what is wrong with it
                    paths = files()
                    served = now = state_of(paths)
            before = now
    finally:
        os._exit(0)


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
