"""Hosts in network namespaces, joined by a bridge in one of its own, with a real etcd, real BIRDs and real agents."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import groundplane
from groundplane.cni import executable_text
from groundplane.network.bird import initial
from groundplane.network.client import AgentClient
from groundplane.system import netlink, netns
from groundplane.system.netlink import AddAddress, AddVeth, SetLink
from groundplane.system.process import launch, run_now

SOON = timedelta(seconds=30)
_SOURCE = str(Path(groundplane.__file__).parent.parent)
_AGENT = "import pathlib, sys; from groundplane.network import agent; sys.exit(agent.main(pathlib.Path(sys.argv[1])))"


def eventually(what: str, check: Callable[[], Any], *, within: float = 20.0) -> float:
    """Seconds until `check` was true. Polls, for it looks at several kernels from outside."""
    began = time.monotonic()
    while True:
        try:
            if check():
                return time.monotonic() - began
        except Exception as failed:  # noqa: BLE001 - whatever is not up yet
            last: object = failed
        else:
            last = None
        if time.monotonic() - began > within:
            raise AssertionError(f"{what}: not within {within} s ({last})")
        time.sleep(0.02)


class Host:
    """One of the lab's: a namespace, a directory, a BIRD and an agent."""

    def __init__(self, lab: "Lab", name: str, address: IPv4Interface) -> None:
        self.lab, self.name, self.address = lab, name, address
        self.at = lab.at / name
        self.netns = self.at / "netns"
        self.agent: subprocess.Popen[bytes] | None = None
        self.bird: subprocess.Popen[bytes] | None = None
        self.client = AgentClient(self.at / "agent.sock")

    def ask(self, op: str, **fields: Any) -> Any:
        return asyncio.run(self.client.ask(op, **fields))

    def status(self) -> dict[str, Any]:
        found = self.ask("status")
        assert isinstance(found, dict)
        return found

    def write_config(self) -> None:
        self.at.mkdir()
        config = {
            "node": self.name,
            "address": str(self.address),
            "etcd": {"endpoints": [self.lab.etcd_url]},
            "socket": str(self.at / "agent.sock"),
            "bird": {"config": str(self.at / "bird.conf"), "socket": str(self.at / "bird.ctl")},
        }
        (self.at / "agent.json").write_text(json.dumps(config))
        (self.at / "bird.conf").write_text(initial(self.address.ip, self.name))

    def _launch(self, log: str, *argv: str) -> subprocess.Popen[bytes]:
        with (self.at / log).open("ab") as out:
            return launch(
                argv,
                env={**os.environ, "PYTHONPATH": _SOURCE},
                stdout=out.fileno(),
                stderr=out.fileno(),
                before=lambda: netns.enter(self.netns, netns.CLONE_NEWNET),
            )

    def start_bird(self) -> None:
        self.bird = self._launch(
            "bird.log", "bird", "-R", "-f", "-c", str(self.at / "bird.conf"), "-s", str(self.at / "bird.ctl")
        )

    def start_agent(self) -> None:
        self.agent = self._launch("agent.log", sys.executable, "-c", _AGENT, str(self.at / "agent.json"))

    def kill_agent(self, number: int = signal.SIGKILL) -> None:
        assert self.agent is not None
        self.agent.send_signal(number)
        self.agent.wait()

    def kill_bird(self) -> None:
        assert self.bird is not None
        self.bird.kill()
        self.bird.wait()

    def established(self) -> int:
        return int(self.status()["bgp"]["established"])

    def run(self, *argv: str, check: bool = True) -> str:
        return self.lab.run_in(self.netns, *argv, check=check)

    def kernel(self) -> netlink.KernelNetlink:
        return netlink.open_in(self.netns)


class Pod:
    """A network namespace that a container would have, attached through the plugin program."""

    def __init__(
        self, host: Host, name: str, *, namespace: str = "default", labels: dict[str, str] | None = None
    ) -> None:
        self.host, self.name, self.namespace = host, name, namespace
        self.labels = labels or {}
        self.container_id = f"c-{name}-{os.urandom(4).hex()}"
        self.netns = host.lab.at / f"pod-{self.container_id}"
        self.address = IPv4Address(0)
        self.result: dict[str, Any] = {}

    def create(self) -> Self:
        netns.create(self.netns)
        self.host.lab.pods.append(self)
        with netlink.open_in(self.netns) as inside:
            inside.run(SetLink(name="lo", up=True))
        return self

    def call(self, command: str, **conf: Any) -> tuple[int, dict[str, Any]]:
        config = {
            "cniVersion": "1.1.0",
            "name": "pods",
            "type": "groundplane",
            "agentSocket": str(self.host.at / "agent.sock"),
            "runtimeConfig": {"groundplane.dev/pod-labels": self.labels},
            **conf,
        }
        env = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": str(self.netns) if self.netns.exists() else "",
            "CNI_IFNAME": "eth0",
            "CNI_PATH": str(self.host.lab.plugin.parent),
            "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={self.namespace};K8S_POD_NAME={self.name}",
        }
        argv = [str(self.host.lab.plugin)]
        done = run_now(argv, within=SOON, stdin=json.dumps(config).encode(), env=env, check=False)
        return done.code, json.loads(done.stdout) if done.stdout else {}

    def add(self) -> Self:
        code, self.result = self.call("ADD")
        assert code == 0, self.result
        self.address = IPv4Interface(self.result["ips"][0]["address"]).ip
        return self

    def delete(self) -> None:
        code, answer = self.call("DEL", prevResult=self.result or None)
        assert code == 0, answer

    def check(self) -> tuple[int, dict[str, Any]]:
        return self.call("CHECK", prevResult=self.result)

    def run(self, *argv: str, check: bool = False) -> str:
        return self.host.lab.run_in(self.netns, *argv, check=check)

    def pings(self, to: object, *, count: int = 1, wait: int = 1) -> bool:
        out = self.run("busybox", "ping", "-c", str(count), "-W", str(wait), str(to))
        return f"{count} packets received" in out

    def interface(self) -> str:
        return str(self.result["interfaces"][0]["name"])


class Lab:
    """`with Lab(tmp_path, hosts=3) as lab:`"""

    def __init__(self, at: Path, *, hosts: int = 3, subnet: str = "10.99.0") -> None:
        self.at, self.subnet = at, subnet
        self.fabric = at / "fabric"
        self.etcd_url = f"http://{subnet}.254:2379"
        self.plugin = at / "bin/groundplane"
        self.hosts = [Host(self, f"h{n}", IPv4Interface(f"{subnet}.{n}/24")) for n in range(1, hosts + 1)]
        self.pods: list[Pod] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pod in self.pods:
            if netns.pinned(pod.netns):
                netns.unpin(pod.netns)
        self._stack.close()

    def run_in(self, where: Path, *argv: str, check: bool = True) -> str:
        done = run_now(["nsenter", f"--net={where}", *argv], within=SOON, check=check)
        return (done.stdout + done.stderr).decode()

    def _pin(self, path: Path) -> None:
        netns.create(path)
        self._stack.callback(partial(netns.unpin, path))

    def _build(self) -> None:
        self.plugin.parent.mkdir()
        self.plugin.write_text(executable_text(sys.executable, _SOURCE))
        self.plugin.chmod(0o755)
        self._pin(self.fabric)
        self.run_in(self.fabric, "ip", "link", "add", "br0", "type", "bridge")
        self.run_in(self.fabric, "ip", "addr", "add", f"{self.subnet}.254/24", "dev", "br0")
        self.run_in(self.fabric, "ip", "link", "set", "br0", "up")
        for host in self.hosts:
            host.write_config()
            self._pin(host.netns)
            self._plug(host)
        self.start_etcd()
        self._stack.callback(self.stop)

    def _plug(self, host: Host) -> None:
        fd = os.open(host.netns, os.O_RDONLY)
        try:
            with netlink.open_in(self.fabric) as fabric, host.kernel() as inside:
                fabric.run(AddVeth(name=host.name, peer="eth0", peer_netns=fd))
                self.run_in(self.fabric, "ip", "link", "set", host.name, "master", "br0", "up")
                inside.run(SetLink(name="lo", up=True), SetLink(name="eth0", up=True))
                inside.run(AddAddress(interface="eth0", address=host.address))
        finally:
            os.close(fd)

    def start_etcd(self) -> None:
        argv = (
            *("etcd", "--data-dir", str(self.at / "etcd"), "--listen-client-urls", self.etcd_url),
            *("--advertise-client-urls", self.etcd_url, "--listen-peer-urls", f"http://{self.subnet}.254:2380"),
            *("--log-level", "error", "--unsafe-no-fsync"),
        )
        with (self.at / "etcd.log").open("ab") as out:
            self.etcd = launch(
                argv,
                env=dict(os.environ),
                stdout=out.fileno(),
                stderr=out.fileno(),
                before=lambda: netns.enter(self.fabric, netns.CLONE_NEWNET),
            )

    def stop_etcd(self) -> None:
        self.etcd.kill()
        self.etcd.wait()

    def start(self) -> None:
        for host in self.hosts:
            host.start_bird()
        for host in self.hosts:
            host.start_agent()

    def stop(self) -> None:
        for host in self.hosts:
            for child in (host.agent, host.bird):
                if child is not None and child.poll() is None:
                    child.kill()
                    child.wait()
        self.stop_etcd()

    def wait_synced(self) -> float:
        return eventually("agents synced", lambda: all(host.status()["synced"] for host in self.hosts))

    def wait_mesh(self) -> float:
        wanted = len(self.hosts) - 1
        return eventually("BGP", lambda: all(host.established() == wanted for host in self.hosts))


def document(kind: str, name: str, spec: dict[str, Any], *, namespace: str = "") -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": metadata, "spec": spec}
