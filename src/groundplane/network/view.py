"""From everything known of the cluster to what this host's tunnel, routes and BIRD should be. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from groundplane.names import HostName
from groundplane.network.bird.model import DEFAULT_AS, DEFAULT_PORT, BirdView, Peer, Pool
from groundplane.network.calc.routes import BlockRoute, Owner, Routes, owner
from groundplane.network.calc.state import State
from groundplane.network.dataplane.routes import Remote
from groundplane.network.dataplane.tunnels import Tunnel
from groundplane.network.resources import BGPConfiguration, Encapsulation, IPPool, Node


def bird_view(state: State, *, node: HostName, address: IPv4Interface) -> BirdView:
    """Give a node its place in the mesh."""
    configurations, nodes = state.all(BGPConfiguration), state.all(Node)
    default = _named(configurations, "default")
    own = _named(configurations, f"node.{node}")
    as_number = (default and default.as_number) or DEFAULT_AS
    mesh = default is None or default.node_to_node_mesh is not False
    mine = next((one for one in nodes if one.name == node), None)
    return BirdView(
        node=node,
        address=address,
        as_number=_as_number(mine, as_number),
        port=(own and own.listen_port) or (default and default.listen_port) or DEFAULT_PORT,
        peers=tuple(_peers(nodes, node, as_number)) if mesh else (),
        blocks=tuple(block for block, host in state.blocks.items() if host == node and isinstance(block, IPv4Network)),
        pools=tuple(
            Pool(cidr=pool.cidr, tunnelled=owner(pool) is Owner.AGENT, exported=not pool.disable_bgp_export)
            for pool in state.all(IPPool)
            if isinstance(pool.cidr, IPv4Network)
        ),
    )


def tunnel_view(state: State, routes: Routes, *, node: HostName) -> Tunnel | None:
    """Work out a node's tunnel; None where no pool is encapsulated."""
    if not any(pool.ipip_mode is not Encapsulation.NEVER for pool in state.all(IPPool)):
        return None
    nodes = state.all(Node)
    mine = next((one for one in nodes if one.name == node), None)
    return Tunnel(
        address=mine.bgp.ipv4_ipip_tunnel_addr if mine and mine.bgp else None,
        peers=frozenset(one.address for one in _peers(nodes, node, DEFAULT_AS)),
        remotes=frozenset(_remotes(state, routes, encapsulated=True)),
    )


def direct_remotes(state: State, routes: Routes) -> tuple[Remote, ...]:
    """Blocks of CrossSubnet pools whose node is in our own subnet: routed plainly, by the agent."""
    return tuple(_remotes(state, routes, encapsulated=False))


def _remotes(state: State, routes: Routes, *, encapsulated: bool) -> Iterable[Remote]:
    # A VXLAN pool can only come from another program's hand: `resources.apply` refuses it. It gets no routes here.
    ipip = [pool for pool in state.all(IPPool) if pool.ipip_mode is not Encapsulation.NEVER]
    for route in routes.remote:
        if route.encapsulated is encapsulated and any(_holds(pool, route) for pool in ipip):
            assert isinstance(route.cidr, IPv4Network)
            assert isinstance(route.via, IPv4Address)
            yield Remote(block=route.cidr, node=route.via)


def _holds(pool: IPPool, route: BlockRoute) -> bool:
    return pool.cidr.version == route.cidr.version and route.cidr.network_address in pool.cidr


def _peers(nodes: Iterable[Node], node: str, as_number: int) -> Iterable[Peer]:
    for one in nodes:
        if one.name != node and one.bgp is not None and one.bgp.ipv4_address is not None:
            yield Peer(node=one.name, address=one.bgp.ipv4_address.ip, as_number=_as_number(one, as_number))


def _as_number(node: Node | None, default: int) -> int:
    return (node.bgp.as_number if node is not None and node.bgp is not None else None) or default


def _named(all_: Iterable[BGPConfiguration], name: str) -> BGPConfiguration | None:
    return next((one for one in all_ if one.name == name), None)
