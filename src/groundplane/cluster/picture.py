"""One picture of a cluster as it is: what `status` prints, what `up` waits for, what the page will show. Pure.

The JSON names are stable: scripts may rely on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from groundplane.cluster.provider import UnitStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockPicture:
    """A block of addresses that a host owns, and how many of it are in use."""

    cidr: str
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPicture:
    """A host. `wanted_units` are the names that must run for it to be healthy; `problem` is why it is not reachable."""

    name: str
    address: str
    up: bool
    units: Mapping[str, UnitStatus]
    wanted_units: tuple[str, ...]
    blocks: tuple[BlockPicture, ...] = ()
    synced: bool = True
    problem: str = ""

    @property
    def healthy(self) -> bool:
        """It is up, every unit serves, and its agent is in step with the store."""
        running = all(name in self.units and self.units[name].running for name in self.wanted_units)
        return self.up and running and self.synced

    def to_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "name": self.name,
            "address": self.address,
            "healthy": self.healthy,
            "up": self.up,
            "problem": self.problem,
            "units": {
                name: {
                    "state": unit.state,
                    "pid": unit.pid,
                    "seconds": unit.seconds,
                    "restarts": unit.restarts,
                    "lastExit": unit.last_exit,
                }
                for name, unit in self.units.items()
            },
            "blocks": [{"cidr": block.cidr, "used": block.used} for block in self.blocks],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberPicture:
    """An etcd member as its own host's endpoint answers."""

    name: str
    endpoint: str
    healthy: bool
    id: str = ""
    version: str = ""
    leader: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificatePicture:
    """A certificate; `path` is where the master copy is."""

    name: str
    path: str
    not_after: datetime
    days_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PodPicture:
    """A pod of the cluster file; `state` is running, created, exited, waiting (not there yet) or unknown."""

    name: str
    namespace: str
    host: str
    ip: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The whole cluster. `sessions` and `established` count each host's end of each BGP session."""

    cluster: str
    provider: str
    hosts: tuple[HostPicture, ...]
    members: tuple[MemberPicture, ...]
    etcd_problems: tuple[str, ...]
    certificates: tuple[CertificatePicture, ...]
    sessions: int
    established: int
    pods: tuple[PodPicture, ...]

    @property
    def leader(self) -> str:
        """The name of etcd's leader, empty if there is none."""
        return next((member.name for member in self.members if member.leader), "")

    @property
    def etcd_healthy(self) -> bool:
        """Every member commits and is connected to every other, there is a leader, and no alarm is raised."""
        return bool(self.leader) and not self.etcd_problems and all(member.healthy for member in self.members)

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps it from being healthy, in words; empty if it is."""
        found = []
        for host in self.hosts:
            if not host.up:
                found.append(f"host {host.name} is down")
                continue
            for name in host.wanted_units:
                unit = host.units.get(name)
                if unit is None or not unit.running:
                    state = "missing" if unit is None else unit.state
                    last = f" (last: {unit.last_exit})" if unit is not None and unit.last_exit else ""
                    found.append(f"{host.name}: {name} is {state}{last}")
            if not host.synced:
                found.append(f"{host.name}: its agent is not in step with the store")
        found.extend(self.etcd_problems)
        if not self.etcd_problems and not self.etcd_healthy:
            found.append("etcd has no leader" if not self.leader else "etcd is not healthy")
        if self.established < self.sessions:
            found.append(f"{self.sessions - self.established} of {self.sessions} BGP sessions are not established")
        found.extend(f"pod {p.namespace}/{p.name} on {p.host} is {p.state}" for p in self.pods if p.state != "running")
        found.extend(f"certificate {c.name} has expired" for c in self.certificates if c.days_left < 0)
        return tuple(found)

    @property
    def healthy(self) -> bool:
        """Everything that the file asks for works."""
        return not self.problems

    def to_json(self) -> dict[str, object]:
        """Plain data with stable names."""
        version = next((member.version for member in self.members if member.version), "")
        return {
            "cluster": self.cluster,
            "provider": self.provider,
            "healthy": self.healthy,
            "problems": list(self.problems),
            "hosts": [host.to_json() for host in self.hosts],
            "etcd": {
                "members": len(self.members),
                "healthy": self.etcd_healthy,
                "leader": self.leader,
                "version": version,
                "endpoints": [
                    {
                        "name": m.name,
                        "endpoint": m.endpoint,
                        "id": m.id,
                        "healthy": m.healthy,
                        "version": m.version,
                        "leader": m.leader,
                        "error": m.error,
                    }
                    for m in self.members
                ],
            },
            "certificates": [
                {
                    "name": c.name,
                    "path": c.path,
                    "notAfter": c.not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "daysLeft": c.days_left,
                }
                for c in self.certificates
            ],
            "bgp": {"sessions": self.sessions, "established": self.established},
            "pods": [
                {"name": p.name, "namespace": p.namespace, "host": p.host, "ip": p.ip, "state": p.state}
                for p in self.pods
            ],
        }
