"""Files written so that a reader sees the old content or the new, whatever happens between.

`replace` writes a temporary file beside the target, fsyncs it, sets its mode before its name, renames, and fsyncs the
directory. A crash leaves at most a `.name.XXXXXXXX.tmp`, which nothing reads.
"""

import ctypes
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from groundplane.errors import WrongState

PRIVATE = 0o600
PUBLIC = 0o644
PRIVATE_DIR = 0o700
PUBLIC_DIR = 0o755


class Locked(WrongState):
    """Another process holds the lock."""


def replace(
    path: Path, data: bytes, *, mode: int = PUBLIC, owner: tuple[int, int] | None = None, durable: bool = True
) -> None:
    """Put `data` at `path` atomically, with exactly `mode` whatever the umask. `durable` False leaves out fsync.

    `owner` is a user's and a group's id; None leaves it to this process.
    """
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as out:
            if owner is not None:
                os.fchown(fd, *owner)
            os.fchmod(fd, mode)
            out.write(data)
            out.flush()
            if durable:
                os.fsync(fd)
        Path(name).rename(path)
    except BaseException:
        with open_missing_ok():
            Path(name).unlink()
        raise
    if durable:
        sync_directory(path.parent)


@contextmanager
def open_missing_ok() -> Iterator[None]:
    """A file that is already gone is what was wanted."""
    try:
        yield
    except FileNotFoundError:
        pass  # somebody else removed it: the aim is reached


def sync_directory(path: Path) -> None:
    """Make renames and unlinks in `path` durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_filesystem(path: Path) -> None:
    """Make all that was written to the file system of `path` durable: for a tree, less than an fsync for each file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(fd) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(path))
    finally:
        os.close(fd)


def ensure_directory(path: Path, *, mode: int = PUBLIC_DIR) -> None:
    """Make `path` and its parents (0755); `path` itself ends with exactly `mode`."""
    path.mkdir(parents=True, exist_ok=True)
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)


def read_optional(path: Path) -> bytes | None:
    """The content, or None where there is no such file."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


_held: dict[Path, int] = {}
"""What this process has locked, by the pid that did: a forked child inherits this, but not the locks."""


@contextmanager
def lock(path: Path, *, wait: bool = False) -> Iterator[None]:
    """Hold an exclusive lock on `path`, made if missing; the kernel drops it when the process dies.

    Raises Locked at once if somebody holds it, unless `wait` for another process. A record lock (fcntl(2)), not
    flock(2)'s, which a forked child would go on holding after this process was killed. The kernel does not know of two
    holders in one process, and closing the file a second time would drop the lock: that is what `_held` is for.
    """
    if _held.get(path) == os.getpid():
        raise Locked("this process holds it already", to=path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
    try:
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except (BlockingIOError, PermissionError) as held:  # POSIX allows either
            raise Locked("another process holds it", to=path, hint="wait for it to end, then run this again") from held
        _held[path] = os.getpid()
        try:
            yield
        finally:
            del _held[path]
    finally:
        os.close(fd)
