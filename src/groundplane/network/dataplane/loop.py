"""The kernel of this host, kept as it is wanted: packet filter first, then links and routes.

A workload's route and its open interface come after its rules, so a packet can never be ahead of its policy. At the
start a host without our table gets the closed one (nothing to or from a workload); a host that has one keeps it, for
its pods are running: what was there is read back and only the difference is written.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from groundplane.network.calc.model import Dataplane
from groundplane.network.dataplane import policy, routes
from groundplane.network.dataplane.routes import Remote
from groundplane.network.dataplane.tunnels import LazyTunnels, Tunnel
from groundplane.nftables import Applier, PacketFilter
from groundplane.system import netlink
from groundplane.system.netlink import Netlink

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Everything that this host's kernel should have. `tunnel` None: no pool is encapsulated.

    `direct`: blocks of such a pool whose node is near enough to go without, through the device `uplink`.
    """

    dataplane: Dataplane = field(default_factory=Dataplane)
    tunnel: Tunnel | None = None
    direct: tuple[Remote, ...] = ()
    uplink: str = ""


class HostLinks:
    """The host's rtnetlink socket: one caller at a time, on a thread, since the kernel may take milliseconds."""

    def __init__(self, links: Netlink) -> None:
        self._links = links
        self._turn = threading.Lock()

    def now(self, work: Callable[[Netlink], T]) -> T:
        """Call `work` with the socket; blocks."""
        with self._turn:
            return work(self._links)

    async def use(self, work: Callable[[Netlink], T]) -> T:
        """Call `work` with the socket, on a thread."""
        return await asyncio.to_thread(self.now, work)


class Kernel:
    """The packet filter and the routes of one host. Calls block; they take turns."""

    def __init__(self, filters: PacketFilter, links: HostLinks, tunnels: LazyTunnels) -> None:
        self._applier = Applier(filters, name=policy.TABLE)
        self._links, self._tunnels = links, tunnels
        self._last: Wanted | None = None
        self._turn = threading.Lock()

    def close_at_start(self) -> bool:
        """Close a host that has no table of ours; True if it had one, which stays."""
        with self._turn:
            found = self._applier.resync() is not None
            if not found:
                self._applier.apply(policy.render_closed())
            return found

    def converge(self, wanted: Wanted, *, again: bool = False) -> int:
        """Write what differs; how many things did. `again` looks at the kernel first, for others may have been there.

        Raises Refused (nft's or rtnetlink's) or TunnelFailed; what was not written is tried again at the next call.
        """
        with self._turn:
            last, self._last = (None if again else self._last), None
            if again:
                self._applier.resync()
            changes = 0
            if last is None or last.dataplane != wanted.dataplane:
                changes += bool(self._applier.apply(policy.render(wanted.dataplane)))
            if last is None or (last.dataplane, last.direct) != (wanted.dataplane, wanted.direct):
                changes += self._links.now(lambda links: self._routes(links, wanted))
            if last is None or last.tunnel != wanted.tunnel:
                changes += self._links.now(lambda links: self._tunnel(links, wanted.tunnel))
            self._last = wanted
            return changes

    def _routes(self, links: Netlink, wanted: Wanted) -> int:
        endpoints = wanted.dataplane.endpoints
        up = routes.to_bring_up(endpoints, links.links())
        links.run(*up)
        have = [route for route in links.routes() if route.interface not in self._tunnels.devices]
        want = (
            *routes.workload_routes(endpoints, links.links()),
            *routes.direct_routes(wanted.direct, uplink=wanted.uplink),
        )
        commands = routes.diff(have, want)
        links.run(*commands)
        return len(up) + len(commands)

    def _tunnel(self, links: Netlink, tunnel: Tunnel | None) -> int:
        return self._tunnels.remove(links) if tunnel is None else self._tunnels.converge(tunnel, links)


def forward_packets() -> None:
    """Switch forwarding on. Raises Refused where /proc/sys is read-only and forwarding is off."""
    netlink.write_sysctls(routes.host_sysctls(ipv6=True))
