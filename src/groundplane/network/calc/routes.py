"""Where packets for other hosts' pods go, and which of the two programs the routes: the agent, or BIRD. Pure.

The agent programs routes of encapsulated (IPIP) pools, since BIRD 2 cannot point a learned route at a tunnel; BIRD
programs those of pools without encapsulation, which it learns from its peers. Both announce nothing here: what BIRD
announces are the host's own blocks, whatever their pool's encapsulation. With CrossSubnet, a host in the same subnet
is reached without the tunnel, by the agent still: one pool has one owner.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_network

from groundplane.names import HostName
from groundplane.network.calc.model import IPAddress, IPNetwork
from groundplane.network.calc.state import State
from groundplane.network.resources import Encapsulation, IPPool, Node, Use, WorkloadEndpoint
from groundplane.network.resources.values import IPInterface


class Owner(Enum):
    """Who programs the routes of a pool."""

    AGENT = "agent"
    BIRD = "bird"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRoute:
    """The agent's route to another host's block, or to a single address that a host borrowed from another's block."""

    cidr: IPNetwork
    via: IPAddress
    host: str
    encapsulated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalBlock:
    """A block of this host's: a blackhole, by `owner`, for addresses that nobody has; announced if `export`."""

    cidr: IPNetwork
    owner: Owner
    export: bool

    @property
    def blackhole(self) -> bool:
        """Whether it needs one: a block of one address is all in use, or not there."""
        return self.cidr.num_addresses > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All of it. `owners` says of each pool who programs routes into it: BIRD must keep out of the agent's."""

    remote: tuple[BlockRoute, ...] = ()
    local: tuple[LocalBlock, ...] = ()
    owners: Mapping[IPNetwork, Owner]
    encapsulated: bool = False
    """Whether any pool needs the tunnel: the host then needs the device, and an address for it."""


def plan_routes(state: State, *, node: HostName) -> Routes:
    """Decide for this host. A block whose host has no address on the fabric (yet) has no route."""
    pools = [pool for pool in state.all(IPPool) if pool.allowed_uses != (Use.LOAD_BALANCER,)]
    nodes = {each.name: each for each in state.all(Node)}
    here = nodes.get(node)
    remote, local = [], []
    for cidr, host in sorted(state.blocks.items(), key=lambda each: _order(each[0])):
        pool = _pool_of(cidr, pools)
        if pool is None:
            continue
        if host == node:
            local.append(LocalBlock(cidr=cidr, owner=owner(pool), export=not pool.disable_bgp_export))
        elif owner(pool) is Owner.AGENT and (route := _route(cidr, host, pool, nodes, here)):
            remote.append(route)
    remote += _borrowed(state, pools, nodes, node)
    return Routes(
        remote=tuple(sorted(remote, key=lambda route: _order(route.cidr))),
        local=tuple(local),
        owners={pool.cidr: owner(pool) for pool in pools},
        encapsulated=any(owner(pool) is Owner.AGENT for pool in pools),
    )


def owner(pool: IPPool) -> Owner:
    """Tell who programs a pool's routes."""
    return Owner.BIRD if {pool.ipip_mode, pool.vxlan_mode} == {Encapsulation.NEVER} else Owner.AGENT


def _borrowed(state: State, pools: Iterable[IPPool], nodes: Mapping[str, Node], node: HostName) -> list[BlockRoute]:
    """Route single addresses whose endpoint is not on the host of their block."""
    pools = list(pools)
    sizes = sorted({(cidr.version, cidr.prefixlen) for cidr in state.blocks})
    here = nodes.get(node)
    found: dict[IPNetwork, BlockRoute] = {}
    for endpoint in state.all(WorkloadEndpoint):
        if endpoint.node == node:
            continue
        for single in endpoint.ip_networks:
            pool = _pool_of(single, pools)
            if pool is None or owner(pool) is not Owner.AGENT:
                continue
            if _host_of(single, state.blocks, sizes) != endpoint.node:
                route = _route(single, endpoint.node, pool, nodes, here)
                if route:
                    found[single] = route
    return list(found.values())


def _host_of(single: IPNetwork, blocks: Mapping[IPNetwork, str], sizes: Iterable[tuple[int, int]]) -> str | None:
    for version, size in sizes:
        if version == single.version:
            host = blocks.get(ip_network((single.network_address, size), strict=False))
            if host is not None:
                return host
    return None


def _route(cidr: IPNetwork, host: str, pool: IPPool, nodes: Mapping[str, Node], here: Node | None) -> BlockRoute | None:
    there = nodes.get(host)
    via = there.address(cidr.version) if there else None
    if via is None:
        return None
    always = Encapsulation.ALWAYS in (pool.ipip_mode, pool.vxlan_mode)
    near = _same_subnet(via, here.interface(cidr.version) if here else None)
    return BlockRoute(cidr=cidr, via=via, host=host, encapsulated=always or not near)


def _same_subnet(via: IPAddress, interface: IPInterface | None) -> bool:
    return interface is not None and via in interface.network


def _pool_of(cidr: IPNetwork, pools: Iterable[IPPool]) -> IPPool | None:
    for pool in pools:
        if pool.cidr.version == cidr.version and cidr.network_address in pool.cidr:
            return pool
    return None


def _order(cidr: IPNetwork) -> tuple[int, int, int]:
    return cidr.version, int(cidr.network_address), cidr.prefixlen
