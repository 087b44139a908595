"""Namespaces: unshare(2), setns(2), and pins that keep one alive as a bind mount.

A network namespace belongs to a thread: nothing here may be called on an event loop's thread, except `open_socket`
and `run_in`, which do their work on a thread of their own and leave the caller where it was.
"""

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from groundplane.errors import Failed, NotFound
from groundplane.system import mount

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x00020000, 0x02000000, 0x04000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x08000000, 0x10000000, 0x20000000, 0x40000000
_NSFS_MAGIC = 0x6E736673

T = TypeVar("T")
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceGone(NotFound):
    """The namespace, or the process that held it, does not exist any more."""


class NamespaceFailed(Failed):
    """The kernel refused."""


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own, see unshare(2)."""
    if _libc.unshare(flags) != 0:
        raise NamespaceFailed(f"cannot unshare: {os.strerror(ctypes.get_errno())}", to=hex(flags))


def enter(path: Path, flags: int = 0) -> None:
    """setns(2) for the calling thread. Raises NamespaceGone where `path` does not exist."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError) as gone:
        raise NamespaceGone("no such namespace", to=path) from gone
    try:
        enter_open(fd, flags, at=path)
    finally:
        os.close(fd)


def enter_open(fd: int, flags: int = 0, *, at: object = "namespace") -> None:
    """setns(2) for the calling thread, with a descriptor opened before; `at` names it in an error."""
    if _libc.setns(fd, flags) != 0:
        raise NamespaceFailed(f"cannot enter: {os.strerror(ctypes.get_errno())}", to=at)


def run_in(path: Path, work: Callable[[], T]) -> T:
    """The value of `work`, called on a short-lived thread inside the network namespace at `path`; blocks."""
    box: list[T] = []
    errors: list[BaseException] = []

    def inside() -> None:
        try:
            enter(path, CLONE_NEWNET)
            box.append(work())
        except BaseException as failed:  # noqa: BLE001 - carried to the caller's thread
            errors.append(failed)

    thread = threading.Thread(target=inside, name=f"netns:{path.name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return box[0]


def open_socket(path: Path, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A socket that lives in the network namespace at `path`; it may be used from anywhere."""
    return run_in(path, lambda: socket.socket(family, kind | socket.SOCK_CLOEXEC))


def pin(source: Path, at: Path) -> None:
    """Keep the namespace `source` (such as /proc/self/ns/net) alive at the file `at`, made if missing."""
    at.touch(mode=0o600, exist_ok=True)
    mount.mount(source, at, flags=mount.MS_BIND)


def pinned(at: Path) -> bool:
    """Whether `at` is a live pin, not just the empty file that a reboot leaves."""
    try:
        return at.stat().st_dev != at.parent.stat().st_dev and mount.file_system(at) == _NSFS_MAGIC
    except FileNotFoundError:
        return False


def unpin(at: Path) -> None:
    """Let the namespace go; already gone is fine."""
    mount.unmount(at)
    at.unlink(missing_ok=True)


def create(at: Path) -> None:
    """Make a network namespace pinned at the file `at`, with `lo` left down; all or nothing; blocks."""
    errors: list[BaseException] = []

    def inside() -> None:
        try:
            unshare(CLONE_NEWNET)
            pin(Path(f"/proc/self/task/{threading.get_native_id()}/ns/net"), at)
        except BaseException as failed:  # noqa: BLE001 - carried to the caller's thread
            at.unlink(missing_ok=True)
            errors.append(failed)

    thread = threading.Thread(target=inside, name=f"netns+:{at.name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
