"""ADD, DEL, CHECK, GC and STATUS, carried out on this host.

ADD promises that a pod is never reached, nor reaches anything, before its policy is in place:

    addresses taken -> endpoint written to etcd -> seen back by this agent's watch, calculated, in the packet filter
                    -> only now the host's side goes up and gets its route, and the pod gets its addresses

The veth is born in the pod's namespace, and down, while etcd is being written to. Every step may be run again: an ADD
that is repeated for the same container finds its addresses, its link and its record, and changes nothing. A step that
fails undoes those before it; what a killed agent left, the DEL that every runtime sends then takes away.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from ipaddress import ip_network
from typing import Protocol

from groundplane.aio import Undo
from groundplane.cni import errors as cni_errors
from groundplane.cni.model import Result
from groundplane.cni.request import Command, Request
from groundplane.errors import DeadlineExceeded, GroundplaneError, NotFound, Unavailable, WrongState
from groundplane.network import attach
from groundplane.network.attach import Attach
from groundplane.network.calc.model import IPAddress
from groundplane.network.dataplane.loop import HostLinks
from groundplane.network.dataplane.routes import PROTOCOL, workload_sysctls
from groundplane.network.resources import Profile, WorkloadEndpoint
from groundplane.observe import logger
from groundplane.system import netlink, netns
from groundplane.system.netlink import AddVeth, DeleteLink, PutNeighbour, PutRoute, Route, SetLink

_WITHIN = timedelta(seconds=60)
_REACH = timedelta(seconds=15)


class Gone(NotFound):
    """What CHECK looks for is not there."""

    code = cni_errors.CONTAINER_UNKNOWN


class NotReady(Unavailable):
    """STATUS: an ADD could not be served now."""

    code = cni_errors.NOT_AVAILABLE


class Addresses(Protocol):
    """Address management, as far as this node's pods go."""

    async def assign(self, plan: Attach) -> tuple[IPAddress, ...]:
        """Take what the configuration asks for, all families or none. Raises Exhausted."""
        ...

    async def release(self, handle: str) -> None:
        """Give back all of a handle's; none is fine."""
        ...


class Records(Protocol):
    """The endpoints in etcd."""

    async def get(self, namespace: str, name: str) -> WorkloadEndpoint | None:
        """The one, as it is now."""
        ...

    async def on(self, node: str) -> tuple[WorkloadEndpoint, ...]:
        """All of a node."""
        ...

    async def put(self, endpoint: WorkloadEndpoint) -> int:
        """Create or replace it; the revision."""
        ...

    async def remove(self, endpoint: WorkloadEndpoint) -> None:
        """Remove it if it is still that container's; gone already is fine."""
        ...

    async def ensure_profile(self, profile: Profile) -> None:
        """Create it if it is missing; one that is there stays as it is."""
        ...


class Calculated(Protocol):
    """How far the packet filter has come."""

    @property
    def ready(self) -> bool:
        """Whether everything in etcd at some moment has been applied."""
        ...

    async def reach(self, revision: int) -> None:
        """Return when everything up to `revision` is in the kernel."""
        ...

    def polices(self, interface: str) -> bool:
        """Whether the packet filter in the kernel knows this interface."""
        ...


class Pods:
    """The pods of one node."""

    def __init__(
        self,
        *,
        node: str,
        addresses: Addresses,
        records: Records,
        calculated: Calculated,
        links: HostLinks,
        mtu: Callable[[], int],
    ) -> None:
        self._node, self._mtu = node, mtu
        self._addresses, self._records = addresses, records
        self._calculated, self._links = calculated, links
        self._turns: dict[str, asyncio.Lock] = {}
        self._log = logger("cni")

    async def serve(self, request: Request) -> dict[str, object]:
        """The document that the plugin prints."""
        try:
            async with asyncio.timeout(_WITHIN.total_seconds()):
                return await self._serve(request)
        except TimeoutError as late:
            what = f"did not end within {_WITHIN.total_seconds():g} s"
            raise DeadlineExceeded(what, to=f"{request.command.value} {request.container_id}") from late

    async def _serve(self, request: Request) -> dict[str, object]:
        if request.command is Command.STATUS:
            self._must_be_ready(NotReady)
            return {}
        if request.command is Command.GC:
            await self._collect(request)
            return {}
        plan = attach.plan(request, node=self._node)
        loop = asyncio.get_running_loop()
        async with self._turn(plan.interface):
            began = loop.time()
            done: Result | None = None
            match request.command:
                case Command.ADD:
                    attach.check_storable(plan)
                    self._must_be_ready(Unavailable)
                    done = await self._add(plan)
                case Command.DEL:
                    await self._delete(plan)
                case Command.CHECK:
                    await self._check(plan, request.conf.prev_result or Result())
        self._log.info(
            "cni." + request.command.value.lower(),
            namespace=plan.namespace,
            endpoint=plan.name,
            interface=plan.interface,
            ms=round((loop.time() - began) * 1000, 1),
        )
        return {} if done is None else done.to_json(request.conf.version)

    def _must_be_ready(self, refusal: type[Unavailable]) -> None:
        if not self._calculated.ready:
            raise refusal("has not read the cluster yet", to="groundplane-agent", hint="is etcd reachable?")

    def _turn(self, interface: str) -> asyncio.Lock:
        # One pod's requests take turns; locks of pods that are gone are dropped as new ones come.
        if len(self._turns) > 1024:  # noqa: PLR2004 - far above the pods of a host
            self._turns = {name: lock for name, lock in self._turns.items() if lock.locked()}
        return self._turns.setdefault(interface, asyncio.Lock())

    async def _add(self, plan: Attach) -> Result:
        assert plan.netns is not None  # request.parse_request
        mtu = plan.conf.mtu or self._mtu()
        async with Undo() as undo:
            link = asyncio.ensure_future(self._links.use(lambda host: _ensure_veth(host, plan, mtu)))
            undo.push("remove the link", lambda: self._unlink(plan, link))
            try:
                found = await self._records.get(plan.namespace, plan.name)
                if attach.same_sandbox(found, plan) and found is not None and found.ip_networks:
                    addresses, endpoint = found.addresses, found
                    revision = int(found.metadata.resource_version or 0)
                else:
                    await self._records.ensure_profile(plan.profile)
                    undo.push("give the addresses back", lambda: self._addresses.release(plan.handle))
                    addresses = await self._addresses.assign(plan)
                    endpoint = plan.endpoint(addresses)
                    undo.push("forget the endpoint", lambda: self._records.remove(endpoint))
                    revision = await self._records.put(endpoint)
                await self._reach(revision, plan)
            finally:
                mac, _ = await asyncio.shield(link)  # a thread cannot be stopped: the undo needs its end
            await self._links.use(lambda host: _open_host_side(host, plan, addresses, mac))
            await asyncio.to_thread(_open_pod_side, plan, addresses)
            await self._until_running(plan)
            undo.commit()
        return attach.result(plan, addresses, mac=mac, mtu=mtu)

    async def _reach(self, revision: int, plan: Attach) -> None:
        try:
            async with asyncio.timeout(_REACH.total_seconds()):
                await self._calculated.reach(revision)
        except TimeoutError as late:
            raise Unavailable("its policy is not in the kernel yet", to=plan.name, hint="see the agent's log") from late
        if not self._calculated.polices(plan.interface):
            raise Unavailable("the packet filter does not know its interface", to=plan.name)

    async def _unlink(self, plan: Attach, link: "asyncio.Future[tuple[str, bool]]") -> None:
        # A link that was there before this ADD is a running pod's: an ADD repeated in vain must not cut it off.
        try:
            _, made = await link
        except (GroundplaneError, OSError):
            return  # it made none, or took its own back
        if made:
            await self._links.use(lambda host: host.run(DeleteLink(name=plan.interface)))

    async def _until_running(self, plan: Attach) -> None:
        # The end that went up first passes packets only once the kernel's link watch has run: the pod's first packet
        # would be lost. A look takes less time than opening a socket to be told, and the first nearly always suffices.
        pause = 0.001
        while True:
            link = await self._links.use(lambda host: host.link(plan.interface))
            if link is None or link.running:
                return
            await asyncio.sleep(pause)
            pause = min(pause * 2, 0.02)

    async def _delete(self, plan: Attach) -> None:
        found = await self._records.get(plan.namespace, plan.name)
        ours = found is None or attach.same_sandbox(found, plan)
        if ours:
            if found is not None:
                await self._records.remove(found)
            await self._links.use(lambda host: host.run(DeleteLink(name=plan.interface)))
        # Another sandbox of this pod may have taken over: then the record and the link are its own, the addresses not.
        await self._addresses.release(plan.handle)
        if ours and plan.pod:
            await self._addresses.release(f"{plan.namespace}.{plan.pod}")  # what Calico before 3.0 took them under

    async def _check(self, plan: Attach, previous: Result) -> None:
        found = await self._records.get(plan.namespace, plan.name)
        if found is None or not attach.same_sandbox(found, plan):
            raise Gone("no endpoint of this container is recorded", to=plan.name)
        told = {ip.address.ip for ip in previous.ips}
        if not told <= set(found.addresses):
            raise WrongState(f"has {_words(found.addresses)}, was told {_words(sorted(told, key=str))}", to=plan.name)
        if not self._calculated.polices(plan.interface):
            raise WrongState("the packet filter does not know its interface", to=plan.interface)
        await self._links.use(lambda host: _check_host_side(host, plan, found.addresses))
        await asyncio.to_thread(_check_pod_side, plan, found.addresses)

    async def _collect(self, request: Request) -> None:
        valid = set(request.conf.valid_attachments or ())
        failures: list[Exception] = []
        for found in await self._records.on(self._node):
            if (found.container_id, found.endpoint) in valid or not found.container_id:
                continue
            try:
                async with self._turn(found.interface_name):
                    await self._remove(found, attach.handle(request.conf.name, found.container_id))
            except Exception as failed:  # noqa: BLE001 - the specification wants all tried and the errors collected
                failures.append(failed)
        if failures:
            raise WrongState("; ".join(map(str, failures)), to="GC")

    async def _remove(self, found: WorkloadEndpoint, handle: str) -> None:
        await self._records.remove(found)
        await self._links.use(lambda host: host.run(DeleteLink(name=found.interface_name)))
        await self._addresses.release(handle)


def _words(addresses: Sequence[IPAddress]) -> str:
    return ", ".join(map(str, addresses)) or "no address"


def _ensure_veth(host: netlink.Netlink, plan: Attach, mtu: int) -> tuple[str, bool]:
    """The pod's hardware address, and whether the pair is new: one that joins these two namespaces already is kept."""
    assert plan.netns is not None
    with netlink.open_in(plan.netns) as pod:
        mine, theirs = host.link(plan.interface), pod.link(plan.ifname)
        if mine and theirs and mine.peer == theirs.index and theirs.peer == mine.index:
            return theirs.mac, False
        if theirs is not None and mine is None:
            hint = "give the container a namespace of its own"
            raise WrongState(f"there is another {plan.ifname} in it", to=plan.netns, hint=hint)
        fd = os.open(plan.netns, os.O_RDONLY | os.O_CLOEXEC)
        try:
            host.run(DeleteLink(name=plan.interface))
            host.run(AddVeth(name=plan.interface, peer=plan.ifname, mac=attach.HOST_MAC, mtu=mtu, peer_netns=fd))
            netlink.write_sysctls(workload_sysctls(plan.interface))
            made = pod.link(plan.ifname)
        except BaseException:
            host.run(DeleteLink(name=plan.interface))
            raise
        finally:
            os.close(fd)
        return made.mac if made else "", True


def _open_host_side(host: netlink.Netlink, plan: Attach, addresses: Sequence[IPAddress], mac: str) -> None:
    """Up, and for each address a route and a neighbour.

    The neighbour is told, not asked for: somebody who sends to the address already would have made the host ask before
    the pod could answer, and it would not ask again for a second.
    """
    commands: list[netlink.Command] = [SetLink(name=plan.interface, up=True)]
    for address in addresses:
        route = Route(destination=ip_network(address), interface=plan.interface, protocol=PROTOCOL)
        commands += [PutRoute(route=route), PutNeighbour(interface=plan.interface, address=address, mac=mac)]
    host.run(*commands)


def _open_pod_side(plan: Attach, addresses: Sequence[IPAddress]) -> None:
    assert plan.netns is not None
    ipv6 = any(address.version == 6 for address in addresses)  # noqa: PLR2004 - a version of IP

    def inside() -> netlink.KernelNetlink:
        netlink.write_sysctls(attach.pod_sysctls(plan.ifname, forwarding=plan.conf.allow_ip_forwarding, ipv6=ipv6))
        return netlink.open_here()

    pod = netns.run_in(plan.netns, inside)
    try:
        pod.run(*attach.pod_side(plan.ifname, addresses))
    finally:
        pod.close()


def _check_host_side(host: netlink.Netlink, plan: Attach, addresses: Sequence[IPAddress]) -> None:
    link = host.link(plan.interface)
    if link is None:
        raise Gone("no such interface", to=plan.interface)
    if not link.up:
        raise WrongState("is down", to=plan.interface)
    routed = {route.destination: route.interface for route in host.routes()}
    for address in addresses:
        if routed.get(ip_network(address)) != plan.interface:
            raise WrongState(f"{address} is not routed to it", to=plan.interface)


def _check_pod_side(plan: Attach, addresses: Sequence[IPAddress]) -> None:
    assert plan.netns is not None
    pod = netlink.open_in(plan.netns)
    try:
        link = pod.link(plan.ifname)
        if link is None:
            raise Gone("no such interface in the container", to=plan.ifname)
        if not link.up:
            raise WrongState("is down in the container", to=plan.ifname)
        there = {address.ip for address in pod.addresses(plan.ifname)}
        missing = [address for address in addresses if address not in there]
        if missing:
            raise WrongState(f"{_words(missing)} is not on it", to=plan.ifname)
    finally:
        pod.close()
