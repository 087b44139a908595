"""How hosts come to be: a helper process, forked while this one is still small, that boots them.

The helper loads the daemons' code once; every host's init is forked from it, and every daemon from its init, so that
six Python daemons cost one import. It dies with the command that made it; the hosts it booted do not.

    up ── helper ──┬─ booter (enters new namespaces, plugs the cable) ── init (PID 1 of the host)
                   └─ booter …
"""

import ctypes
import gc
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from groundplane.cluster.lab.paths import HostPaths
from groundplane.errors import Failed
from groundplane.names import HostName

_MAX = 1 << 16
_PR_SET_PDEATHSIG = 1


class BootFailed(Failed):
    """A host did not come up; the words are the kernel's or the init's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What it takes to boot one host. `neighbours`: (address, name) lines of its /etc/hosts."""

    host: HostName
    address: IPv4Interface
    paths: HostPaths
    fabric: Path
    routed: tuple[IPv4Network, ...]
    neighbours: tuple[tuple[str, str], ...]


class Spawner:
    """The helper process. Make it before any thread or event loop exists; `close` it when all hosts are up."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        self._orders: list[Boot] = []
        self._pid = os.fork()
        if self._pid == 0:
            ours.close()
            _helper(theirs)
        theirs.close()

    def boot(self, orders: tuple[Boot, ...]) -> dict[HostName, int]:
        """Boot the hosts at the same time; blocks. The pids of their inits. Raises BootFailed."""
        self._orders.extend(orders)
        for order in orders:
            number = self._orders.index(order)
            self._socket.sendall(json.dumps(_to_json(number, order)).encode())
        pids: dict[HostName, int] = {}
        failed: list[BootFailed] = []
        for _ in orders:
            data = self._socket.recv(_MAX)
            if not data:
                raise BootFailed("the helper that boots hosts died", to="lab")
            answer = json.loads(data)
            host = self._orders[answer["number"]].host
            if "error" in answer:
                failed.append(BootFailed(answer["error"], to=host))
            else:
                pids[host] = answer["pid"]
        if failed:
            raise failed[0]
        return pids

    def close(self) -> None:
        """End the helper."""
        self._socket.close()
        os.waitpid(self._pid, 0)


def _to_json(number: int, order: Boot) -> dict[str, object]:
    return {
        "number": number,
        "host": order.host,
        "address": str(order.address),
        "data": str(order.paths.data),
        "run": str(order.paths.run),
        "cgroup": order.paths.cgroup,
        "fabric": str(order.fabric),
        "routed": [str(network) for network in order.routed],
        "neighbours": [list(line) for line in order.neighbours],
    }


def _from_json(data: dict[str, object]) -> Boot:
    routed, neighbours = data["routed"], data["neighbours"]
    assert isinstance(routed, list)
    assert isinstance(neighbours, list)
    return Boot(
        host=HostName(str(data["host"])),
        address=IPv4Interface(str(data["address"])),
        paths=HostPaths(data=Path(str(data["data"])), run=Path(str(data["run"])), cgroup=str(data["cgroup"])),
        fabric=Path(str(data["fabric"])),
        routed=tuple(IPv4Network(network) for network in routed),
        neighbours=tuple((line[0], line[1]) for line in neighbours),
    )


def _helper(orders: socket.socket) -> None:
    """The helper's whole life; never returns."""
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # booters are not waited for
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the command's to handle
        from groundplane.cluster.lab import daemons

        daemons.preload()
        gc.collect()
        gc.freeze()  # the daemons share these pages as long as nobody's collector touches them
        while data := orders.recv(_MAX):
            if os.fork() == 0:
                _boot(orders, json.loads(data))
    finally:
        os._exit(0)


def _boot(answers: socket.socket, data: dict[str, object]) -> None:
    """The booter: prepares namespaces, forks the init, says how it went; never returns."""
    answer: dict[str, object] = {"number": data["number"]}
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, 0)
        answer["pid"] = _namespaces(_from_json(data))
    except BaseException as failed:  # noqa: BLE001 - told to the command, which raises it
        answer["error"] = f"{failed}" if isinstance(failed, Failed) else f"{type(failed).__name__}: {failed}"
    finally:
        answers.sendall(json.dumps(answer).encode()[:_MAX])
        os._exit(0)


def _namespaces(order: Boot) -> int:
    from groundplane.cluster.lab import cgroups, fabric, init
    from groundplane.system import netns, process

    for directory in (order.paths.data, order.paths.run):
        directory.mkdir(parents=True, exist_ok=True)
    # A host whose booter died before it could write its pid left processes that only their group still names.
    cgroups.kill(order.paths.cgroup)
    cgroups.join(order.paths.cgroup)
    netns.unshare(netns.CLONE_NEWNET)
    fabric.connect(order.fabric, Path("/proc/self/ns/net"), order.host, order.address, order.routed)
    netns.unshare(netns.CLONE_NEWPID)  # for the child; the others are the init's own doing
    said, say = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        os.close(said)
        _init(order, say)
    os.close(say)
    with os.fdopen(said, "rb") as pipe:
        words = pipe.read()
    if words != b"booted":
        raise BootFailed(words.decode("utf-8", "replace") or "its init ended without a word", to=order.host)
    init.claim_pid_file(order.paths.init_pid, pid, process.start_time(pid))
    return pid


def _init(order: Boot, say: int) -> None:
    """The host's PID 1; never returns."""
    import traceback

    code = 1
    try:
        from groundplane.cluster.lab import daemons, init, root
        from groundplane.system import netns

        os.setsid()
        log = order.paths.data / "log" / "init.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, source in ((0, null), (1, out), (2, out)):
            os.dup2(source, number)
        sys.stdout.flush()
        netns.unshare(netns.CLONE_NEWNS | netns.CLONE_NEWUTS | netns.CLONE_NEWIPC | netns.CLONE_NEWCGROUP)
        stage = order.paths.data / "root"
        stage.mkdir(exist_ok=True)
        socket.sethostname(order.host)
        root.build(order.paths, name=order.host, hosts=order.neighbours, stage=stage)
        init.set_close_on_exec()
        for name in [name for name in os.environ if name.startswith(("ETCD", "NOTIFY_SOCKET", "GROUNDPLANE_"))]:
            del os.environ[name]
        from setproctitle import setproctitle

        setproctitle(f"groundplane-init {order.host}")
        keep = {0, 1, 2, say}
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - names are wanted
            if int(name) not in keep:
                try:
                    os.close(int(name))
                except OSError:
                    pass  # the descriptor that listed this directory
        machine = init.Init(daemons.table())
        os.write(say, b"booted")
        os.close(say)
        code = machine.run()
    except BaseException as failed:  # noqa: BLE001 - the last words of a process that must not return
        traceback.print_exc()
        try:
            os.write(say, f"{type(failed).__name__}: {failed}".encode())
        except OSError:
            pass  # the booter has heard "booted" and gone; the log has the traceback
    finally:
        sys.stderr.flush()
        os._exit(code)
