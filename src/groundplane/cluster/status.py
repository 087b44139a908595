"""Look at everything at the same time, and make one picture of it. Nothing here changes anything.

What does not answer within its time is shown as not answering; one dead host never hides the others.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from groundplane.cluster import layout, wanted
from groundplane.cluster.certificates import OPERATOR, Store
from groundplane.cluster.lab.lab import Lab
from groundplane.cluster.model import Cluster, Host, Role
from groundplane.cluster.picture import (
    BlockPicture,
    CertificatePicture,
    HostPicture,
    MemberPicture,
    Picture,
    PodPicture,
)
from groundplane.cluster.pods import keeper
from groundplane.cluster.pods.model import Phase
from groundplane.cluster.provider import HostDoor, UnitStatus
from groundplane.errors import GroundplaneError
from groundplane.etcd import Client, TLSFiles
from groundplane.etcd.health import Observed, observe, problems
from groundplane.network.client import AgentClient
from groundplane.runtime.client import RuntimeClient
from groundplane.runtime.proto import api_pb2 as cri

_WITHIN = timedelta(seconds=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockSeen:
    """A block of addresses as an agent knows it."""

    cidr: str
    node: str
    used: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentStatus:
    """What a host's agent says of itself. `established`: its BGP sessions that are up."""

    synced: bool
    established: int
    blocks: tuple[BlockSeen, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PodSeen:
    """What a host's runtime says of one of the file's pods. `netns`: the path inside the host."""

    state: str
    ip: str
    netns: str
    sandbox: str


def operator_tls(store: Store) -> TLSFiles:
    """The operator's own identity towards etcd."""
    pair = store.pair(OPERATOR)
    return TLSFiles(ca=store.pair("ca").certificate, cert=pair.certificate, key=pair.key)


async def look(cluster: Cluster, lab: Lab) -> Picture:
    """The cluster as it is. Call it from inside the fabric, or no etcd endpoint is reached."""
    store = Store(lab.paths.pki)
    async with asyncio.TaskGroup() as group:
        hosts = [group.create_task(_host(cluster, lab, host)) for host in cluster.hosts]
        members = group.create_task(_members(cluster, store))
    seen = [task.result() for task in hosts]
    return Picture(
        cluster=cluster.name,
        provider=cluster.provider.value,
        hosts=tuple(host for host, _, _ in seen),
        members=members.result()[0],
        etcd_problems=members.result()[1],
        certificates=tuple(
            CertificatePicture(
                name=Path(found.path).stem, path=found.path, not_after=found.not_after, days_left=found.days_left
            )
            for found in store.described(now=datetime.now(UTC))
        ),
        sessions=len(nodes := cluster.with_role(Role.NODE)) * (len(nodes) - 1),
        established=sum(agent.established for _, agent, _ in seen if agent is not None),
        pods=tuple(pod for _, _, pods in seen for pod in pods),
    )


async def _host(
    cluster: Cluster, lab: Lab, host: Host
) -> tuple[HostPicture, AgentStatus | None, tuple[PodPicture, ...]]:
    door = lab.host(host.name)
    units: Mapping[str, UnitStatus] = {}
    problem = ""
    try:
        units = await door.status()
    except GroundplaneError as down:
        problem = str(down)
    agent, pods = None, {}
    if units and Role.NODE in host.roles:
        agent = await agent_status(door)
        pods = await pods_seen(cluster, door)
    names = ["etcd"] if Role.ETCD in host.roles else []
    if Role.NODE in host.roles:
        names += [unit.name for unit in (*wanted.node_units(ca=b""), wanted.PODS_UNIT)]
    picture = HostPicture(
        name=host.name,
        address=str(host.ip),
        up=bool(units) or lab.up(host.name),
        units=units,
        wanted_units=tuple(names),
        blocks=tuple(BlockPicture(cidr=b.cidr, used=b.used) for b in agent.blocks if b.node == host.name)
        if agent
        else (),
        synced=Role.NODE not in host.roles or (agent is not None and agent.synced),
        problem=problem,
    )
    mine = tuple(
        PodPicture(
            name=pod.name,
            namespace=pod.namespace,
            host=pod.host,
            ip=pods[key].ip if (key := f"{pod.namespace}/{pod.name}") in pods else "",
            state=pods[key].state if key in pods else "waiting",
        )
        for pod in cluster.pods
        if pod.host == host.name
    )
    return picture, agent, mine


async def agent_status(door: HostDoor) -> AgentStatus | None:
    """What a host's agent says of itself; None if it does not answer."""
    try:
        async with asyncio.timeout(_WITHIN.total_seconds()):
            answer = await AgentClient(door.socket(layout.AGENT_SOCKET.name)).status()
    except (GroundplaneError, OSError, TimeoutError):
        return None  # shown as an agent that is not in step
    return AgentStatus(
        synced=bool(answer["synced"]),
        established=int(answer["bgp"]["established"]),
        blocks=tuple(BlockSeen(cidr=b["cidr"], node=b["node"], used=b["used"]) for b in answer["blocks"]),
    )


async def pods_seen(cluster: Cluster, door: HostDoor) -> dict[str, PodSeen]:
    """The file's pods on a host, by `namespace/name`; empty if the runtime does not answer."""
    mine = {f"{pod.namespace}/{pod.name}" for pod in cluster.pods if pod.host == door.name}
    if not mine:
        return {}
    found: dict[str, PodSeen] = {}
    try:
        async with RuntimeClient(door.socket(layout.CRI_SOCKET.name), within=_WITHIN) as client:
            for sandbox in await keeper.observe(client):
                if sandbox.key not in mine or not sandbox.ready:
                    continue
                request = cri.PodSandboxStatusRequest(pod_sandbox_id=sandbox.id, verbose=True)
                status = await client.call("PodSandboxStatus", request)
                phases = [c.phase for c in sorted(sandbox.containers, key=lambda c: c.attempt)]
                state = phases[-1].value if phases else Phase.CREATED.value
                found[sandbox.key] = PodSeen(
                    state=state, ip=status.status.network.ip, netns=_netns(status), sandbox=sandbox.id
                )
    except GroundplaneError:
        return found  # what is not found is shown as waiting
    return found


def _netns(status: cri.PodSandboxStatusResponse) -> str:
    import json

    info = json.loads(status.info.get("info", "{}"))
    return str(info.get("netns", ""))


async def _members(cluster: Cluster, store: Store) -> tuple[tuple[MemberPicture, ...], tuple[str, ...]]:
    """The members, and what etcd as a whole suffers from."""
    tls = operator_tls(store)
    hosts = cluster.with_role(Role.ETCD)
    if not all(path.exists() for path in (tls.ca, tls.cert, tls.key)):
        unknown = (
            MemberPicture(name=host.name, endpoint=wanted.endpoint(host), healthy=False, error="not set up")
            for host in hosts
        )
        return tuple(unknown), ("etcd is not set up",)
    async with Client(wanted.endpoints(cluster), tls=tls, timeout=_WITHIN) as client:
        seen = await observe(client)
    return tuple(_member(host, seen) for host in hosts), tuple(f"etcd {problem}" for problem in problems(seen))


def _member(host: Host, seen: Observed) -> MemberPicture:
    """One member as its own endpoint answers. Pure."""
    endpoint = wanted.endpoint(host)
    health = next((row for row in seen.health if row.endpoint == endpoint), None)
    status = next((row for row in seen.status if row.endpoint == endpoint), None)
    if status is None:
        error = health.error if health is not None else "does not answer"
        return MemberPicture(name=host.name, endpoint=endpoint, healthy=False, error=error)
    return MemberPicture(
        name=host.name,
        endpoint=endpoint,
        healthy=health is not None and health.healthy,
        id=f"{status.member_id:x}",
        version=status.version,
        leader=status.leader == status.member_id,
        error=health.error if health is not None else "",
    )
