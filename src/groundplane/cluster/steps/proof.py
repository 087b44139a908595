"""The proof at the end of `up`: each pod reaches each, and where policy keeps one from another, it really does.

What policy says is calculated from the same resources that the agents follow; what happens is seen with packets.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from groundplane.cluster.lab.host import LabHost
from groundplane.cluster.model import Cluster, Host
from groundplane.cluster.prove import Echo, PodAddress, reach
from groundplane.cluster.status import pods_seen
from groundplane.etcd import Client
from groundplane.names import parse_host_name
from groundplane.network.calc.evaluate import Packet, decide
from groundplane.network.calc.graph import compute
from groundplane.network.calc.model import Dataplane, Endpoint
from groundplane.network.calc.state import State
from groundplane.network.datastore import BlockOwned, Changed, Datastore
from groundplane.network.resources.policy import Direction
from groundplane.network.resources.rule import ICMP

_WITHIN = 5.0
_KEPT_APART_WITHIN = 0.3
"""Seconds: for what must come through, and for what must not (two echoes' worth)."""
_ECHO_REQUEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was seen. `lost` should have come through, `leaked` should not."""

    pods: tuple[PodAddress, ...]
    echoes: tuple[Echo, ...]
    kept_apart: tuple[Echo, ...]

    @property
    def lost(self) -> tuple[Echo, ...]:
        """Pairs that policy lets talk, and that did not."""
        return tuple(echo for echo in self.echoes if echo.milliseconds is None)

    @property
    def leaked(self) -> tuple[Echo, ...]:
        """Pairs that policy keeps apart, and that talked."""
        return tuple(echo for echo in self.kept_apart if echo.milliseconds is not None)

    def words(self) -> str:
        """What was seen, in one line."""
        at = {pod.name: pod.host for pod in self.pods}
        seen = [
            f"{e.source}@{at[e.source]} -> {e.destination}@{at[e.destination]} {e.milliseconds:.2f} ms"
            for e in self.echoes
            if e.milliseconds is not None
        ]
        said = f"{len(seen)} of {len(self.echoes)} ways: " + ", ".join(seen)
        apart = [f"{e.source} from {e.destination}" for e in self.kept_apart if e.milliseconds is None]
        return f"{said}; policy keeps {', '.join(apart)}" if apart else said

    def problems(self) -> tuple[str, ...]:
        """What is not as it should be, in words."""
        ip = {pod.name: pod.ip for pod in self.pods}
        return (
            *(f"{e.source} does not reach {e.destination} ({ip[e.destination]}): {e.error}" for e in self.lost),
            *(f"{e.source} reaches {e.destination} ({ip[e.destination]}), which policy forbids" for e in self.leaked),
        )


async def prove(cluster: Cluster, doors: Sequence[tuple[Host, LabHost]], client: Client) -> Proof:
    """Send the packets, and hold what came back to what policy says."""
    pods = await _addresses(cluster, doors)
    allowed = _allowed(pods, await _state(client), doors)
    apart = {(a.name, b.name) for a in pods for b in pods if a is not b} - allowed
    async with asyncio.TaskGroup() as group:
        open_ways = group.create_task(asyncio.to_thread(reach, pods, allowed, within=_WITHIN))
        closed = group.create_task(asyncio.to_thread(reach, pods, apart, within=_KEPT_APART_WITHIN))
    return Proof(pods=tuple(pods), echoes=tuple(open_ways.result()), kept_apart=tuple(closed.result()))


async def _addresses(cluster: Cluster, doors: Iterable[tuple[Host, LabHost]]) -> list[PodAddress]:
    from ipaddress import IPv4Address

    names = [str(pod.name) for pod in cluster.pods]
    found = []
    for host, door in doors:
        root = door.root()
        for key, seen in (await pods_seen(cluster, door)).items():
            name = key.partition("/")[2]
            place = root / seen.netns.lstrip("/")
            # Two namespaces may hold pods of one name: then only the whole key tells them apart.
            shown = name if names.count(name) == 1 else key
            found.append(PodAddress(name=shown, host=host.name, namespace=place, ip=IPv4Address(seen.ip)))
    return found


async def _state(client: Client) -> State:
    batch = await Datastore(client).snapshot()
    blocks = {event.cidr: event.host for event in batch.events if isinstance(event, BlockOwned)}
    return State.of((event.resource for event in batch.events if isinstance(event, Changed)), blocks)


def _allowed(
    pods: Sequence[PodAddress], state: State, doors: Iterable[tuple[Host, LabHost]]
) -> frozenset[tuple[str, str]]:
    """The ordered pairs that policy lets exchange an echo. Pure."""
    planes = {host.name: compute(state, node=parse_host_name(host.name)) for host, _ in doors}
    found = set()
    for source in pods:
        for destination in pods:
            if source is destination:
                continue
            packet = Packet(source=source.ip, destination=destination.ip, protocol=ICMP, icmp_type=_ECHO_REQUEST)
            out = _verdict(planes[parse_host_name(source.host)], source, Direction.EGRESS, packet)
            into = _verdict(planes[parse_host_name(destination.host)], destination, Direction.INGRESS, packet)
            if out and into:
                found.add((source.name, destination.name))
    return frozenset(found)


def _verdict(plane: Dataplane, pod: PodAddress, direction: Direction, packet: Packet) -> bool:
    endpoint = next((e for e in plane.endpoints if pod.ip in e.addresses), None)
    return isinstance(endpoint, Endpoint) and decide(plane, endpoint, direction, packet).allowed
