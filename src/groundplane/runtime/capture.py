"""Run a program and keep what it says, up to a limit; know the moment it ends, whoever still holds its pipes.

A background child that inherited the pipe must not hold up the answer: once the program itself is gone, what is in the
pipes is read, for `drain` at most, and the rest is let go.
"""

import asyncio
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from groundplane.system import process

_CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """What a program left; `late` if it was still running when the time was up, and its code is then meaningless."""

    code: int
    stdout: bytes
    stderr: bytes
    late: bool = False


class _Pipe:
    """One stream: read whenever there is something, kept while the budget of both lasts, then read and dropped."""

    def __init__(self, budget: list[int]) -> None:
        self.read_end, self.write_end = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.read_end, False)
        self.kept = bytearray()
        self._budget = budget
        self.ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self.read_end, self._readable)

    def _readable(self) -> None:
        try:
            data = os.read(self.read_end, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        part = data[: self._budget[0]]
        self._budget[0] -= len(part)
        self.kept += part

    def close(self) -> None:
        if not self.ended.is_set():
            self.ended.set()
            asyncio.get_running_loop().remove_reader(self.read_end)
            os.close(self.read_end)


async def _gone(child: "subprocess.Popen[bytes]") -> None:
    """Wait for the end of `child` by its pidfd, and reap it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    fd = os.pidfd_open(child.pid)
    loop.add_reader(fd, ended.set)
    try:
        await ended.wait()
        child.wait()
    finally:
        loop.remove_reader(fd)
        os.close(fd)


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    limit: int,
    within: timedelta | None,
    drain: timedelta,
    cwd: Path | None = None,
) -> Captured:
    """The program's end, or its state when `within` was over: it is then still running, and the caller must end it.

    A cancelled call kills the program itself before it returns.
    """
    budget = [limit]
    out, err = _Pipe(budget), _Pipe(budget)
    late = False
    try:
        try:
            child = process.launch(argv, env=env, cwd=cwd, stdout=out.write_end, stderr=err.write_end)
        finally:
            os.close(out.write_end)
            os.close(err.write_end)
        try:
            async with asyncio.timeout(within.total_seconds() if within else None):
                await _gone(child)
        except TimeoutError:
            late = True
        except BaseException:
            child.kill()
            child.wait()
            raise
        if not late:
            try:
                async with asyncio.timeout(drain.total_seconds()):
                    await out.ended.wait()
                    await err.ended.wait()
            except TimeoutError:
                pass  # somebody else holds the pipe: what came so far is the answer
        else:
            child.kill()
            child.wait()
        return Captured(code=child.returncode or 0, stdout=bytes(out.kept), stderr=bytes(err.kept), late=late)
    finally:
        out.close()
        err.close()
