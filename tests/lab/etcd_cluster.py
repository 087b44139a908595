"""A real three-member etcd cluster with mutual TLS on loopback addresses, started from groundplane's own flags."""

import asyncio
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import cache
from ipaddress import IPv4Address
from pathlib import Path

from groundplane.etcd import Client, MemberSpec, TLSFiles, render_flags
from groundplane.etcd.flags import CLIENT_PORT, PEER_PORT
from groundplane.system import process
from tests.support.authority import Authority

ETCD = "/usr/bin/etcd"


@cache
def _part() -> int:
    """The third octet of this process' addresses: two runs of the tests on one machine must not meet.

    What says that it is taken is a socket, which ends with the process, however that ends.
    """
    for number in range(255):
        claim = socket.socket()
        try:
            claim.bind((f"127.70.{number}.1", PEER_PORT))
        except OSError:
            claim.close()
            continue
        claim.detach()
        return number
    raise AssertionError("all addresses for test clusters are taken")


class EtcdCluster:
    """Members m1, m2, … on 127.`net`.x.1, .2, …: etcd's own ports, nobody else's addresses."""

    def __init__(self, root: Path, *, net: int, size: int = 3, flags: dict[str, str | bool] | None = None) -> None:
        self.root, self.flags = root, flags or {}
        self.net = net
        self.addresses = {f"m{number}": self.address(number) for number in range(1, size + 1)}
        self.token = f"token-{net}"
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        authority = Authority()
        spare = [self.address(number) for number in range(size + 1, size + 3)]
        cert, key = authority.issue(["127.0.0.1", *self.addresses.values(), *spare])
        self.tls = TLSFiles(ca=root / "ca.pem", cert=root / "etcd.pem", key=root / "etcd-key.pem")
        for path, data in ((self.tls.ca, authority.pem()), (self.tls.cert, cert), (self.tls.key, key)):
            path.write_bytes(data)
            path.chmod(0o600)

    def address(self, number: int) -> str:
        return f"127.{self.net}.{_part()}.{number}"

    def spec(self, name: str, *, peers: dict[str, str] | None = None, state: str = "new") -> MemberSpec:
        data, wal = self.root / name / "data", self.root / name / "wal"
        return MemberSpec(
            name=name,
            address=IPv4Address(self.addresses[name]),
            peers=peers or {name: self.peer_url(name) for name in self.addresses},
            token=self.token,
            data_dir=data,
            wal_dir=wal,
            cert=self.tls.cert,
            key=self.tls.key,
            ca=self.tls.ca,
            flags=self.flags,
            state=state,
        )

    def peer_url(self, name: str) -> str:
        return f"https://{self.addresses[name]}:{PEER_PORT}"

    def endpoint(self, name: str) -> str:
        return f"https://{self.addresses[name]}:{CLIENT_PORT}"

    @property
    def endpoints(self) -> list[str]:
        return [self.endpoint(name) for name in self.addresses]

    def client(self, *names: str, timeout: timedelta = timedelta(seconds=5)) -> Client:
        return Client([self.endpoint(name) for name in names or self.addresses], tls=self.tls, timeout=timeout)

    def start(self, name: str, *, spec: MemberSpec | None = None) -> None:
        """Start one member; return when its peer port listens."""
        spec = spec or self.spec(name)
        for path in (spec.data_dir, spec.wal_dir):
            path.mkdir(parents=True, exist_ok=True)
            path.chmod(0o700)
        with (self.root / f"{name}.log").open("ab") as log:
            self.running[name] = process.launch(
                [ETCD, *render_flags(spec)], env={"PATH": "/usr/bin"}, stdout=log.fileno(), stderr=log.fileno()
            )
        for _ in range(1000):
            with socket.socket() as probe:
                if probe.connect_ex((str(spec.address), PEER_PORT)) == 0:
                    return
            if self.running[name].poll() is not None:
                raise AssertionError(self.log(name)[-3000:])
            time.sleep(0.005)
        raise AssertionError(f"{name} does not listen: {self.log(name)[-3000:]}")

    def log(self, name: str) -> str:
        return (self.root / f"{name}.log").read_text()

    def up(self) -> None:
        for name in self.addresses:
            self.start(name)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        child = self.running.pop(name)
        os.kill(child.pid, number)
        child.wait(20)

    def down(self) -> None:
        for name in list(self.running):
            self.kill(name)


def etcdctl(cluster: EtcdCluster, *arguments: str, names: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Debian's etcdctl against the cluster."""
    endpoints = ",".join(cluster.endpoint(name) for name in names or cluster.addresses)
    return subprocess.run(
        [
            *("/usr/bin/etcdctl", f"--endpoints={endpoints}", f"--cacert={cluster.tls.ca}"),
            *(f"--cert={cluster.tls.cert}", f"--key={cluster.tls.key}", *arguments),
        ],
        env={"ETCDCTL_API": "3", "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def until_healthy(cluster: EtcdCluster, *names: str) -> None:
    """Every named member (all, if none is) commits."""
    async with cluster.client(*names) as client, asyncio.timeout(40):
        for endpoint in client.endpoints:
            while not (await client.health(endpoint)).healthy:  # noqa: ASYNC110 - etcd has no call that waits for it
                await asyncio.sleep(0.02)
