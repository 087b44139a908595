"""Look at every member at once, and say what is not as it should be.

A member can answer its clients while its peers cannot dial it (a certificate without client auth), so what members say
of their connections counts too: each must have all others as active peers.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from groundplane.errors import Failed, GroundplaneError, Unavailable
from groundplane.etcd.model import Health, MemberStatus

if TYPE_CHECKING:
    from groundplane.etcd.client import Client

_BEHIND = 1000  # entries; etcd's own alert is at 5000, its snapshots at 10000 and more
_LARGEST = 8 * 1024 * 1024  # octets of /metrics; a busy member has some 300 KB
_WITHIN = 3.0
_ACTIVE = re.compile(r"^etcd_network_active_peers\{([^}]*)\} ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One look at a cluster. `peers`: by endpoint, how many other members this one is connected to."""

    health: tuple[Health, ...]
    status: tuple[MemberStatus, ...]
    unreachable: Mapping[str, GroundplaneError]
    peers: Mapping[str, int]


async def observe_health(client: "Client") -> tuple[Health, ...]:
    """Every endpoint's health, in their order."""
    return tuple(await asyncio.gather(*(client.health(endpoint) for endpoint in client.endpoints)))


async def observe_status(client: "Client") -> tuple[tuple[MemberStatus, ...], dict[str, GroundplaneError]]:
    """Every endpoint's status, in their order, and the failures of those that gave none."""

    async def ask(endpoint: str) -> MemberStatus | GroundplaneError:
        try:
            return await client.status(endpoint)
        except GroundplaneError as failed:
            return failed

    answers = await asyncio.gather(*(ask(endpoint) for endpoint in client.endpoints))
    pairs = list(zip(client.endpoints, answers, strict=True))
    found = tuple(answer for _, answer in pairs if isinstance(answer, MemberStatus))
    return found, {endpoint: answer for endpoint, answer in pairs if isinstance(answer, GroundplaneError)}


async def observe(client: "Client") -> Observed:
    """Health, status and connections of every endpoint."""

    async def connected(endpoint: str) -> int | None:
        try:
            return active_peers(await metrics(client, endpoint))
        except GroundplaneError:
            return None  # its status says why it cannot be reached

    health, (status, unreachable), counts = await asyncio.gather(
        observe_health(client),
        observe_status(client),
        asyncio.gather(*(connected(endpoint) for endpoint in client.endpoints)),
    )
    peers = {endpoint: count for endpoint, count in zip(client.endpoints, counts, strict=True) if count is not None}
    return Observed(health=health, status=status, unreachable=unreachable, peers=peers)


def problems(seen: Observed) -> tuple[str, ...]:
    """What is not as it should be, each in a line; nothing if the cluster is whole. Pure."""
    found = [f"{row.endpoint}: {row.error}" for row in seen.health if not row.healthy]
    told = {row.endpoint for row in seen.health if not row.healthy}
    found += [str(failed) for endpoint, failed in seen.unreachable.items() if endpoint not in told]
    for row in seen.status:
        found += [f"{row.endpoint}: {words}" for words in row.errors if row.endpoint not in told]
        if row.is_learner:
            found.append(f"{row.endpoint}: is a learner still")
    found += _agreement(seen.status)
    others = len(seen.health) - 1
    found += [
        f"{endpoint}: is connected to {count} of {others} peers"
        for endpoint, count in seen.peers.items()
        if count < others
    ]
    return tuple(found)


def _agreement(rows: Sequence[MemberStatus]) -> list[str]:
    found = []
    if len({row.cluster_id for row in rows}) > 1:
        parts = ", ".join(f"{row.endpoint} {row.cluster_id:x}" for row in rows)
        found.append(f"members of different clusters: {parts}")
    leaders = {row.leader for row in rows if row.leader}
    if rows and not leaders:
        found.append("there is no leader")
    if len(leaders) > 1:
        found.append(f"members name different leaders: {', '.join(f'{leader:x}' for leader in sorted(leaders))}")
    newest = max((row.raft_index for row in rows), default=0)
    found += [
        f"{row.endpoint}: is {newest - row.raft_applied_index} entries behind"
        for row in rows
        if newest - row.raft_applied_index > _BEHIND
    ]
    return found


def active_peers(text: str) -> int:
    """How many peers a member is connected to, from its metrics. Pure."""
    return sum(float(value) > 0 for _, value in _ACTIVE.findall(text))


async def metrics(client: "Client", endpoint: str) -> str:
    """A member's metrics, from its client port. Raises Unavailable and Failed."""
    parts = urlsplit(endpoint)
    try:
        async with asyncio.timeout(_WITHIN):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=_context(client))
            try:
                request = f"GET /metrics HTTP/1.0\r\nHost: {parts.netloc}\r\n\r\n"
                writer.write(request.encode())
                answer = await _all(reader, endpoint)
            finally:
                writer.close()
    except (OSError, TimeoutError) as failed:
        raise Unavailable(f"gives no metrics: {failed or 'too late'}", to=endpoint) from failed
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n", 1)[0] + b" ":
        raise Failed(f"gives no metrics: {head[:60]!r}", to=endpoint)
    return body.decode("utf-8", "replace")


async def _all(reader: asyncio.StreamReader, endpoint: str) -> bytes:
    pieces, size = [], 0
    while piece := await reader.read(65536):
        pieces.append(piece)
        size += len(piece)
        if size > _LARGEST:
            raise Failed(f"its metrics are larger than {_LARGEST} octets", to=endpoint)
    return b"".join(pieces)


def _context(client: "Client") -> ssl.SSLContext | None:
    if client.tls is None:
        return None
    context = ssl.create_default_context(cafile=str(client.tls.ca))
    context.load_cert_chain(client.tls.cert, client.tls.key)
    return context
