"""Files inside a container's root, opened so that no link in it can lead out (openat2(2), RESOLVE_IN_ROOT)."""

import os
from pathlib import Path

from groundplane.errors import Failed
from groundplane.system import inroot

_LARGEST = 1 << 20  # a passwd of a megabyte is no passwd


def open_in(root: Path, path: str, flags: int) -> int:
    """A descriptor for `path` as a process whose root is `root` would see it. Raises OSError."""
    directory = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return inroot.open_in(directory, path, flags)
    finally:
        os.close(directory)


def read_text(root: Path, path: str) -> str:
    """The file's text, or "" where there is none that can be read as a regular file."""
    try:
        fd = open_in(root, path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return ""  # an image without the file has no names to resolve
    with os.fdopen(fd, "rb") as found:
        try:
            return found.read(_LARGEST).decode("utf-8", "replace")
        except OSError:
            return ""  # a directory in its place


def ensure_directory(root: Path, path: str, *, uid: int, gid: int) -> None:
    """Make `path` inside `root`, 0755, missing parts owned by `uid`:`gid`. Raises Failed."""
    parts = [part for part in Path("/", path).parts[1:] if part != "."]
    walked = "/"
    for part in parts:
        parent = walked
        walked = os.path.join(walked, part)  # noqa: PTH118 - ".." must reach openat2 as it is
        try:
            os.close(open_in(root, walked, os.O_PATH | os.O_DIRECTORY))
            continue
        except FileNotFoundError:
            pass  # made below
        except OSError as refused:
            raise Failed(f"cannot be the working directory: {refused.strerror}", to=walked) from refused
        fd = open_in(root, parent, os.O_PATH | os.O_DIRECTORY)
        try:
            os.mkdir(part, 0o755, dir_fd=fd)
            os.chown(part, uid, gid, dir_fd=fd, follow_symlinks=False)
        except OSError as refused:
            raise Failed(f"cannot make the working directory: {refused.strerror}", to=walked) from refused
        finally:
            os.close(fd)
