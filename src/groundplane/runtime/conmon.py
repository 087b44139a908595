"""Start conmon, one a container: it runs the OCI runtime's create, then holds the log, the streams and the exit code.

It outlives this daemon, and is found again by the pid file in the bundle. What create answered comes through the sync
pipe only; conmon's own exit code means nothing (CRI reference §18).

crun refuses to create where it sees a v2 hierarchy under the v1 tree. There, conmon is started in a mount namespace of
its own in which that one mount is taken off. Everything but create works from outside.
"""

import errno
import json
import os
import select
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from groundplane.errors import Failed, WrongState
from groundplane.runtime.engine import Engine, cause, child_environment
from groundplane.runtime.model import ContainerID, Process
from groundplane.system import mount, netns, process
from groundplane.system.cgroup import ROOT, Version

_CREATE_CEILING = timedelta(seconds=110)  # just below the two minutes that clients give the whole call
_LOG_MODE = 0o640
_REOPEN_LOG = b"2 0 0\n"


class CreateFailed(Failed):
    """The OCI runtime could not create the container."""


class ShimGone(WrongState):
    """conmon does not run any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What one conmon is started with."""

    container: ContainerID
    name: str
    bundle: Path
    log_path: str = ""
    terminal: bool = False
    stdin: bool = False
    stdin_once: bool = False


def without_unified() -> None:
    """In this thread's own mount namespace, an empty tmpfs in the place of the v2 hierarchy.

    Not just nothing: crun takes a plain directory there for one more hierarchy, and would leave files in it for good.
    """
    netns.unshare(netns.CLONE_NEWNS)
    # Where the root of the trees is no mount of its own, the mount it lies on is what must not pass this on.
    mount.make_private(ROOT if ROOT.is_mount() else Path("/"))
    mount.unmount(ROOT / "unified")
    mount.mount("tmpfs", ROOT / "unified", "tmpfs", mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC, "size=1m")


def before_create(version: Version) -> Callable[[], None] | None:
    """What must happen on the thread that starts a create."""
    return without_unified if version is not Version.V2 and (ROOT / "unified").is_dir() else None


class Shim:
    """Starts conmons that report to `exits` and listen under `attach`."""

    def __init__(self, program: str, *, exits: Path, attach: Path, cgroups: Version) -> None:
        self._program = program
        self._exits = exits
        self._attach = attach
        self._before = before_create(cgroups)

    def argv(self, request: Request, engine: Engine) -> list[str]:
        """Conmon's command line."""
        words = [
            self._program,
            "--cid",
            request.container,
            "--cuuid",
            request.container,
            "--name",
            request.name,
            "--runtime",
            engine.path,
            *(f"--runtime-arg={one}" for one in engine.globals),
            "--bundle",
            str(request.bundle),
            "--container-pidfile",
            str(request.bundle / "pidfile"),
            "--conmon-pidfile",
            str(request.bundle / "conmon.pid"),
            "--exit-dir",
            str(self._exits),
            "--socket-dir-path",
            str(self._attach),
            "--log-path",
            f"k8s-file:{request.log_path}" if request.log_path else "none",
            "--log-level",
            "error",
        ]
        if request.terminal:
            words.append("--terminal")
        if request.stdin:
            words.append("--stdin")
            if not request.stdin_once:
                words.append("--leave-stdin-open")
        return words

    def create(self, request: Request, engine: Engine) -> tuple[Process, Process]:
        """Run create to its end: (init, conmon). Blocks. Raises CreateFailed with the runtime's cause."""
        ours, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            env = {**child_environment(), "_OCI_SYNCPIPE": str(theirs)}
            child = process.launch(
                self.argv(request, engine), env=env, cwd=request.bundle, pass_fds=[theirs], before=self._before
            )
            os.close(theirs)
            theirs = -1
            try:
                answer = _read_line(ours, _CREATE_CEILING)
            finally:
                child.wait()  # it has forked the real conmon, and ends at once
        finally:
            os.close(ours)
            if theirs >= 0:
                os.close(theirs)
        pid = _parse_answer(answer, to=f"container {request.name}")
        if request.log_path:
            try:
                os.chmod(request.log_path, _LOG_MODE)  # noqa: PTH101 - conmon before 2.2 makes it 0600
            except FileNotFoundError:
                pass  # rotated away already: the next one gets its mode at reopen
        return _named(pid), find(request.bundle)

    def forget(self, container: ContainerID) -> None:
        """Remove what conmon leaves behind."""
        for path in (self._exits / container, self._attach / container):
            path.unlink(missing_ok=True)


def _named(pid: int) -> Process:
    return Process(pid=pid, start=process.start_time(pid))


def find(bundle: Path) -> Process:
    """The conmon of `bundle`; pid 0 if there is none, or if its number has passed to another process since."""
    return _found(bundle / "conmon.pid", "cmdline", bundle.name)


def find_init(bundle: Path) -> Process:
    """The container's init by its pid file; pid 0 as for `find`."""
    return _found(bundle / "pidfile", "cgroup", bundle.name)


def _found(pid_file: Path, proof: str, container: str) -> Process:
    try:
        pid = int(pid_file.read_text())
        named = _named(pid)
        return named if container in Path(f"/proc/{pid}/{proof}").read_text(errors="replace") else Process()
    except (OSError, ValueError):
        return Process()


def _read_line(fd: int, within: timedelta) -> bytes:
    data, end = b"", time.monotonic() + within.total_seconds()
    while not data.endswith(b"\n"):
        ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise process.ProgramTimeout(f"create did not end within {within.total_seconds():g} s", to="conmon")
        part = os.read(fd, 65536)
        if not part:
            break
        data += part
    return data


def _parse_answer(answer: bytes, *, to: str) -> int:
    try:
        found = json.loads(answer.decode("utf-8", "replace"), strict=False)
        pid, message = int(found.get("pid", found.get("data", -1))), str(found.get("message", ""))
    except (ValueError, AttributeError):
        pid, message = -1, ""
    if pid <= 0:
        raise CreateFailed(cause(message), to=to)
    return pid


def _send(bundle: Path, message: bytes) -> None:
    """One control message. Raises ShimGone where nobody reads."""
    try:
        fd = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as gone:
        if gone.errno in (errno.ENXIO, errno.ENOENT):
            raise ShimGone("conmon does not run any more", to=bundle.name) from gone
        raise
    try:
        os.write(fd, message)  # far below PIPE_BUF: whole or not at all
    finally:
        os.close(fd)


def holds(shim: Process, path: Path) -> bool:
    """Whether conmon has exactly the file now at `path` open."""
    try:
        wanted = path.stat()
    except FileNotFoundError:
        return False
    for name in _descriptors(shim):
        try:
            found = os.stat(name)  # noqa: PTH116 - follows the magic link
        except OSError:
            continue  # closed meanwhile
        if stat.S_ISREG(found.st_mode) and (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False


def _descriptors(shim: Process) -> Sequence[str]:
    try:
        return [f"/proc/{shim.pid}/fd/{name}" for name in os.listdir(f"/proc/{shim.pid}/fd")]  # noqa: PTH208
    except FileNotFoundError:
        return []


def ask_reopen(bundle: Path) -> None:
    """Tell conmon to open its log again; it does so a few milliseconds later."""
    _send(bundle, _REOPEN_LOG)
