"""A lab host from outside: its files through the machine's file system, its supervisor through its socket."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from groundplane.cluster.lab.init import LOGS, UNITS
from groundplane.cluster.lab.paths import HostPaths
from groundplane.cluster.lab.units import Unit
from groundplane.cluster.provider import UnitStatus
from groundplane.errors import Failed, Unavailable
from groundplane.names import HostName
from groundplane.system import files, process

_WITHIN = 5.0


class HostDown(Unavailable):
    """The host's init is not there, or does not answer."""


def init_pid(paths: HostPaths) -> int:
    """The pid of the host's init in this PID namespace, 0 if it is not running (or its pid is somebody else's now)."""
    data = files.read_optional(paths.init_pid)
    if data is None:
        return 0
    pid, _, started = data.decode().partition(" ")
    alive = pid.isdigit() and process.alive(int(pid)) and process.start_time(int(pid)) == int(started)
    return int(pid) if alive else 0


class LabHost:
    """A `HostDoor` onto namespaces of this machine."""

    def __init__(self, name: HostName, paths: HostPaths) -> None:
        self._name = name
        self.paths = paths

    @property
    def name(self) -> HostName:
        """Its name."""
        return self._name

    def read(self, path: Path) -> bytes | None:
        """The content of a file, None where there is none."""
        return files.read_optional(self.paths.on_machine(path))

    def write(self, path: Path, data: bytes, *, mode: int) -> bool:
        """Put a file in place atomically, with this mode; False if it was so already."""
        target = self.paths.on_machine(path)
        if files.read_optional(target) == data and target.stat().st_mode & 0o7777 == mode:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        files.replace(target, data, mode=mode)
        return True

    def make_directory(self, path: Path, *, mode: int) -> None:
        """Make a directory with this mode."""
        files.ensure_directory(self.paths.on_machine(path), mode=mode)

    def link(self, path: Path, target: Path) -> None:
        """Make `path` a symbolic link to `target`."""
        link = self.paths.on_machine(path)
        if link.is_symlink() and link.readlink() == target:
            return
        link.unlink(missing_ok=True)
        link.symlink_to(target)

    def copy(self, source: Path, path: Path) -> bool:
        """Put a large file of this machine in place (hard-linked where that can be); False if it was there already."""
        target = self.paths.on_machine(path)
        if target.exists() and target.stat().st_ino == source.stat().st_ino:
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        target.hardlink_to(source)  # one data directory holds both
        return True

    def log_tail(self, unit: str) -> str:
        """The last words of a unit."""
        data = files.read_optional(self.paths.on_machine(LOGS / f"{unit}.log")) or b""
        lines = data[-2000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1][-500:] if lines else "it wrote nothing"

    async def apply(self, units: Sequence[Unit]) -> Mapping[str, Sequence[str]]:
        """Run exactly these units: names by what was done ("started", "restarted", "stopped")."""
        wanted = json.dumps([unit.to_json() for unit in units], indent=1).encode()
        self.write(UNITS, wanted, mode=files.PRIVATE)
        done = await self._ask({"op": "apply"})
        assert isinstance(done, dict)
        return done

    async def status(self) -> Mapping[str, UnitStatus]:
        """Each unit's state."""
        answer = await self._ask({"op": "status"})
        assert isinstance(answer, dict)
        return {
            name: UnitStatus(
                state=unit["state"],
                pid=self._machine_pid(unit["pid"]),
                seconds=unit["seconds"],
                restarts=unit["restarts"],
                last_exit=unit["lastExit"],
            )
            for name, unit in answer.items()
        }

    async def signal(self, unit: str, number: int) -> None:
        """Send a signal to a unit's process."""
        await self._ask({"op": "signal", "unit": unit, "signal": number})

    async def restart(self, unit: str) -> None:
        """Stop a unit and start it again."""
        await self._ask({"op": "restart", "unit": unit})

    def socket(self, name: str) -> Path:
        """Where this process finds the host's unix socket /run/groundplane/`name`."""
        return self.paths.run / name

    def root(self) -> Path:
        """Where this machine sees the host's root file system. Raises HostDown."""
        pid = init_pid(self.paths)
        if not pid:
            raise HostDown("is down", to=self._name, hint="run `groundplane up`")
        return Path(f"/proc/{pid}/root")

    def _machine_pid(self, inside: int) -> int:
        """The pid here of a process that the host's init calls `inside`; 0 if it has gone.

        Units are children of the init, and init's children list and each child's NSpid are the kernel's own answer.
        """
        init = init_pid(self.paths)
        if not inside or not init:
            return 0
        children = files.read_optional(Path(f"/proc/{init}/task/{init}/children")) or b""
        for child in children.split():
            status = files.read_optional(Path(f"/proc/{child.decode()}/status")) or b""
            line = next((line for line in status.splitlines() if line.startswith(b"NSpid:")), b"")
            if line.split()[-1:] == [str(inside).encode()]:
                return int(child)
        return 0

    async def _ask(self, request: Mapping[str, object]) -> object:
        try:
            async with asyncio.timeout(_WITHIN):
                reader, writer = await asyncio.open_unix_connection(str(self.paths.init_socket))
                try:
                    writer.write(json.dumps(request).encode() + b"\n")
                    line = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as gone:
            raise HostDown("its init does not answer", to=self._name, hint="run `groundplane up`") from gone
        if not line:
            raise HostDown("its init closed the connection", to=self._name, hint="run `groundplane up`")
        answer = json.loads(line)
        if not answer["ok"]:
            raise Failed(answer["error"], to=self._name)
        return answer["result"]
