"""The one way to run a program: an argv, never a shell; an end to every wait; a failure that carries its words."""

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from groundplane.errors import DeadlineExceeded, Failed, NotFound

_TAIL = 2000
_TERM_GRACE = 2.0


class ProgramFailed(Failed):
    """A program ended with a code that was not 0; `code` is negative for a signal, as in subprocess."""

    def __init__(self, happened: str, *, to: object, hint: str = "", code: int = -1, stderr: str = "") -> None:
        super().__init__(happened, to=to, hint=hint)
        self.code = code
        self.stderr = stderr


class ProgramMissing(NotFound):
    """The program is not installed."""


class ProgramTimeout(DeadlineExceeded):
    """A program did not end in time and was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What a program left: exit code and both streams."""

    code: int
    stdout: bytes
    stderr: bytes


def _failure(argv: Sequence[str], code: int, stderr: bytes) -> ProgramFailed:
    words = stderr[-_TAIL:].decode("utf-8", "replace").strip()
    how = f"ended by signal {-code}" if code < 0 else f"exited with {code}"
    return ProgramFailed(f"{how}: {words}" if words else how, to=" ".join(argv[:3]), code=code, stderr=words)


def run_now(
    argv: Sequence[str],
    *,
    within: timedelta,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> Finished:
    """Run `argv` to its end, blocking. Raises ProgramMissing, ProgramTimeout and, if `check`, ProgramFailed."""
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, timeout=within.total_seconds(), env=env, cwd=cwd, check=False
        )
    except FileNotFoundError as missing:
        raise ProgramMissing("is not installed", to=argv[0], hint="run `groundplane doctor`") from missing
    except subprocess.TimeoutExpired as late:
        raise ProgramTimeout(f"did not end within {within.total_seconds():g} s", to=" ".join(argv[:3])) from late
    if check and done.returncode != 0:
        raise _failure(argv, done.returncode, done.stderr)
    return Finished(code=done.returncode, stdout=done.stdout, stderr=done.stderr)


async def run(
    argv: Sequence[str],
    *,
    within: timedelta,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    check: bool = True,
) -> Finished:
    """Run `argv` to its end. Never returns before the child is gone: cancelled or late, it is terminated, then killed.

    Raises ProgramMissing, ProgramTimeout and, if `check`, ProgramFailed.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
            cwd=cwd,
            pass_fds=pass_fds,
        )
    except FileNotFoundError as missing:
        raise ProgramMissing("is not installed", to=argv[0], hint="run `groundplane doctor`") from missing
    try:
        async with asyncio.timeout(within.total_seconds()):
            stdout, stderr = await child.communicate(stdin)
    except TimeoutError as late:
        await asyncio.shield(_end(child))
        raise ProgramTimeout(f"did not end within {within.total_seconds():g} s", to=" ".join(argv[:3])) from late
    except BaseException:
        await asyncio.shield(_end(child))
        raise
    code = child.returncode
    assert code is not None
    if check and code != 0:
        raise _failure(argv, code, stderr)
    return Finished(code=code, stdout=stdout, stderr=stderr)


async def _end(child: asyncio.subprocess.Process) -> None:
    for number, patience in ((signal.SIGTERM, _TERM_GRACE), (signal.SIGKILL, None)):
        try:
            child.send_signal(number)
        except ProcessLookupError:
            pass  # it ended by itself; wait() below reaps it
        try:
            async with asyncio.timeout(patience):
                await child.wait()
                return
        except TimeoutError:
            continue


def alive(pid: int) -> bool:
    """Whether a process with this id exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def start_time(pid: int) -> int:
    """Clock ticks since boot at which `pid` started: with the pid, a name no later process can have. 0 if gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return 0


def wait(pid: int, *, within: timedelta) -> bool:
    """Wait for the end of any process, blocking; True when it is gone."""
    return kill_and_wait(pid, number=0, within=within)


def kill_and_wait(pid: int, *, number: int = signal.SIGKILL, within: timedelta) -> bool:
    """Signal `pid` through a pidfd (0: no signal) and wait for its end, blocking; True when it is gone."""
    import select

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        try:
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return True
        ready, _, _ = select.select([fd], [], [], within.total_seconds())
        return bool(ready)
    finally:
        os.close(fd)


def launch(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    before: Callable[[], None] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` without waiting for it; the caller reaps it. Blocks until it has been executed.

    `before` runs on a short-lived thread that then starts the program: what it does to its thread's namespaces
    (unshare, setns) the program inherits and nothing else does. No Python runs between fork and exec, so this is safe
    in a process with threads. Raises ProgramMissing and whatever `before` raises.
    """
    box: list[subprocess.Popen[bytes]] = []
    errors: list[BaseException] = []

    def start() -> None:
        try:
            if before is not None:
                before()
            box.append(
                subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env=env,
                    cwd=cwd,
                    pass_fds=pass_fds,
                )
            )
        except FileNotFoundError as missing:
            refused = ProgramMissing("is not installed", to=argv[0], hint="run `groundplane doctor`")
            refused.__cause__ = missing
            errors.append(refused)
        except BaseException as failed:  # noqa: BLE001 - carried to the caller's thread
            errors.append(failed)

    if before is None:
        start()
    else:
        thread = threading.Thread(target=start, name=f"launch:{Path(argv[0]).name}")
        thread.start()
        thread.join()
    if errors:
        raise errors[0]
    return box[0]
