"""IP-in-IP to other nodes' blocks, by whatever this kernel offers: its `tunl0`, or eBPF where it has none.

Both put the same packets on the wire, so nodes of either kind reach each other. Both converge: what a killed agent left
is found and kept, and only the difference is written. Pods' MTU leaves room for the outer header.
"""

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface
from typing import Protocol

from groundplane.network.dataplane.routes import PROTOCOL, Remote
from groundplane.system.netlink import (
    AddAddress,
    Command,
    DeleteAddress,
    DeleteRoute,
    Netlink,
    PutRoute,
    Route,
    SetLink,
)

OVERHEAD = 20
"""The outer IPv4 header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """What this node's tunnel should be. `peers` may send to us; `address` is the host's own within the tunnel."""

    address: IPv4Address | None = None
    peers: frozenset[IPv4Address] = frozenset()
    remotes: frozenset[Remote] = field(default_factory=frozenset)


class Tunnels(Protocol):
    """One way of making IP-in-IP. Calls block, and work in the calling thread's network namespace."""

    def converge(self, wanted: Tunnel, links: Netlink) -> int:
        """Make it so; how many things were changed."""
        ...

    def remove(self, links: Netlink) -> int:
        """Leave nothing of it."""
        ...


class KernelTunnels:
    """The kernel's own fallback device, which exists once the `ipip` module is loaded."""

    device = "tunl0"

    def __init__(self, *, uplink: str) -> None:
        self._uplink = uplink

    def converge(self, wanted: Tunnel, links: Netlink) -> int:
        """MTU, one address, up, and a route a block."""
        self._load(links)
        device, uplink = links.link(self.device), links.link(self._uplink)
        commands: list[Command] = []
        mtu = (uplink.mtu - OVERHEAD) if uplink else 0
        if device is None or not device.up or (mtu and device.mtu != mtu):
            commands.append(SetLink(name=self.device, up=True, mtu=mtu))
        have = {one for one in links.addresses(self.device) if isinstance(one, IPv4Interface)}
        want = {IPv4Interface(f"{wanted.address}/32")} if wanted.address else set[IPv4Interface]()
        commands += [DeleteAddress(interface=self.device, address=one) for one in have - want]
        commands += [AddAddress(interface=self.device, address=one) for one in want - have]
        routes = {
            remote.block: Route(
                destination=remote.block, interface=self.device, gateway=remote.node, on_link=True, protocol=PROTOCOL
            )
            for remote in wanted.remotes
        }
        present = {route.destination: route for route in self._routes(links)}
        commands += [DeleteRoute(route=route) for block, route in present.items() if block not in routes]
        commands += [PutRoute(route=route) for block, route in routes.items() if present.get(block) != route]
        links.run(*commands)
        return len(commands)

    def remove(self, links: Netlink) -> int:
        """Its routes and addresses go; the device itself is the kernel's, and stays."""
        device = links.link(self.device)
        if device is None:
            return 0
        commands: list[Command] = [DeleteRoute(route=route) for route in self._routes(links)]
        commands += [DeleteAddress(interface=self.device, address=one) for one in links.addresses(self.device)]
        if device.up and commands:
            commands.append(SetLink(name=self.device, up=False))
        links.run(*commands)
        return len(commands)

    def _routes(self, links: Netlink) -> tuple[Route, ...]:
        return tuple(one for one in links.routes() if one.interface == self.device and one.protocol == PROTOCOL)

    def _load(self, links: Netlink) -> None:
        if links.link(self.device) is None:
            from groundplane.network.bpf import kernel_has_ipip

            kernel_has_ipip()  # making an ipip device anywhere loads the module, and tunl0 comes with it everywhere


class BPFTunnels:
    """The same by eBPF."""

    def __init__(self, *, uplink: str, local: IPv4Address) -> None:
        from groundplane.network.bpf import DEVICE, Encapsulation

        self.device = DEVICE
        self._made = Encapsulation(uplink=uplink, local=local)

    def converge(self, wanted: Tunnel, links: Netlink) -> int:  # noqa: ARG002 - it has a socket of its own
        """Device, programs and peers first, then a route a block."""
        changed = int(self._made.ensure_decapsulation(wanted.peers, address=wanted.address))
        routes = {remote.block: remote.node for remote in wanted.remotes}
        present = self._made.observed()
        for block in present.keys() - routes.keys():
            changed += self._made.remove_route(block)
        for block, node in routes.items():
            if present.get(block) != node:
                changed += self._made.ensure_route(block, node)
        return changed

    def remove(self, links: Netlink) -> int:
        """Device, routes, programs, maps."""
        if links.link(self.device) is None:
            return 0
        return int(self._made.remove_all())


class LazyTunnels:
    """The kernel's where it has one, else eBPF's; asked for the first tunnel, since asking takes time."""

    def __init__(self, *, uplink: str, local: IPv4Address) -> None:
        self._uplink, self._local = uplink, local
        self._chosen: Tunnels | None = None

    @property
    def devices(self) -> frozenset[str]:
        """Whose routes are a tunnel's, of either kind."""
        from groundplane.network.bpf import DEVICE

        return frozenset({DEVICE, KernelTunnels.device})

    def converge(self, wanted: Tunnel, links: Netlink) -> int:
        """Make it so; how many things were changed."""
        return self._choice().converge(wanted, links)

    def remove(self, links: Netlink) -> int:
        """Leave nothing of it; a host that never had one is not even asked which kind it would be."""
        if not any(links.link(device) for device in self.devices):
            return 0
        return self._choice().remove(links)

    def _choice(self) -> Tunnels:
        if self._chosen is None:
            from groundplane.network.bpf import kernel_has_ipip

            if kernel_has_ipip():
                self._chosen = KernelTunnels(uplink=self._uplink)
            else:
                self._chosen = BPFTunnels(uplink=self._uplink, local=self._local)
        return self._chosen
