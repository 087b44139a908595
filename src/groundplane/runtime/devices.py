"""Device nodes of the host, as the runtime specification lists them."""

import os
import stat
from pathlib import Path
from typing import Any

from groundplane.errors import NotFound
from groundplane.runtime.model import Device

_SKIPPED = {"pts", "shm", "mqueue", "fd", "console", "ptmx", "stdin", "stdout", "stderr", "core", "log"}


def _describe(path: Path, at: str, access: str) -> dict[str, Any] | None:
    found = path.stat()
    if stat.S_ISCHR(found.st_mode):
        kind = "c"
    elif stat.S_ISBLK(found.st_mode):
        kind = "b"
    else:
        return None
    return {
        "path": at,
        "type": kind,
        "major": os.major(found.st_rdev),
        "minor": os.minor(found.st_rdev),
        "fileMode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
        "access": access,
    }


def find(wanted: Device) -> list[dict[str, Any]]:
    """The node at `host_path`, or every node below it. Raises NotFound."""
    top = Path(wanted.host_path)
    at = wanted.container_path or wanted.host_path
    if not top.exists():
        raise NotFound("no such device", to=wanted.host_path)
    if not top.is_dir():
        one = _describe(top, at, wanted.permissions)
        if one is None:
            raise NotFound("is not a device", to=wanted.host_path)
        return [one]
    found = []
    for path in sorted(top.rglob("*")):
        if path.is_file() or path.is_dir():
            continue
        one = _describe(path, str(Path(at) / path.relative_to(top)), wanted.permissions)
        if one is not None:
            found.append(one)
    return found


def every() -> list[dict[str, Any]]:
    """All nodes under /dev that a privileged container gets."""
    found = []
    for path in sorted(Path("/dev").iterdir()):
        if path.name in _SKIPPED or path.is_symlink():
            continue
        if path.is_dir():
            found += find(Device(container_path="", host_path=str(path), permissions="rwm"))
        elif (one := _describe(path, str(path), "rwm")) is not None:
            found.append(one)
    return found
