"""What an agent writes of its own host: its Node, the cluster's identity, the built-in tiers, its tunnel's address.

All of it converges: what is there as wanted is not written, what an operator added to the Node stays.
"""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from groundplane.errors import Exists, NotFound
from groundplane.network.datastore import Datastore
from groundplane.network.ipam import Allocator, HandleID, choose_pools, tunnel_handle
from groundplane.network.resources import (
    ClusterInformation,
    Encapsulation,
    IPPool,
    Metadata,
    Node,
    NodeBGP,
    Use,
)
from groundplane.network.resources.node import NodeAddress

_NODE_ADDRESS = "CalicoNodeIP"
HOST_LABEL = "kubernetes.io/hostname"


def wanted_node(found: Node | None, *, name: str, address: IPv4Interface) -> Node:
    """The Node as this host has it: `found` with the address put right, or a new one."""
    node = found or Node(metadata=Metadata(name=name, labels={HOST_LABEL: name}))
    bgp = replace(node.bgp or NodeBGP(), ipv4_address=address)
    others = tuple(one for one in node.addresses if one.type != _NODE_ADDRESS)
    return replace(node, bgp=bgp, addresses=(NodeAddress(address=str(address), type=_NODE_ADDRESS), *others))


def wanted_cluster(*, guid: str) -> ClusterInformation:
    """The identity of a new cluster. `guid`: 32 hexadecimal digits."""
    return ClusterInformation(
        metadata=Metadata(name="default"), cluster_guid=guid, cluster_type="groundplane,bgp", datastore_ready=True
    )


def tunnel_pools(pools: Sequence[IPPool], node: Node) -> tuple[IPPool, ...]:
    """Where the tunnel's address may come from; none if no pool is encapsulated, or none serves this node."""
    encapsulated = [pool for pool in pools if pool.ipip_mode is not Encapsulation.NEVER and not pool.disabled]
    if not encapsulated:
        return ()
    try:
        return choose_pools(encapsulated, version=4, use=Use.TUNNEL, node_labels=node.metadata.labels)
    except NotFound:
        return ()


async def register(store: Datastore, *, name: str, address: IPv4Interface, guid: str) -> Node:
    """Write what is missing; the Node as it is stored."""
    if await store.get(ClusterInformation, "default") is None:
        try:
            await store.create(wanted_cluster(guid=guid))
        except Exists:
            pass  # another host's agent was first
    await store.ensure_tiers()
    found = await store.get(Node, name)
    return await store.apply(wanted_node(found, name=name, address=address))


async def give_tunnel_address(
    store: Datastore, allocator: Allocator, node: Node, pools: Sequence[IPPool]
) -> IPv4Address | None:
    """See that the Node's tunnel address is one of `pools` (None of them: that it has none)."""
    assert node.bgp is not None
    have = node.bgp.ipv4_ipip_tunnel_addr
    if not pools:
        want = None
        if have is not None:
            await release_quietly(allocator, tunnel_handle(node.name))
    else:
        found = (await allocator.tunnel_address(host=node.name, pools=pools)).ip
        assert isinstance(found, IPv4Address)
        want = found
    if want != have:
        await store.apply(replace(node, bgp=replace(node.bgp, ipv4_ipip_tunnel_addr=want)))
    return want


async def release_quietly(allocator: Allocator, handle: str) -> None:
    """Give back all of a handle's addresses; none is fine."""
    try:
        await allocator.release_by_handle(HandleID(handle))
    except NotFound:
        pass  # already given back: a DEL that is repeated
