"""Whether a file could be written at a place, without writing it."""

import errno
import os
from pathlib import Path

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC


def need_writable(path: Path) -> None:
    """Returns if what stands at `path` could grow, or a file could be made there. Raises OSError."""
    try:
        os.close(os.open(path, _FLAGS))
    except FileNotFoundError:
        parent = path.resolve().parent  # of what a link leads to
        os.close(os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"no file can be made in {parent}") from None
        _need_room(parent)
    else:
        _need_room(path)


def need_directory(path: Path) -> None:
    """Returns if a directory stands at `path` that files can be made in, or could be made there. Raises OSError."""
    nearest = path
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    os.close(os.open(nearest, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, f"nothing can be made in {nearest}")


def _need_room(path: Path) -> None:
    """Not every file system says how large it is; root may use more than others."""
    found = os.statvfs(path)
    left = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    if found.f_blocks and not left:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
