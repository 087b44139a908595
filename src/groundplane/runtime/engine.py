"""Drive an OCI runtime (crun, runc, runsc…) through the command line they share (CRI reference §19)."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from groundplane.errors import Failed, NotFound
from groundplane.runtime.model import ContainerID
from groundplane.system import process

_CEILING = timedelta(seconds=60)
_EXEC_FAILED = 255


class EngineFailed(Failed):
    """The OCI runtime refused; its cause comes first, since kubelet shows it to users as it is."""


class EngineMissing(NotFound):
    """There is no such OCI runtime on this host."""


def child_environment() -> dict[str, str]:
    """What runtimes and shims are given: a PATH, and where systemd's user session would be; nothing secret."""
    return {
        "PATH": os.environ.get("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        **{key: os.environ[key] for key in ("XDG_RUNTIME_DIR", "NOTIFY_SOCKET_RUNTIME") if key in os.environ},
    }


class Engine:
    """One OCI runtime, with its state under `root`."""

    def __init__(self, program: str, *, root: Path) -> None:
        self.program = program
        self.root = root
        self.path = shutil.which(program) or program

    @property
    def installed(self) -> bool:
        """Whether the program is there."""
        return shutil.which(self.program) is not None

    @property
    def globals(self) -> list[str]:
        """What goes before the sub-command."""
        found = [f"--root={self.root}"]
        if Path(self.path).name == "crun":
            found.append("--cgroup-manager=cgroupfs")
        return found

    async def _run(self, *words: str, check: bool = True, stdin: bytes = b"") -> process.Finished:
        try:
            return await process.run(
                [self.path, *self.globals, *words], within=_CEILING, env=child_environment(), stdin=stdin, check=check
            )
        except process.ProgramFailed as failed:
            raise EngineFailed(cause(failed.stderr), to=f"{Path(self.path).name} {words[0]}") from failed

    async def start(self, container: ContainerID) -> None:
        """Let a created container's process go. Raises EngineFailed with the runtime's own cause."""
        await self._run("start", container)

    async def kill(self, container: ContainerID, number: int) -> bool:
        """Signal init; False if it had ended already."""
        done = await self._run("kill", container, str(number), check=False)
        if done.code == 0:
            return True
        state = await self.state(container)
        if state is None or state.get("status") == "stopped":
            return False
        raise EngineFailed(cause(done.stderr.decode("utf-8", "replace")), to=f"signal {number} to {container[:13]}")

    async def state(self, container: ContainerID) -> Mapping[str, Any] | None:
        """The runtime's own view, or None if it knows no such container."""
        done = await self._run("state", container, check=False)
        if done.code != 0:
            return None
        try:
            found: dict[str, Any] = json.loads(done.stdout)
        except ValueError as bad:
            raise EngineFailed(f"answered with no JSON: {bad}", to=f"state of {container[:13]}") from bad
        return found

    async def delete(self, container: ContainerID) -> None:
        """Forget it, killing it first if it still runs; unknown is fine."""
        done = await self._run("delete", "--force", container, check=False)
        if done.code != 0 and await self.state(container) is not None:
            raise EngineFailed(cause(done.stderr.decode("utf-8", "replace")), to=f"delete of {container[:13]}")

    async def update(self, container: ContainerID, resources: Mapping[str, Any]) -> None:
        """Change the limits of a running container."""
        await self._run("update", "--resources", "-", container, stdin=json.dumps(resources).encode())

    async def resume(self, container: ContainerID) -> None:
        """Thaw a paused container."""
        await self._run("resume", container)

    def exec_argv(self, container: ContainerID, *, process_file: Path, pid_file: Path, log: Path) -> list[str]:
        """The command that runs a process inside; its exit code is the process's."""
        logging = [f"--log={log}", "--log-format=json"]
        words = ["exec", "--process", str(process_file), "--pid-file", str(pid_file), container]
        return [self.path, *self.globals, *logging, *words]

    def run_detached(self, container: ContainerID, *, bundle: Path, before: Callable[[], None] | None) -> int:
        """Create and start without a shim, stdio on /dev/null; the pid. Blocks. For a pod's infra process only."""
        pid_file, log = bundle / "pidfile", bundle / "log.json"
        words = ["run", "--detach", f"--bundle={bundle}", f"--pid-file={pid_file}", container]
        argv = [self.path, *self.globals, f"--log={log}", "--log-format=json", *words]
        child = process.launch(argv, env=child_environment(), cwd=bundle, before=before)
        try:
            code = child.wait(_CEILING.total_seconds())
        except subprocess.TimeoutExpired as late:
            child.kill()
            child.wait()
            raise process.ProgramTimeout(f"did not end within {_CEILING.total_seconds():g} s", to=argv[0]) from late
        if code != 0:
            raise EngineFailed(logged_cause(log) or f"exited with {code}", to="the pod's infra process")
        return int(pid_file.read_text())


def could_not_start(code: int, *, pid_file: Path, log: Path) -> str:
    """Why an exec never became a process, or "" if it did and `code` is its own (CRI reference §19)."""
    if code != _EXEC_FAILED:
        return ""
    said = logged_cause(log)
    if said:
        return said
    return "" if pid_file.exists() else "the runtime could not start it"


def cause(stderr: str) -> str:
    """The last line a runtime wrote, without its prefixes of level and time."""
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    if not lines:
        return "the runtime gave no reason"
    last = lines[-1].strip()
    if 'msg="' in last:
        last = last.partition('msg="')[2].rpartition('"')[0]
    for prefix in ("error: ", "[conmon:e]: "):
        last = last.removeprefix(prefix)
    head, _, tail = last.partition(": ")
    return tail if head.endswith("Z") and head[:4].isdigit() else last


def logged_cause(log: Path) -> str:
    """`msg` of the last error in a runtime's JSON log, or ""."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return ""
    for line in reversed(lines):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and entry.get("level", "error") == "error" and entry.get("msg"):
            return str(entry["msg"])
    return ""


def kill_family(pid: int) -> None:
    """SIGKILL `pid`, its process group and all its descendants; gone is fine."""
    family = [pid]
    for one in family:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                family += [int(child) for child in children.read_text().split()]
            except OSError:
                continue  # that thread ended meanwhile
    try:
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it ended by itself
    for one in family:
        try:
            os.kill(one, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it ended by itself, or with its group
