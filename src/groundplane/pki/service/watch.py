"""A small process that looks at the service's files, and has the master load anew when one has changed.

Its own process, since the master only waits for signals and may have no threads. A file that is being written is left
alone until it has been the same for a whole turn. It ends with the master.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import NoReturn

from groundplane.errors import GroundplaneError
from groundplane.pki.service.model import Service

EVERY = 2.0  # seconds
_FILES = (
    *("ca", "ca_key", "config", "db_config", "responder", "responder_key", "ca_bundle", "int_bundle", "metadata"),
    *("tls_cert", "tls_key", "mutual_tls_ca"),
)
State = tuple[tuple[int, int, int] | None, ...]


def files_of(service: Service, config: Path) -> tuple[Path, ...]:
    """Everything that a reload would read again."""
    named = (str(getattr(service.settings, field)).removeprefix("file:") for field in _FILES)
    return (config, *(Path(name) for name in named if name))


def state_of(paths: Iterable[Path]) -> State:
    """Changes whenever a file is written, replaced or removed."""
    return tuple(_state(path) for path in paths)


@contextlib.contextmanager
def watching(config: Path, load: Callable[[], Service]) -> Generator[None]:
    """As long as the block lasts, SIGHUP comes to this process when a file has changed."""
    master = os.getpid()
    child = os.fork()
    if child == 0:
        _watch(config, load, master)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def _watch(config: Path, load: Callable[[], Service], master: int) -> NoReturn:
    try:
        for number in (signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # meant for the master
        paths = files_of(load(), config)
        served = before = state_of(paths)
        while os.getppid() == master:
            time.sleep(EVERY)
            now = state_of(paths)
            if now == before != served:
                os.kill(master, signal.SIGHUP)
                served = now
                with contextlib.suppress(GroundplaneError):  # the master says what is wrong with it
                    paths = files_of(load(), config)
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
