"""Mount an overlay of any number of layers.

mount(2) takes one page of options, some fifty layers as the store names them; beyond that fsconfig(2) takes one layer
a call (Linux 6.8). Both resolve relative names in the caller's working directory, so it is done on a thread that has
one of its own: the names stay short, and no character in the store's own path can be taken for an option.
"""

import ctypes
import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from groundplane.errors import Exhausted
from groundplane.system import mount, netns

PAGE = 4000  # of 4096: the rest is for what the kernel adds
_MOST = 500  # OVL_MAX_STACK
_CLONE_FS = 0x200
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432  # the same on every architecture
_SET_STRING, _CREATE = 1, 6
_CLOSE_ON_EXEC, _EMPTY_PATH, _HERE = 1, 4, -100
_libc = ctypes.CDLL(None, use_errno=True)


def mount_overlay(base: Path, target: Path, *, lower: Sequence[str], upper: str = "", work: str = "") -> None:
    """Show `lower` (top first) under `upper` at `target`; without `upper`, read-only. Names are relative to `base`.

    Raises MountFailed, and Exhausted for more layers than the kernel takes.
    """
    if len(lower) > _MOST:
        raise Exhausted(f"stands on {len(lower)} layers, and {_MOST} is the most", to=target, hint="squash the image")
    options = [("upperdir", upper), ("workdir", work), ("index", "off"), ("metacopy", "off")] if upper else []
    line = ",".join(f"{key}={value}" for key, value in [("lowerdir", ":".join(lower)), *options])
    target = target.absolute()
    errors: list[BaseException] = []

    def inside() -> None:
        try:
            netns.unshare(_CLONE_FS)
            os.chdir(base)
            if len(line) <= PAGE:
                mount.mount("overlay", target, "overlay", 0, line)
            else:
                _mount_by_parts(target, [*(("lowerdir+", name) for name in lower), *options])
        except BaseException as failed:  # noqa: BLE001 - carried to the caller's thread
            errors.append(failed)

    thread = threading.Thread(target=inside, name="overlay")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def _mount_by_parts(target: Path, options: Sequence[tuple[str, str]]) -> None:
    context = _call(_FSOPEN, b"overlay", _CLOSE_ON_EXEC, target=target, context=-1)
    try:
        for key, value in options:
            _call(_FSCONFIG, context, _SET_STRING, key.encode(), value.encode(), 0, target=target, context=context)
        _call(_FSCONFIG, context, _CREATE, None, None, 0, target=target, context=context)
        made = _call(_FSMOUNT, context, _CLOSE_ON_EXEC, 0, target=target, context=context)
        try:
            _call(_MOVE_MOUNT, made, b"", _HERE, os.fsencode(target), _EMPTY_PATH, target=target, context=context)
        finally:
            os.close(made)
    finally:
        os.close(context)


def _call(number: int, *arguments: int | bytes | None, target: Path, context: int) -> int:
    done = int(_libc.syscall(number, *arguments))
    if done < 0:
        code = ctypes.get_errno()
        words = f"cannot mount overlay: {os.strerror(code)}{_kernel_says(context)}"
        hint = "this many layers take Linux 6.8; squash the image" if code in (errno.EINVAL, errno.ENOSYS) else ""
        raise mount.MountFailed(words, to=target, hint=hint, errno=code)
    return done


def _kernel_says(context: int) -> str:
    """The context's log: `e overlay: …`. Empty where there is none."""
    try:
        return ": " + os.read(context, 4096).decode("utf-8", "replace").strip().removeprefix("e ")
    except OSError:
        return ""  # no context yet, or nothing logged
