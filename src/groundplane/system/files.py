"""Files written so that a reader sees the old content or the new, whatever happens between.

`replace` writes a temporary file beside the target, fsyncs it, sets its mode before its name, renames, and fsyncs the
directory. A crash leaves at most a `.name.XXXXXXXX.tmp`, which nothing reads.
"""

import ctypes
import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from groundplane.errors import WrongState

_DRAFT = re.compile(r"\..+\.[a-z0-9_]{8}\.tmp")  # as mkstemp(3) is asked to name them
_NO_LOCKS = frozenset({errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP})

PRIVATE = 0o600
PUBLIC = 0o644
PRIVATE_DIR = 0o700
PUBLIC_DIR = 0o755


class Locked(WrongState):
    """Another process holds the lock."""


class Draft:
    """Content beside the place where it will stand, complete and with its mode: all that is left is its name.

    Whoever makes several files of one thing drafts them all, and only then places them: a full disk is found before
    anything has changed.
    """

    def __init__(
        self, path: Path, data: bytes, *, mode: int = PUBLIC, owner: tuple[int, int] | None = None, durable: bool = True
    ) -> None:
        """`owner` is a user's and a group's id; None leaves it to this process. `durable` False leaves out fsync.

        Raises OSError, which names `path`.
        """
        self.path = path
        self._durable = durable
        with _named(path):
            fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        self._draft = Path(name)
        try:
            with os.fdopen(fd, "wb") as out, _named(path):
                if owner is not None:
                    os.fchown(fd, *owner)
                os.fchmod(fd, mode)
                out.write(data)
                out.flush()
                if durable:
                    os.fsync(fd)
        except BaseException:
            self.discard()
            raise

    def place(self) -> None:
        """Under its name, whatever stood there. Raises OSError."""
        with _named(self.path):
            try:
                self._draft.rename(self.path)
            except BaseException:
                self.discard()
                raise
            self._settle()

    def place_new(self) -> None:
        """Under its name, which nothing may have yet: raises FileExistsError, with nothing changed. See link(2)."""
        with _named(self.path):
            try:
                os.link(self._draft, self.path, follow_symlinks=False)
            finally:
                self.discard()
            self._settle()

    def discard(self) -> None:
        """It was not wanted; nothing happens to one that was placed."""
        self._draft.unlink(missing_ok=True)

    def _settle(self) -> None:
        if self._durable:
            sync_directory(self.path.parent)


def drafts(top: Path) -> Iterator[Path]:
    """Below `top`, what a crash has left of drafts. Only who knows that nobody is writing there may remove them."""
    for path in sorted(top.rglob(".*.tmp")):
        if _DRAFT.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            yield path


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error is about `path`, not about its draft."""
    try:
        yield
    except OSError as bad:
        bad.filename, bad.filename2 = str(path), None
        raise


def replace(
    path: Path, data: bytes, *, mode: int = PUBLIC, owner: tuple[int, int] | None = None, durable: bool = True
) -> None:
    """Put `data` at `path` atomically, with exactly `mode` whatever the umask. See `Draft`. Raises OSError."""
    Draft(path, data, mode=mode, owner=owner, durable=durable).place()


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Wait until nobody else holds `directory`, and hold it; the kernel drops it when the process dies. See flock(2).

    For several files there that belong together. A file system that cannot lock directories (NFS) is not waited for.
    Raises OSError for one that is not there.
    """
    with _named(directory):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
        except OSError as cannot:
            if cannot.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file as it shall be."""

    path: Path
    data: bytes = field(repr=False)
    mode: int = PUBLIC


def write_together(
    them: Sequence[Wanted], *, over: bool, durable: bool = True, before: Callable[[], None] = lambda: None
) -> None:
    """Files of one thing, named in their order while nobody else does so in their directories.

    `over` False replaces nothing: raises FileExistsError, with nothing changed, where something stands. `before` runs
    when all are written and none has its name; what it raises leaves everything as it was. Raises OSError.
    """
    with ExitStack() as stack:
        for directory in sorted({it.path.parent for it in them}):
            stack.enter_context(one_at_a_time(directory))
        drafts = []
        for it in them:
            drafts.append(Draft(it.path, it.data, mode=it.mode, durable=durable))
            stack.callback(drafts[-1].discard)
        for it in () if over else them:
            if os.path.lexists(it.path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(it.path))
        before()
        for draft in drafts:
            draft.place() if over else draft.place_new()


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
