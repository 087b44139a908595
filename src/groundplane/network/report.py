"""`status` on the agent's socket: what this agent knows and has done, for people and for `up` to wait on."""

from datetime import timedelta
from typing import Any

from groundplane.errors import GroundplaneError
from groundplane.network.bird import BirdSilent, Session
from groundplane.network.bird.control import BirdRefused
from groundplane.network.config import AgentConfig
from groundplane.network.convergence import Convergence
from groundplane.network.ipam import Allocator
from groundplane.network.mirror import Mirror
from groundplane.network.resources import Node, WorkloadEndpoint

WITHIN = timedelta(seconds=2)


async def report(config: AgentConfig, mirror: Mirror, work: Convergence, allocator: Allocator) -> dict[str, Any]:
    """Answers at any time: what cannot be asked now is told as unknown (None)."""
    names = {
        node.bgp.ipv4_address.ip: node.name for node in mirror.state.all(Node) if node.bgp and node.bgp.ipv4_address
    }
    try:
        sessions: tuple[Session, ...] | None = await work.bird.sessions()
    except (BirdSilent, BirdRefused):
        sessions = None
    policed = {one.interface for one in work.endpoints}
    return {
        "node": config.node,
        "address": str(config.address),
        "synced": work.ready,
        "revision": mirror.revision,
        "applied": work.applied,
        "bgp": {
            "running": sessions is not None,
            "established": sum(one.established for one in sessions or ()),
            "sessions": [
                {
                    "peer": str(one.peer),
                    "node": names.get(one.peer, ""),
                    "state": one.bgp or one.state,
                    "since": one.since,
                    "info": one.info,
                }
                for one in sessions or ()
            ],
        },
        "blocks": await _blocks(mirror, allocator),
        "endpoints": [
            {
                "namespace": one.namespace,
                "name": one.name,
                "pod": one.pod,
                "interface": one.interface_name,
                "addresses": [str(address) for address in one.addresses],
                "policed": one.interface_name in policed,
            }
            for one in mirror.state.all(WorkloadEndpoint)
            if one.node == config.node
        ],
        "pools": [
            {
                "name": pool.name,
                "cidr": str(pool.cidr),
                "ipipMode": pool.ipip_mode.value,
                "natOutgoing": pool.nat_outgoing,
                "disabled": pool.disabled,
            }
            for pool in mirror.pools()
        ],
    }


async def _blocks(mirror: Mirror, allocator: Allocator) -> list[dict[str, Any]]:
    used: dict[str, int] = {}
    try:
        for version in {block.version for block in mirror.state.blocks}:
            for block in await allocator.blocks(version):
                used[str(block.cidr)] = block.cidr.num_addresses - block.free
    except GroundplaneError:
        pass  # etcd is away: owners are known all the same, their use is not
    return [
        {"cidr": str(block), "node": owner, "used": used.get(str(block))}
        for block, owner in sorted(mirror.state.blocks.items(), key=lambda one: str(one[0]))
    ]
