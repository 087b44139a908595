"""PID 1 of a lab host: starts its units, starts them again when they end, reaps what is orphaned to it.

One thread, no event loop of a library: it must be able to fork groundplane's daemons from itself at any moment.
It is told what to run by `units.json` (read at start, so that a host whose plug was pulled comes back by itself) and
by one JSON object a line on `init.sock`: {"op": "status"}, {"op": "apply"} (read units.json again),
{"op": "restart", "unit": N}, {"op": "signal", "unit": N, "signal": 15}, {"op": "halt"}.
"""

import fcntl
import json
import os
import resource
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from groundplane.cluster.lab.units import STEADY_AFTER, Unit, UnitState, difference, pause_before_restart
from groundplane.errors import GroundplaneError

UNITS = Path("/etc/groundplane/units.json")
RUN = Path("/run/groundplane")
LOGS = Path("/var/log/groundplane")
LOG_LIMIT = 16 * 1024 * 1024
_TICK = 30.0
_MAX_LINE = 1 << 16

Daemon = Callable[[], int]


@dataclass(slots=True)
class Running:
    """A unit and the process that runs it now (pid 0: none)."""

    unit: Unit
    pid: int = 0
    state: UnitState = UnitState.STOPPED
    since: float = 0.0
    failures: int = 0
    restarts: int = -1
    last_exit: str = ""
    due: float | None = None  # monotonic time of the next start
    kill_at: float | None = None
    wanted: bool = True
    clients: list[socket.socket] = field(default_factory=list)

    def to_json(self) -> dict[str, object]:
        """What `status` shows."""
        return {
            "state": self.state.value,
            "pid": self.pid,
            "seconds": round(time.monotonic() - self.since, 3) if self.pid else 0,
            "restarts": max(0, self.restarts),
            "lastExit": self.last_exit,
            "revision": self.unit.revision,
        }


class Init:
    """The supervisor; `run` never returns but by `halt` or a signal."""

    def __init__(self, daemons: dict[str, Daemon]) -> None:
        self._daemons = daemons
        self._units: dict[str, Running] = {}
        self._selector = selectors.DefaultSelector()
        self._halting = False
        self._buffers: dict[socket.socket, bytes] = {}

    def run(self) -> int:
        """Boot and supervise. Returns the exit code after `halt`."""
        wake_in, wake_out = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_out)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)
        self._selector.register(wake_in, selectors.EVENT_READ, self._woken)
        self._notify = self._datagram(RUN / "notify.sock")
        self._selector.register(self._notify, selectors.EVENT_READ, self._notified)
        listener = self._listener(RUN / "init.sock")
        self._selector.register(listener, selectors.EVENT_READ, self._accept)
        self._wake = wake_in
        if UNITS.exists():
            self._apply()
        next_tick = time.monotonic() + _TICK
        while not (self._halting and not any(unit.pid for unit in self._units.values())):
            now = time.monotonic()
            if now >= next_tick:
                self._trim_logs()
                next_tick = now + _TICK
            dues = [at for unit in self._units.values() for at in (unit.due, unit.kill_at) if at is not None]
            until = min([next_tick, *dues])
            for key, _ in self._selector.select(max(0.0, until - now)):
                key.data(key.fileobj)
            self._timers()
        return 0

    # -- sockets --------------------------------------------------------------------------------------------------

    @staticmethod
    def _listener(path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(16)
        return listener

    @staticmethod
    def _datagram(path: Path) -> socket.socket:
        path.unlink(missing_ok=True)
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        receiver.bind(str(path))
        path.chmod(0o600)
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return receiver

    def _accept(self, listener: socket.socket) -> None:
        client, _ = listener.accept()
        client.settimeout(2)
        self._buffers[client] = b""
        self._selector.register(client, selectors.EVENT_READ, self._hear)

    def _hear(self, client: socket.socket) -> None:
        try:
            data = client.recv(_MAX_LINE)
        except OSError:
            data = b""
        self._buffers[client] += data
        line, separator, rest = self._buffers[client].partition(b"\n")
        if separator:
            self._buffers[client] = rest
            try:
                answer = {"ok": True, "result": self._operate(json.loads(line))}
            except (GroundplaneError, ValueError, KeyError, TypeError, OSError) as bad:
                answer = {"ok": False, "error": f"{type(bad).__name__}: {bad}"}
            try:
                client.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                data = b""  # the caller went away; what it asked for is done
        if not data or len(self._buffers[client]) > _MAX_LINE:
            self._selector.unregister(client)
            del self._buffers[client]
            client.close()

    def _operate(self, request: dict[str, object]) -> object:
        match request.get("op"):
            case "status":
                return {name: running.to_json() for name, running in self._units.items()}
            case "apply":
                return self._apply()
            case "restart":
                self._stop(self._units[str(request["unit"])])
                return None
            case "signal":
                running = self._units[str(request["unit"])]
                if running.pid:
                    os.kill(running.pid, int(str(request["signal"])))
                return None
            case "halt":
                self._halt()
                return None
            case other:
                raise ValueError(f"unknown operation {other!r}")

    def _notified(self, receiver: socket.socket) -> None:
        size = socket.CMSG_SPACE(12)
        while True:
            try:
                data, control, _, _ = receiver.recvmsg(4096, size)
            except BlockingIOError:
                return
            pid = next((int.from_bytes(item[2][:4], sys.byteorder) for item in control), 0)
            if b"READY=1" in data.split(b"\n"):
                for running in self._units.values():
                    if running.pid == pid:
                        running.state = UnitState.RUNNING

    # -- processes ------------------------------------------------------------------------------------------------

    def _woken(self, wake: int) -> None:
        numbers = set(os.read(wake, 4096))
        if numbers & {signal.SIGTERM, signal.SIGINT}:
            self._halt()
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._ended(pid, status)

    def _ended(self, pid: int, status: int) -> None:
        running = next((unit for unit in self._units.values() if unit.pid == pid), None)
        if running is None:
            return  # an orphan that was adopted: reaping it is all it needs
        code = os.waitstatus_to_exitcode(status)
        running.last_exit = f"signal {-code}" if code < 0 else f"exit {code}"
        now = time.monotonic()
        steady = now - running.since >= STEADY_AFTER
        running.failures = 1 if steady else running.failures + 1
        running.pid, running.kill_at = 0, None
        if not running.wanted or self._halting:
            running.state = UnitState.STOPPED
            if not running.wanted:
                del self._units[running.unit.name]
            return
        running.state = UnitState.WAITING
        running.due = now + pause_before_restart(failures=running.failures)

    def _timers(self) -> None:
        now = time.monotonic()
        for running in list(self._units.values()):
            if running.due is not None and now >= running.due and not self._halting:
                self._start(running)
            if running.kill_at is not None and now >= running.kill_at and running.pid:
                os.kill(running.pid, signal.SIGKILL)
                running.kill_at = None

    def _apply(self) -> dict[str, list[str]]:
        wanted = {unit.name: unit for unit in map(Unit.from_json, json.loads(UNITS.read_text()))}
        have = {name: running.unit for name, running in self._units.items() if running.wanted}
        changes = difference(have, wanted)
        for name in changes.stop:
            self._units[name].wanted = False
            self._stop(self._units[name])
        for unit in changes.restart:
            self._units[unit.name].unit = unit
            self._stop(self._units[unit.name])
        for unit in changes.start:
            self._units[unit.name] = Running(unit=unit)
            self._start(self._units[unit.name])
        return {
            "started": [unit.name for unit in changes.start],
            "restarted": [unit.name for unit in changes.restart],
            "stopped": list(changes.stop),
        }

    def _stop(self, running: Running) -> None:
        """Ask it to end; `_ended` then starts it again, if it is still wanted."""
        if not running.pid:
            if not running.wanted:
                self._units.pop(running.unit.name, None)
            elif running.due is None or running.due > time.monotonic():
                running.due, running.failures = time.monotonic(), 0
            return
        running.failures = 0
        running.state = UnitState.WAITING  # what still runs is on its way out
        running.kill_at = time.monotonic() + running.unit.stop_seconds
        os.kill(running.pid, signal.SIGTERM)

    def _halt(self) -> None:
        self._halting = True
        for running in self._units.values():
            running.due = None
            if running.pid:
                self._stop(running)

    def _start(self, running: Running) -> None:
        running.due = None
        pid = os.fork()
        if pid == 0:
            self._become(running.unit)  # never returns
        running.pid = pid
        running.since = time.monotonic()
        running.restarts += 1
        running.state = UnitState.STARTING if running.unit.notify else UnitState.RUNNING

    def _become(self, unit: Unit) -> None:
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            self._selector.close()
            log = os.open(LOGS / f"{unit.name}.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
            null = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
            os.dup2(null, 0)
            os.dup2(log, 1)
            os.dup2(log, 2)
            os.closerange(3, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            files = min(unit.open_files, hard)  # a machine may allow less; `doctor` says so
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
            os.umask(0o022)
            os.chdir(unit.directory)
            if unit.notify:
                os.environ["NOTIFY_SOCKET"] = str(RUN / "notify.sock")
            if unit.argv:
                os.execv(unit.argv[0], unit.argv)  # noqa: S606 - a unit is an argv
            from setproctitle import setproctitle

            setproctitle(f"groundplane-{unit.daemon}")
            code = self._daemons[unit.daemon]()
        except GroundplaneError as known:
            os.write(2, f"{unit.name}: {known}\n".encode())
            code = known.kind.exit_code
        except BaseException:  # noqa: BLE001 - the last words of a process that must not return into its parent's loop
            import traceback

            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)

    def _trim_logs(self) -> None:
        """Keep each log below its limit: one older generation, then truncated in place (writers append)."""
        for path in LOGS.glob("*.log"):
            if path.stat().st_size > LOG_LIMIT:
                path.with_suffix(".log.1").write_bytes(path.read_bytes())
                os.truncate(path, 0)


def claim_pid_file(path: Path, pid: int, started: int) -> None:
    """Write `PID START-TICKS`, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(f"{pid} {started}\n")
    temporary.rename(path)


def set_close_on_exec() -> None:
    """No descriptor of the process that made this host may reach its programs."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted
        if int(name) > 2:  # noqa: PLR2004 - the standard streams stay
            try:
                fcntl.fcntl(int(name), fcntl.F_SETFD, fcntl.FD_CLOEXEC)
            except OSError:
                pass  # the descriptor that listed this directory is closed by now
