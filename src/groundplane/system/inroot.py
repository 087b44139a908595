"""Paths as a process whose root is a given directory would see them: no link leads out (openat2(2))."""

import ctypes
import os
from collections.abc import Callable

_OPENAT2 = 437  # the same on every architecture
_RESOLVE_NO_MAGICLINKS, _RESOLVE_IN_ROOT = 0x02, 0x10
_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def open_in(root: int, path: str, flags: int, *, mode: int = 0) -> int:
    """A descriptor for `path` below the directory descriptor `root`. Raises OSError."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
    found = _libc.syscall(_OPENAT2, root, os.fsencode(path or "."), ctypes.byref(how), ctypes.sizeof(how))
    if found < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), path)
    return int(found)


def open_directory(root: int, path: str, *, create: bool = False, made: Callable[[], None] | None = None) -> int:
    """A descriptor for the directory `path` below `root`; missing parts are made (0755) if `create`. Raises OSError.

    `made` is called for each part that was.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY
    try:
        return open_in(root, path, flags)
    except FileNotFoundError:
        if not create:
            raise
    parent, _, name = path.rstrip("/").rpartition("/")
    above = open_directory(root, parent, create=True, made=made)
    try:
        os.mkdir(name, 0o755, dir_fd=above)
        if made is not None:
            made()
    finally:
        os.close(above)
    return open_in(root, path, flags)
