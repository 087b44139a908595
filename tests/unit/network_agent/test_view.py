"""What this host's tunnel and BIRD should be, from the whole cluster; and the mirror that this is read from."""

from ipaddress import IPv4Address, IPv4Interface, IPv4Network

import pytest

from groundplane.names import HostName
from groundplane.network.calc.model import IPNetwork
from groundplane.network.calc.routes import plan_routes
from groundplane.network.calc.state import State
from groundplane.network.datastore import Batch, BlockLost, BlockOwned, Changed, Removed
from groundplane.network.mirror import Mirror
from groundplane.network.resources import (
    BGPConfiguration,
    Encapsulation,
    IPPool,
    Metadata,
    Node,
    NodeBGP,
    Resource,
    ResourceKey,
    key_of,
)
from groundplane.network.view import bird_view, direct_remotes, tunnel_view

HERE = HostName("a")
ADDRESS = IPv4Interface("10.0.0.1/24")


def node(name: str, address: str, **bgp: object) -> Node:
    return Node(metadata=Metadata(name=name), bgp=NodeBGP(ipv4_address=IPv4Interface(address), **bgp))  # type: ignore[arg-type]


def pool(mode: Encapsulation, *, cidr: str = "10.244.0.0/16", name: str = "p") -> IPPool:
    return IPPool(metadata=Metadata(name=name), cidr=IPv4Network(cidr), block_size=26, ipip_mode=mode)


NODES = (
    node("a", "10.0.0.1/24", ipv4_ipip_tunnel_addr=IPv4Address("10.244.0.1")),
    node("near", "10.0.0.2/24"),
    node("far", "10.9.0.2/24", as_number=65001),
    Node(metadata=Metadata(name="mute")),
)
BLOCKS: dict[IPNetwork, str] = {
    IPv4Network("10.244.0.0/26"): "a",
    IPv4Network("10.244.1.0/26"): "near",
    IPv4Network("10.244.2.0/26"): "far",
    IPv4Network("10.244.3.0/26"): "mute",
}


def state(*resources: Resource) -> State:
    return State.of([*NODES, *resources], BLOCKS)


@pytest.mark.parametrize(
    ("mode", "wrapped", "direct"),
    [
        (Encapsulation.ALWAYS, {"10.244.1.0/26", "10.244.2.0/26"}, set[str]()),
        (Encapsulation.CROSS_SUBNET, {"10.244.2.0/26"}, {"10.244.1.0/26"}),
    ],
)
def test_only_what_must_be_is_wrapped(mode: Encapsulation, wrapped: set[str], direct: set[str]) -> None:
    all_ = state(pool(mode))
    routes = plan_routes(all_, node=HERE)
    tunnel = tunnel_view(all_, routes, node=HERE)
    assert tunnel is not None
    assert {str(remote.block) for remote in tunnel.remotes} == wrapped
    assert {str(remote.block) for remote in direct_remotes(all_, routes)} == direct
    assert tunnel.address == IPv4Address("10.244.0.1")
    assert tunnel.peers == {IPv4Address("10.0.0.2"), IPv4Address("10.9.0.2")}


def test_without_encapsulation_there_is_no_tunnel_and_bird_routes() -> None:
    all_ = state(pool(Encapsulation.NEVER))
    routes = plan_routes(all_, node=HERE)
    assert tunnel_view(all_, routes, node=HERE) is None
    assert direct_remotes(all_, routes) == ()
    assert [one.tunnelled for one in bird_view(all_, node=HERE, address=ADDRESS).pools] == [False]


def test_every_other_node_with_an_address_is_a_peer_with_its_own_as() -> None:
    view = bird_view(state(), node=HERE, address=ADDRESS)
    assert {(peer.node, peer.as_number) for peer in view.peers} == {("near", 64512), ("far", 65001)}
    assert view.blocks == (IPv4Network("10.244.0.0/26"),)


def test_the_mesh_can_be_switched_off_and_ports_are_the_nodes_own() -> None:
    default = BGPConfiguration(metadata=Metadata(name="default"), node_to_node_mesh=False, as_number=65000)
    own = BGPConfiguration(metadata=Metadata(name="node.a"), listen_port=1790)
    view = bird_view(state(default, own), node=HERE, address=ADDRESS)
    assert (view.peers, view.as_number, view.port) == ((), 65000, 1790)


def test_a_mirror_follows_events_and_a_fresh_batch_voids_what_was_known() -> None:
    mirror, key = Mirror(), ResourceKey("Node", "near")
    block = IPv4Network("10.244.1.0/26")
    first = tuple(Changed(key_of(one), one) for one in NODES)
    mirror.take(Batch(events=(*first, BlockOwned(block, "near")), revision=5, fresh=True))
    assert (mirror.revision, mirror.node("near"), mirror.state.blocks) == (5, NODES[1], {block: "near"})
    mirror.take(Batch(events=(Removed(key), BlockOwned(block, "far"), BlockLost(block, "near")), revision=6))
    assert (mirror.node("near"), mirror.state.blocks) == (None, {block: "far"})
    mirror.take(Batch(events=first[:1], revision=9, fresh=True))
    assert (mirror.node("a"), mirror.node("far"), mirror.state.blocks) == (NODES[0], None, {})
    assert not mirror.has(Node, "far")
