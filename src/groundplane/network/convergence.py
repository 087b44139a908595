"""From what is known to what is: one change at a time, however many came meanwhile.

`changed` says that the mirror has moved; `run` calculates, writes the kernel and hands BIRD its file; `reach` waits for
a revision to be in the kernel. What fails is tried again, from a fresh look at the kernel.
"""

import asyncio
from dataclasses import dataclass

from groundplane.errors import GroundplaneError, NotFound
from groundplane.network.bird import BirdControl, initial, render
from groundplane.network.bird.keeper import BirdKeeper
from groundplane.network.calc.graph import compute
from groundplane.network.calc.model import Endpoint
from groundplane.network.calc.routes import plan_routes
from groundplane.network.calc.state import State
from groundplane.network.config import AgentConfig
from groundplane.network.dataplane.loop import HostLinks, Kernel, Wanted, forward_packets
from groundplane.network.dataplane.tunnels import OVERHEAD, LazyTunnels
from groundplane.network.mirror import Mirror
from groundplane.network.resources import Encapsulation
from groundplane.network.view import bird_view, direct_remotes, tunnel_view
from groundplane.nftables import Netfilter
from groundplane.observe import logger
from groundplane.system import netlink

_RETRY = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    kernel: Wanted
    bird: str


class Convergence:
    """One host's."""

    def __init__(self, config: AgentConfig, mirror: Mirror) -> None:
        self._config, self._mirror = config, mirror
        self._log = logger("dataplane")
        self._socket = netlink.open_here()
        self._filter = Netfilter()
        self.links = HostLinks(self._socket)
        self.uplink = ""
        self._uplink_mtu = 1500
        self.bird = BirdControl(config.bird_socket)
        self._keeper = BirdKeeper(config.bird_config, self.bird)
        self._kernel: Kernel | None = None
        self._dirty = asyncio.Event()
        self._again = True
        self._endpoints: tuple[Endpoint, ...] = ()
        self._applied = 0
        self._moved: asyncio.Future[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether everything in etcd at some moment has been applied."""
        return self._applied > 0

    @property
    def applied(self) -> int:
        """The revision that the kernel is at."""
        return self._applied

    @property
    def endpoints(self) -> tuple[Endpoint, ...]:
        """What the packet filter in the kernel knows."""
        return self._endpoints

    def polices(self, interface: str) -> bool:
        """Whether the packet filter in the kernel knows this interface."""
        return any(one.interface == interface for one in self._endpoints)

    def pod_mtu(self) -> int:
        """What leaves room for the outer header, where any pool is encapsulated."""
        wrapped = any(pool.ipip_mode is not Encapsulation.NEVER for pool in self._mirror.pools())
        return self._uplink_mtu - (OVERHEAD if wrapped else 0)

    async def start(self) -> None:
        """Close a host that has no packet filter of ours yet; find the uplink. Raises NotFound, Failed."""
        config = self._config
        link = await self.links.use(self._find_uplink)
        self.uplink, self._uplink_mtu = link.name, link.mtu
        tunnels = LazyTunnels(uplink=self.uplink, local=config.address.ip)
        self._kernel = Kernel(self._filter, self.links, tunnels)
        kept = await asyncio.to_thread(self._kernel.close_at_start)
        await asyncio.to_thread(forward_packets)
        self._keeper.ensure_file(initial(config.address.ip, config.node))
        self._log.info("dataplane.started", uplink=self.uplink, kept=kept)

    async def stop(self) -> None:
        """Let the sockets go; the kernel stays as it is."""
        self._filter.close()
        self._socket.close()

    def changed(self, *, again: bool = False) -> None:
        """Wake `run`; `again`: look at the kernel, too."""
        self._again = self._again or again
        self._dirty.set()

    async def next_change(self) -> None:
        """Return after the next revision has been applied."""
        if self._moved is None or self._moved.done():
            self._moved = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._moved)

    async def reach(self, revision: int) -> None:
        """Return when everything up to `revision` is in the kernel."""
        while self._applied < revision:
            await self.next_change()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run())
            while True:
                await self._dirty.wait()
                self._dirty.clear()
                await self._once()

    async def _once(self) -> None:
        assert self._kernel is not None
        state, revision, again = self._mirror.state, self._mirror.revision, self._again
        if not revision:
            return  # nothing has been read: what is in the kernel is the best there is
        self._again = False
        try:
            plan = await asyncio.to_thread(self._plan, state)
            self._keeper.want(plan.bird)
            changes = await asyncio.to_thread(self._kernel.converge, plan.kernel, again=again)
        except GroundplaneError as failed:
            self._log.error("dataplane.failed", reason=str(failed), revision=revision)
            await asyncio.sleep(_RETRY)  # the kernel says nothing when its mind changes
            self.changed(again=True)
            return
        if changes:
            self._log.info("dataplane.applied", revision=revision, changes=changes)
        self._endpoints = plan.kernel.dataplane.endpoints
        self._applied = revision
        if self._moved is not None and not self._moved.done():
            self._moved.set_result(None)

    def _plan(self, state: State) -> _Plan:
        node, address = self._config.node, self._config.address
        routes = plan_routes(state, node=node)
        return _Plan(
            kernel=Wanted(
                dataplane=compute(state, node=node),
                tunnel=tunnel_view(state, routes, node=node),
                direct=direct_remotes(state, routes),
                uplink=self.uplink,
            ),
            bird=render(bird_view(state, node=node, address=address)),
        )

    def _find_uplink(self, links: netlink.Netlink) -> netlink.Link:
        for link in links.links():
            if self._config.address in links.addresses(link.name):
                return link
        hint = "give an interface this address with this mask, or mend the configuration"
        raise NotFound("no interface has it", to=self._config.address, hint=hint)
