"""IP-in-IP by eBPF, as one thing that converges: device, programs, peers, routes.

All methods block, and work in the calling thread's network namespace. State lives in the kernel alone: a new
`Encapsulation` finds what the last one made (filters by name, maps by the id in it), changes only what differs, and
swaps a program with its map kept, so that a restart or an upgrade of the agent loses no packet.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from groundplane.errors import Failed, NotFound
from groundplane.network.bpf import classifier, device, programs, syscall
from groundplane.network.bpf.assembler import Line, assemble, fingerprint
from groundplane.network.bpf.classifier import Attached, Side

_ETH_P_IP, _ETH_P_ALL = 0x0800, 0x0003
_PROTO, _SCOPE_UNIVERSE, _ONLINK = 80, 0, 4
_AF_INET = 2
_ROUTE_SHAPE = syscall.MapShape(kind=syscall.MapKind.LPM_TRIE, key_bytes=8, value_bytes=4, entries=65536)
_PEER_SHAPE = syscall.MapShape(kind=syscall.MapKind.HASH, key_bytes=4, value_bytes=4, entries=16384)


class TunnelFailed(Failed):
    """The kernel refused a part of the tunnel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncapRoute:
    """A destination and the node it lies on; `source`: for the host's own packets, if not the device's address."""

    cidr: IPv4Network
    remote: IPv4Address
    source: IPv4Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hook:
    """A program, its map and its place."""

    index: int
    side: Side
    protocol: int
    name: str
    map_name: str
    shape: syscall.MapShape
    lines: tuple[Line, ...]


class Encapsulation:
    """The tunnel of the node whose address is `local`, over the device `uplink`."""

    def __init__(self, *, uplink: str, local: IPv4Address) -> None:
        self._uplink = uplink
        self._local = local

    def ensure_decapsulation(self, peers: frozenset[IPv4Address], *, address: IPv4Address | None = None) -> bool:
        """Make device and programs, let exactly `peers` send, give the device `address`; True if anything changed.

        Call it before the first `ensure_route`, and again whenever the nodes or the uplink change.
        """
        with self._netlink() as ip:
            link = device.uplink(ip, self._uplink)
            index, changed = device.ensure(ip, mtu=link.get_attr("IFLA_MTU") - device.OVERHEAD)
            changed = device.ensure_address(ip, index, address) or changed
            egress, ingress = self._hooks(int(link["index"]), index)
            changed = self._ensure_hook(ip, egress, lambda _routes: False) or changed
            return self._ensure_hook(ip, ingress, lambda held: _let_in(held, peers)) or changed

    def ensure_routes(self, wanted: Iterable[EncapRoute]) -> bool:
        """Make `wanted` all the tunnel's routes, in one go; True if that changed anything."""
        want = {route.cidr: route for route in wanted}
        with self._netlink() as ip:
            index = self._device(ip)
            have = _kernel_routes(ip, index)
            with self._routes(ip, index) as held:
                mapped = _entries(held)
                fresh = [
                    one for one in want.values() if have.get(one.cidr) != one or mapped.get(one.cidr) != one.remote
                ]
                stale = (have.keys() | mapped.keys()) - want.keys()
                for route in fresh:
                    _put(ip, index, held, route)
                for cidr in stale:
                    _take(ip, index, held, cidr, routed=cidr in have)
                return bool(fresh or stale)

    def ensure_route(self, cidr: IPv4Network, remote: IPv4Address, *, source: IPv4Address | None = None) -> bool:
        """Send what is for `cidr` to `remote`, wrapped; True if that changed anything. For many, `ensure_routes`."""
        wanted = EncapRoute(cidr=cidr, remote=remote, source=source)
        with self._netlink() as ip:
            index = self._device(ip)
            with self._routes(ip, index) as held:
                if _kernel_routes(ip, index).get(cidr) == wanted and _entries(held).get(cidr) == remote:
                    return False
                _put(ip, index, held, wanted)
                return True

    def remove_route(self, cidr: IPv4Network) -> bool:
        """Stop; True if there was anything to stop."""
        with self._netlink() as ip:
            if device.find(ip) is None:
                return False
            index = self._device(ip)
            routed = cidr in _kernel_routes(ip, index)
            with self._routes(ip, index) as held:
                return _take(ip, index, held, cidr, routed=routed)

    def observed(self) -> dict[IPv4Network, IPv4Address]:
        """The routes that stand, whole: in the table and in the program's map alike."""
        with self._netlink() as ip:
            link = device.find(ip)
            if link is None:
                return {}
            index = int(link["index"])
            if classifier.observe(ip, index, Side.EGRESS) is None:
                return {}
            with self._routes(ip, index) as held:
                mapped = _entries(held)
            return {
                cidr: route.remote
                for cidr, route in _kernel_routes(ip, index).items()
                if mapped.get(cidr) == route.remote
            }

    def remove_all(self) -> bool:
        """Leave nothing: device, routes, programs, maps; True if there was anything."""
        with self._netlink() as ip:
            gone = device.remove(ip)
            index = ip.link_lookup(ifname=self._uplink)
            if index and classifier.observe(ip, index[0], Side.INGRESS) is not None:
                classifier.detach(ip, index[0], Side.INGRESS)
                gone = True
            return gone

    def _hooks(self, uplink_index: int, index: int) -> tuple[_Hook, _Hook]:
        baked = programs.Tunnel(local=self._local, uplink_index=uplink_index, device_index=index, device_mac=device.MAC)
        egress = _Hook(
            index=index,
            side=Side.EGRESS,
            protocol=_ETH_P_ALL,
            name="gp_encapsulate",
            map_name=programs.ROUTES,
            shape=_ROUTE_SHAPE,
            lines=programs.encapsulate(baked),
        )
        ingress = _Hook(
            index=uplink_index,
            side=Side.INGRESS,
            protocol=_ETH_P_IP,
            name="gp_decapsulate",
            map_name=programs.PEERS,
            shape=_PEER_SHAPE,
            lines=programs.decapsulate(baked),
        )
        return egress, ingress

    def _ensure_hook(self, ip: IPRoute, hook: _Hook, fill: Callable[[syscall.Map], bool]) -> bool:
        """`fill` the hook's map, then see that the right program stands; True if either changed anything."""
        there = classifier.observe(ip, hook.index, hook.side)
        held = _kept(there, hook.shape) or syscall.create_map(f"gp_{hook.map_name}", hook.shape)
        with held:
            changed = fill(held)
            wanted = Attached(fingerprint=fingerprint(hook.lines), map_id=held.id)
            if there == wanted:
                return changed
            with _program(hook.name, assemble(hook.lines, {hook.map_name: held.fd})) as program:
                classifier.attach(ip, hook.index, hook.side, program=program, protocol=hook.protocol, state=wanted)
            return True

    def _device(self, ip: IPRoute) -> int:
        link = device.find(ip)
        if link is None:
            raise NotFound("the tunnel device is not there", to=device.DEVICE, hint="ensure_decapsulation comes first")
        return int(link["index"])

    def _routes(self, ip: IPRoute, index: int) -> syscall.Map:
        held = _kept(classifier.observe(ip, index, Side.EGRESS), _ROUTE_SHAPE)
        if held is None:
            hint = "ensure_decapsulation comes first"
            raise NotFound("the tunnel device has no program", to=device.DEVICE, hint=hint)
        return held

    @contextmanager
    def _netlink(self) -> Iterator[IPRoute]:
        try:
            with IPRoute() as ip:
                yield ip
        except NetlinkError as refused:
            raise TunnelFailed(f"the kernel refused: {refused}", to=f"the tunnel over {self._uplink}") from refused


def _kept(there: Attached | None, shape: syscall.MapShape) -> syscall.Map | None:
    if there is None:
        return None
    try:
        return syscall.open_map(there.map_id, shape)
    except syscall.MapGone:
        return None  # a filter attached by hand under our name; it gives way


@contextmanager
def _program(name: str, code: bytes) -> Iterator[int]:
    fd = syscall.load_classifier(name, code)
    try:
        yield fd
    finally:
        os.close(fd)


def _let_in(held: syscall.Map, peers: frozenset[IPv4Address]) -> bool:
    have, want = set(held.keys()), {peer.packed for peer in peers}
    for key in want - have:
        held.put(key, bytes(4))
    for key in have - want:
        held.remove(key)
    return have != want


def _put(ip: IPRoute, index: int, held: syscall.Map, route: EncapRoute) -> None:
    """The map first: from the moment the route stands, each packet finds its node."""
    held.put(_prefix(route.cidr), route.remote.packed)
    extra = {} if route.source is None else {"prefsrc": str(route.source)}
    ip.route(
        "replace",
        dst=str(route.cidr),
        gateway=str(route.remote),
        oif=index,
        flags=_ONLINK,
        proto=_PROTO,
        scope=_SCOPE_UNIVERSE,
        **extra,
    )


def _take(ip: IPRoute, index: int, held: syscall.Map, cidr: IPv4Network, *, routed: bool) -> bool:
    """The map last, for the same reason; True if there was anything."""
    if routed:
        ip.route("del", dst=str(cidr), oif=index, proto=_PROTO)
    return held.remove(_prefix(cidr)) or routed


def _entries(held: syscall.Map) -> dict[IPv4Network, IPv4Address]:
    pairs = ((key, held.get(key)) for key in held.keys())  # noqa: SIM118 - a bpf map, not a mapping
    return {_network(key): IPv4Address(value) for key, value in pairs if value is not None}


def _prefix(cidr: IPv4Network) -> bytes:
    """A trie's key: the prefix length as the machine writes numbers, then the address as the wire does."""
    return cidr.prefixlen.to_bytes(4, "little") + cidr.network_address.packed


def _network(key: bytes) -> IPv4Network:
    return IPv4Network((int.from_bytes(key[4:], "big"), int.from_bytes(key[:4], "little")))


def _kernel_routes(ip: IPRoute, index: int) -> dict[IPv4Network, EncapRoute]:
    found = {}
    for route in ip.get_routes(family=_AF_INET, oif=index):
        gateway = route.get_attr("RTA_GATEWAY")
        if gateway is None or route["proto"] != _PROTO:
            continue
        base = IPv4Address(route.get_attr("RTA_DST") or 0)  # the kernel leaves out the default route's
        cidr = IPv4Network((base, route["dst_len"]))
        source = route.get_attr("RTA_PREFSRC")
        found[cidr] = EncapRoute(cidr=cidr, remote=IPv4Address(gateway), source=IPv4Address(source) if source else None)
    return found
