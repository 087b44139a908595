"""Directory trees that somebody else filled, removed and measured however deep they are.

A container can nest directories deeper than Python recurses, than a path may be long and than a process may have open
descriptors; shutil.rmtree and os.walk then fail. Both functions here need a few descriptors at any depth, follow no
link, and are meant for root.
"""

import os
import secrets
from pathlib import Path

_BLOCK = 512
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_Identity = tuple[int, int]


def remove(top: Path) -> None:
    """Remove the directory `top` and all in it; already gone is fine. Raises OSError, with a part removed.

    Directories are moved up to `top` before they are emptied, so that none is ever far down.
    """
    try:
        root = os.open(top, _DIRECTORY)
    except FileNotFoundError:
        return
    try:
        mark, moved = secrets.token_hex(8), 0  # of no name that is there
        pending = _remove_files(root)
        while pending:
            name = pending.pop()
            folder = os.open(name, _DIRECTORY, dir_fd=root)
            try:
                for inner in _remove_files(folder):
                    moved += 1
                    pending.append(f"{mark}-{moved}")
                    os.rename(inner, pending[-1], src_dir_fd=folder, dst_dir_fd=root)
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=root)
    finally:
        os.close(root)
    top.rmdir()


def measure(top: Path) -> tuple[int, int]:
    """Bytes on disk and inodes of the directory `top` and all in it; (0, 0) if it is not there. Raises OSError.

    What is removed meanwhile is passed over. If a directory is moved while it is looked at, the answer is what was
    found by then.
    """
    try:
        here = os.open(top, _DIRECTORY)
    except FileNotFoundError:
        return 0, 0
    counted = _Count()
    above: list[tuple[_Identity, list[str]]] = []
    try:
        folders = counted.take(here)
        while folders or above:
            if folders:
                try:
                    below = os.open(folders.pop(), _DIRECTORY, dir_fd=here)
                except (FileNotFoundError, NotADirectoryError):
                    continue  # removed, or replaced, while we walk
                above.append((_identity(here), folders))
                os.close(here)
                here = below
                folders = counted.take(here)
            else:
                parent = os.open("..", _DIRECTORY, dir_fd=here)
                os.close(here)
                here = parent
                was, folders = above.pop()
                if _identity(here) != was:
                    break  # ".." leads elsewhere now, perhaps out of `top`
    finally:
        os.close(here)
    return counted.octets, counted.inodes


class _Count:
    """What was seen so far; a file of several names counts once."""

    def __init__(self) -> None:
        self.octets = 0
        self.inodes = 0
        self._linked: set[_Identity] = set()

    def take(self, folder: int) -> list[str]:
        """Count a directory and its files; the directories in it."""
        self._add(os.fstat(folder))
        folders = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.name)
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue  # removed while we walk
                identity = found.st_dev, found.st_ino
                if identity in self._linked:
                    continue
                if found.st_nlink > 1:
                    self._linked.add(identity)
                self._add(found)
        return folders

    def _add(self, found: os.stat_result) -> None:
        self.octets += found.st_blocks * _BLOCK
        self.inodes += 1


def _identity(folder: int) -> _Identity:
    found = os.fstat(folder)
    return found.st_dev, found.st_ino


def _remove_files(folder: int) -> list[str]:
    """Remove all but directories; their names."""
    folders = []
    with os.scandir(folder) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in names:
        if is_directory:
            folders.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return folders
