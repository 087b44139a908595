"""mount(2) and its relatives through libc: no mount(8) process, exact flags, errors with both paths in them."""

import ctypes
import os
from pathlib import Path

from groundplane.errors import Failed

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_MOVE, MS_REC = 32, 4096, 8192, 16384
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MNT_DETACH = 2

_libc = ctypes.CDLL(None, use_errno=True)


class MountFailed(Failed):
    """The kernel refused a mount or unmount; `errno` says why."""

    def __init__(self, happened: str, *, to: object, hint: str = "", errno: int = 0) -> None:
        super().__init__(happened, to=to, hint=hint)
        self.errno = errno


def mount(source: str | Path, target: Path, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Attach a file system, as mount(2) does. Raises MountFailed."""
    done = _libc.mount(
        os.fsencode(source),
        os.fsencode(target),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    if done != 0:
        code = ctypes.get_errno()
        raise MountFailed(f"cannot mount {kind or source}: {os.strerror(code)}", to=target, errno=code)


def bind(source: Path, target: Path, *, read_only: bool = False, recursive: bool = True) -> None:
    """Show `source` at `target` too, with private propagation."""
    deep = MS_REC if recursive else 0
    mount(source, target, flags=MS_BIND | deep)
    mount("none", target, flags=MS_PRIVATE | deep)
    if read_only:
        mount("none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)


def make_private(target: Path) -> None:
    """Stop propagation of mounts to and from `target` and all below it."""
    mount("none", target, flags=MS_REC | MS_PRIVATE)


def unmount(target: Path, *, detach: bool = True) -> None:
    """umount2(2), lazily unless told; a target that is not mounted (or gone) is fine."""
    if _libc.umount2(os.fsencode(target), MNT_DETACH if detach else 0) != 0:
        code = ctypes.get_errno()
        if code not in (22, 2):  # EINVAL: not a mount point; ENOENT: gone
            raise MountFailed(f"cannot unmount: {os.strerror(code)}", to=target, errno=code)


def pivot_root(new_root: Path, put_old: Path) -> None:
    """Give this mount namespace another root, as pivot_root(2) does. Raises MountFailed."""
    number = 155 if os.uname().machine == "x86_64" else 41
    if _libc.syscall(number, os.fsencode(new_root), os.fsencode(put_old)) != 0:
        code = ctypes.get_errno()
        raise MountFailed(f"cannot pivot_root: {os.strerror(code)}", to=new_root, errno=code)


def mounts() -> list[tuple[int, Path, str]]:
    """(mount id, target, file system type) of every mount this process sees, in mount order."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split(" ")
        kind = fields[fields.index("-") + 1]
        found.append((int(fields[0]), Path(_unescape(fields[4])), kind))
    return found


def file_system(path: Path) -> int:
    """The magic number of the file system that `path` is on (statfs(2)); 0 where there is no such path."""

    class Statfs(ctypes.Structure):
        _fields_ = (("f_type", ctypes.c_long), ("rest", ctypes.c_long * 32))

    found = Statfs()
    return int(found.f_type) if _libc.statfs(os.fsencode(path), ctypes.byref(found)) == 0 else 0


def _unescape(text: str) -> str:
    for code, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, plain)
    return text
