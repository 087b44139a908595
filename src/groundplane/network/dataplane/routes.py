"""The agent's own routes: what should be there, and the commands between that and what is. Pure.

A route is the agent's if it carries `PROTOCOL`; no other is ever looked at, changed or removed. BIRD makes the rest:
the blackholes of own blocks and the routes to other nodes' blocks in pools without a tunnel; `tunnels` those with one.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, ip_network

from groundplane.network.calc.model import Endpoint
from groundplane.system.netlink import Command, DeleteRoute, Link, PutRoute, Route, SetLink

PROTOCOL = 80
"""What Felix's own routes carry (its block and tunnel routes); here the workloads' too, so that ownership is plain."""

_RP_STRICT = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """Another node's block, and that node's address on the fabric."""

    block: IPv4Network
    node: IPv4Address


def workload_routes(endpoints: Iterable[Endpoint], links: Iterable[Link]) -> tuple[Route, ...]:
    """One route an address, for the endpoints whose interface exists and is up: the kernel takes no others."""
    up = {link.name for link in links if link.up}
    return tuple(
        Route(destination=ip_network(address), interface=endpoint.interface, protocol=PROTOCOL)
        for endpoint in endpoints
        if endpoint.interface in up and endpoint.admin_up
        for address in endpoint.addresses
    )


def direct_routes(remotes: Iterable[Remote], *, uplink: str) -> tuple[Route, ...]:
    """Plain routes to blocks of nodes in our own subnet."""
    return tuple(
        Route(destination=remote.block, interface=uplink, gateway=remote.node, protocol=PROTOCOL) for remote in remotes
    )


def to_bring_up(endpoints: Iterable[Endpoint], links: Iterable[Link]) -> tuple[SetLink, ...]:
    """Workload interfaces that are down although they should not be: an agent was killed between policy and link."""
    down = {link.name for link in links if not link.up}
    return tuple(SetLink(name=one.interface, up=True) for one in endpoints if one.interface in down and one.admin_up)


def diff(have: Iterable[Route], want: Iterable[Route]) -> tuple[Command, ...]:
    """Removals first; then what is new or different. Nothing for what is there already."""
    wanted = {(route.destination, route.priority): route for route in want}
    present = {(route.destination, route.priority): route for route in have if route.protocol == PROTOCOL}
    gone = (DeleteRoute(route=route) for key, route in present.items() if key not in wanted)
    changed = (PutRoute(route=route) for key, route in wanted.items() if present.get(key) != route)
    return (*gone, *changed)


def host_sysctls(*, ipv6: bool) -> tuple[tuple[str, str], ...]:
    """What forwarding needs of the whole host."""
    return (("net/ipv4/ip_forward", "1"), *((("net/ipv6/conf/all/forwarding", "1"),) if ipv6 else ()))


def workload_sysctls(interface: str) -> tuple[tuple[str, str], ...]:
    """The host's side of a veth: strict source check, and answers for the pod's link-local gateway."""
    v4, v6 = f"net/ipv4/conf/{interface}", f"net/ipv6/conf/{interface}"
    return (
        (f"{v4}/rp_filter", _RP_STRICT),
        (f"{v4}/route_localnet", "1"),
        (f"net/ipv4/neigh/{interface}/proxy_delay", "0"),
        (f"{v4}/proxy_arp", "1"),
        (f"{v4}/forwarding", "1"),
        (f"{v6}/disable_ipv6", "0"),
        (f"{v6}/accept_ra", "0"),
        (f"{v6}/accept_dad", "0"),
        (f"{v6}/proxy_ndp", "1"),
        (f"{v6}/forwarding", "1"),
    )
