"""`pods`' two stores, as etcd has them."""

import asyncio
from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Protocol

from groundplane.errors import Exists, Invalid
from groundplane.network.attach import Attach
from groundplane.network.calc.model import IPAddress, IPNetwork
from groundplane.network.datastore import Datastore
from groundplane.network.ipam import Allocator, HandleID, choose_pools
from groundplane.network.registration import release_quietly
from groundplane.network.resources import IPPool, Node, Profile, Resource, Use, WorkloadEndpoint


class Known(Protocol):
    """What the agent has read of the cluster."""

    def pools(self) -> tuple[IPPool, ...]:
        """All pools."""
        ...

    def node(self, name: str) -> Node | None:
        """One node."""
        ...

    def has(self, kind: type[Resource], name: str, *, namespace: str = "") -> bool:
        """Whether there is one of this name."""
        ...


class EtcdAddresses:
    """Addresses from the cluster's pools for this node's pods."""

    def __init__(self, allocator: Allocator, known: Known, *, turn: asyncio.Lock) -> None:
        """`turn` is shared by all of this host that take addresses: side by side they would each claim a block."""
        self._allocator, self._known, self._turn = allocator, known, turn

    async def assign(self, plan: Attach) -> tuple[IPAddress, ...]:
        """Take what the configuration asks for, all families or none.

        Raises Exhausted; NotFound where no pool serves this node; Invalid where the configuration wants no address.
        """
        node = self._known.node(plan.node)
        labels = node.metadata.labels if node is not None else {}
        families = [
            (version, _networks(requested))
            for version, wanted, requested in (
                (4, plan.conf.assign_ipv4, plan.conf.ipv4_pools),
                (6, plan.conf.assign_ipv6, plan.conf.ipv6_pools),
            )
            if wanted
        ]
        if not families:
            raise Invalid("wants neither IPv4 nor IPv6", to=f"network {plan.network}: ipam")
        # Choose for every family before anything is taken.
        chosen = [
            choose_pools(
                self._known.pools(), version=version, use=Use.WORKLOAD, node_labels=labels, requested=requested
            )
            for version, requested in families
        ]
        async with self._turn:
            return await self._take(
                plan, {version: pools for (version, _), pools in zip(families, chosen, strict=True)}
            )

    async def _take(self, plan: Attach, wanted: Mapping[int, Sequence[IPPool]]) -> tuple[IPAddress, ...]:
        # What an ADD that was killed had taken already is used, not leaked.
        held = {address.version: address.ip for address in await self._allocator.addresses_of(HandleID(plan.handle))}
        addresses: list[IPAddress] = []
        for version, pools in wanted.items():
            if version in held:
                addresses.append(held[version])
                continue
            [found] = await self._allocator.auto_assign(
                handle=HandleID(plan.handle), host=plan.node, pools=pools, attributes=plan.attributes
            )
            addresses.append(found.ip)
        return tuple(addresses)

    async def release(self, handle: str) -> None:
        """Give back all of a handle's; none is fine."""
        await release_quietly(self._allocator, handle)


def _networks(texts: Sequence[str]) -> tuple[IPNetwork, ...]:
    try:
        return tuple(map(ip_network, texts))
    except ValueError as bad:
        raise Invalid(f"{bad}", to="network configuration.ipam pools", hint="name pools by their CIDR") from bad


class EtcdRecords:
    """Endpoints and profiles in the datastore."""

    def __init__(self, store: Datastore, known: Known) -> None:
        self._store, self._known = store, known

    async def get(self, namespace: str, name: str) -> WorkloadEndpoint | None:
        """The one, as it is now."""
        return await self._store.get(WorkloadEndpoint, name, namespace=namespace)

    async def on(self, node: str) -> tuple[WorkloadEndpoint, ...]:
        """All of a node."""
        return tuple(one for one in await self._store.list(WorkloadEndpoint) if one.node == node)

    async def put(self, endpoint: WorkloadEndpoint) -> int:
        """Create or replace it; the revision."""
        return int((await self._store.apply(endpoint)).metadata.resource_version)

    async def remove(self, endpoint: WorkloadEndpoint) -> None:
        """Remove it if it is still that container's; gone already is fine."""
        found = await self.get(endpoint.namespace, endpoint.name)
        if found is not None and found.container_id == endpoint.container_id:
            revision = found.metadata.resource_version
            await self._store.delete(WorkloadEndpoint, found.name, namespace=found.namespace, revision=revision)

    async def ensure_profile(self, profile: Profile) -> None:
        """Create it if it is missing; one that is there stays as it is."""
        if self._known.has(Profile, profile.name):
            return
        try:
            await self._store.create(profile)
        except Exists:
            pass  # another pod of this namespace was first
