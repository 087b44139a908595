"""A whole lab: make the fabric, boot hosts, find them again, take everything away."""

import os
import shutil
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cluster.lab import cgroups, paths
from groundplane.cluster.lab.host import LabHost, init_pid
from groundplane.cluster.lab.paths import LabPaths
from groundplane.cluster.model import Cluster, Host
from groundplane.names import ClusterName, HostName
from groundplane.system import files, netns, process

if TYPE_CHECKING:
    from groundplane.cluster.lab.spawn import Boot

_HALT = timedelta(seconds=8)
_REAPED_WITHIN = 10.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Down:
    """What taking a lab down did."""

    hosts: tuple[str, ...]
    purged: bool


class Lab:
    """The lab of one cluster on this machine. Nothing is made until asked."""

    def __init__(self, name: ClusterName) -> None:
        self.name = name
        self.paths: LabPaths = paths.lab(name)

    def prepare(self) -> None:
        """Make the lab's own directories."""
        for directory in (self.paths.data, self.paths.run):
            files.ensure_directory(directory, mode=files.PRIVATE_DIR)
        files.ensure_directory(self.paths.pki, mode=files.PRIVATE_DIR)

    def host(self, name: HostName) -> LabHost:
        """The door to a host, up or not."""
        return LabHost(name, self.paths.host(name))

    def up(self, name: HostName) -> bool:
        """Whether the host's init runs."""
        return init_pid(self.paths.host(name)) != 0

    def fabric_up(self, networks: Iterable[IPv4Network]) -> bool:
        """Whether the fabric's namespace is there with a bridge for each network."""
        if not netns.pinned(self.paths.fabric):
            return False
        from groundplane.cluster.lab import fabric

        wanted = {fabric.bridge_name(network) for network in networks}
        return netns.run_in(self.paths.fabric, lambda: wanted <= {name for _, name in _interfaces()})

    def enter_fabric(self) -> None:
        """Move this thread, and all it starts from now on, into the fabric: from here hosts can be reached."""
        netns.enter(self.paths.fabric, netns.CLONE_NEWNET)

    def known_hosts(self) -> list[HostName]:
        """Every host that has left something here, also ones that the cluster file names no more."""
        found = {
            HostName(entry.name)
            for tree in (self.paths.data / "hosts", self.paths.run / "hosts")
            if tree.is_dir()
            for entry in tree.iterdir()
        }
        return sorted(found)

    def stop(self, names: Iterable[HostName], *, at_once: bool = False) -> list[HostName]:
        """Stop hosts: SIGTERM to their inits, which end their units; what is left is killed. `at_once`: kill only."""
        names, waiting = list(names), []
        for name in names:
            pid = init_pid(self.paths.host(name))
            if pid:
                os.kill(pid, signal.SIGKILL if at_once else signal.SIGTERM)
                waiting.append((name, pid))
        for _, pid in waiting:
            _wait(pid, _HALT)
        for name in names:
            host = self.paths.host(name)
            cgroups.kill(host.cgroup)
            cgroups.remove(host.cgroup)
            host.init_pid.unlink(missing_ok=True)
        _until_reaped(pid for _, pid in waiting)
        return [name for name, _ in waiting]

    def forget(self, names: Iterable[HostName]) -> None:
        """Stop hosts for good, and remove all that they kept: for hosts that hold no member of etcd."""
        names = list(names)
        self.stop(names, at_once=True)
        for name in names:
            host = self.paths.host(name)
            _remove_tree(host.run)
            _remove_tree(host.data)

    def down(self, *, purge: bool) -> Down:
        """Stop all hosts and remove the fabric; with `purge` also the hosts' data, the keys and the certificates."""
        stopped = self.stop(self.known_hosts(), at_once=purge)
        netns.unpin(self.paths.fabric)
        cgroups.remove(self.paths.cgroup)
        cgroups.remove_if_empty(paths.CGROUP)
        had = purge and self.paths.data.exists()
        _remove_tree(self.paths.run)
        _remove_if_empty(paths.RUN)
        if purge:
            _remove_tree(self.paths.data)
            _remove_if_empty(paths.DATA)
        return Down(hosts=tuple(stopped), purged=had)


def boots(cluster: Cluster, lab: Lab, hosts: Iterable[Host]) -> "tuple[Boot, ...]":
    """What the spawner needs to boot `hosts`."""
    from groundplane.cluster.lab.spawn import Boot

    return tuple(
        Boot(
            host=host.name,
            address=host.address,
            paths=lab.paths.host(host.name),
            fabric=lab.paths.fabric,
            routed=tuple(network for network in cluster.networks if network != host.address.network),
            neighbours=tuple((str(other.ip), other.name) for other in cluster.hosts),
        )
        for host in hosts
    )


def _interfaces() -> list[tuple[int, str]]:
    import socket

    return socket.if_nameindex()


def _wait(pid: int, within: timedelta) -> None:
    if not process.wait(pid, within=within):
        process.kill_and_wait(pid, number=signal.SIGKILL, within=within)


def _until_reaped(pids: Iterable[int]) -> None:
    """Wait until the machine's own init has taken note of the ends: some take seconds, and until then a zombie shows.

    Nothing tells when a stranger's child is reaped, hence the looking again; what is still there then does no harm.
    """
    left, end = set(pids), time.monotonic() + _REAPED_WITHIN
    while left and time.monotonic() < end:
        left = {pid for pid in left if Path(f"/proc/{pid}").exists()}
        if left:
            time.sleep(0.01)


def _remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _remove_if_empty(path: Path) -> None:
    try:
        path.rmdir()
    except OSError:
        pass  # missing, or another lab lives in it
