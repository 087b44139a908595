import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid, NotFound
from groundplane.network.ipam import keys
from groundplane.network.ipam.block import (
    Attribute,
    Block,
    HandleID,
    decode_block,
    encode_block,
    host_affinity,
    new_block,
)
from groundplane.network.ipam.plan import candidates, choose_pools, fnv1_32
from groundplane.network.resources import IPPool, Metadata, Use

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CIDR = ip_network("10.244.0.0/29")
NONE = timedelta(0)


def held_by(handle: str, **secondary: str) -> Attribute:
    return Attribute(handle=HandleID(handle), secondary=secondary)


def fresh() -> Block:
    return new_block(CIDR, host_affinity("a"), now=NOW)


def pool(cidr: str, size: int = 26, name: str = "pool", **changes: object) -> IPPool:
    values: dict[str, object] = {"metadata": Metadata(name=name), "cidr": ip_network(cidr), "block_size": size}
    return IPPool(**(values | changes))  # type: ignore[arg-type] # a test's shorthand


def consistent(block: Block) -> bool:
    free = [n for n, index in enumerate(block.allocations) if index is None]
    used = {index for index in block.allocations if index is not None}
    return (
        sorted(block.unallocated) == free
        and used == set(range(len(block.attributes)))
        and set(block.sequences) == {n for n, index in enumerate(block.allocations) if index is not None}
        and len(set(map(repr, block.attributes))) == len(block.attributes)
    )


def test_released_addresses_go_to_the_tail_in_ascending_order() -> None:
    block, _ = fresh().take(8, held_by("x"))
    block = block.give_back([ip_address("10.244.0.5"), ip_address("10.244.0.2")], now=NOW, cooldown=NONE)
    block = block.give_back([ip_address("10.244.0.0")], now=NOW, cooldown=NONE)
    assert block.unallocated == (2, 5, 0)


def test_equal_holders_share_an_attribute_and_unused_ones_are_dropped() -> None:
    block, _ = fresh().take(1, held_by("x", pod="p"))
    block, _ = block.take(1, held_by("y"))
    block, _ = block.take(1, held_by("x", pod="p"))
    assert block.allocations[:3] == (0, 1, 0)
    block = block.give_back([ip_address("10.244.0.0"), ip_address("10.244.0.2")], now=NOW, cooldown=NONE)
    assert block.attributes == (held_by("y"),)
    assert block.allocations[:3] == (None, 0, None)


def test_reserved_addresses_keep_their_place() -> None:
    block, got = fresh().take(2, held_by("x"), reserved=[ip_network("10.244.0.0/31")])
    assert [str(each) for each in got] == ["10.244.0.2", "10.244.0.3"]
    assert block.unallocated[:2] == (0, 1)


def test_a_cooling_address_is_freed_only_when_cooled() -> None:
    cooldown = timedelta(seconds=30)
    block, _ = fresh().take(1, held_by("x"))
    block = block.give_back([ip_address("10.244.0.0")], now=NOW, cooldown=cooldown)
    assert block.empty
    assert 0 not in block.unallocated
    assert block.collected(now=NOW + timedelta(seconds=29), cooldown=cooldown) == block
    assert block.collected(now=NOW + cooldown, cooldown=cooldown).unallocated[-1] == 0


def test_the_stored_value_is_calicos() -> None:
    block, _ = new_block(ip_network("10.0.0.0/30"), host_affinity("etcd1"), now=NOW).take(
        1, held_by("k8s-pod-network.abc", pod="web", namespace="default", node="etcd1")
    )
    start = int(NOW.timestamp()) * 10**9
    assert json.loads(encode_block(block)) == {
        "cidr": "10.0.0.0/30",
        "affinity": "host:etcd1",
        "affinity_claim_time": "2026-01-02T03:04:05Z",
        "allocations": [0, None, None, None],
        "unallocated": [1, 2, 3],
        "attributes": [
            {"handle_id": "k8s-pod-network.abc", "secondary": {"pod": "web", "namespace": "default", "node": "etcd1"}}
        ],
        "sequenceNumber": start + 1,
        "sequenceNumberForAllocation": {"0": start},
        "deleted": False,
    }


def test_the_old_form_of_affinity_is_understood() -> None:
    value = {"cidr": "10.0.0.0/32", "hostAffinity": "n", "allocations": [None], "unallocated": [0], "attributes": []}
    assert decode_block(json.dumps(value).encode(), at="key").affinity == "host:n"


@pytest.mark.parametrize(
    "change",
    [
        {"unallocated": [0]},
        {"unallocated": [0, 0]},
        {"allocations": [None]},
        {"allocations": [None, 3], "unallocated": [0]},
        {"cidr": "10.0.0.1/31"},
        {"cidr": 7},
        {"sequenceNumberForAllocation": {"x": 1}},
    ],
)
def test_a_block_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    value: dict[str, object] = {"cidr": "10.0.0.0/31", "allocations": [None, None], "unallocated": [0, 1]}
    with pytest.raises(Invalid, match="stored block"):
        decode_block(json.dumps(value | change).encode(), at="key")


STEPS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(1, 3)) | st.frozensets(st.integers(0, 7), min_size=1, max_size=3),
    max_size=12,
)


@given(STEPS, st.sampled_from([NONE, timedelta(seconds=10)]))
def test_whatever_happens_a_block_stays_consistent_and_survives_storage(
    steps: list[tuple[str, int] | frozenset[int]], cooldown: timedelta
) -> None:
    block, now = fresh(), NOW
    for step in steps:
        now += timedelta(seconds=4)
        block = block.collected(now=now, cooldown=cooldown)
        before = block
        if isinstance(step, frozenset):
            block = block.give_back([CIDR.network_address + n for n in step], now=now, cooldown=cooldown)
        else:
            block, got = block.take(step[1], held_by(step[0]))
            assert all(before.holder(address) is None for address in got)
            assert len(got) == min(step[1], before.free)
        assert block == before or block.sequence > before.sequence
        assert consistent(block)
        assert decode_block(encode_block(block), at="key") == block


@pytest.mark.parametrize(("text", "number"), [("", 0x811C9DC5), ("a", 0x050C5D7E), ("foobar", 0x31F0B262)])
def test_the_hash_is_fnv_1(text: str, number: int) -> None:
    assert fnv1_32(text) == number  # vectors of the algorithm's authors


@given(st.text(max_size=10), st.integers(0, 6), st.sampled_from([("10.0.0.0/20", 20), ("fd00::/116", 116)]))
def test_candidates_are_all_blocks_once(host: str, bits: int, base: tuple[str, int]) -> None:
    cidr, prefix = base
    found = list(candidates(pool(cidr, prefix + bits), host))
    assert set(found) == set(ip_network(cidr).subnets(prefixlen_diff=bits))
    assert len(found) == 2**bits
    assert found == list(candidates(pool(cidr, prefix + bits), host))


def test_pools_are_chosen_by_selectors_use_and_family() -> None:
    here = pool("10.1.0.0/16", name="b", node_selector="rack == '1'")
    there = pool("10.2.0.0/16", name="a", node_selector="rack == '2'")
    tunnels = pool("10.3.0.0/16", name="t", allowed_uses=(Use.TUNNEL,))
    disabled = pool("10.4.0.0/16", name="d", disabled=True)
    six = pool("fd00::/64", 122, name="six")
    pools = [here, there, tunnels, disabled, six]

    def chosen(use: Use = Use.WORKLOAD, version: int = 4, requested: str = "") -> list[str]:
        cidrs = [ip_network(requested)] if requested else []
        found = choose_pools(pools, version=version, use=use, node_labels={"rack": "1"}, requested=cidrs)
        return [each.name for each in found]

    assert chosen() == ["b"]
    assert chosen(Use.TUNNEL) == ["b", "t"]
    assert chosen(version=6) == ["six"]
    assert chosen(requested="10.2.0.0/16") == ["a"]
    with pytest.raises(NotFound, match="no enabled pool"):
        chosen(requested="10.4.0.0/16")
    with pytest.raises(NotFound, match="no pool serves"):
        chosen(Use.LOAD_BALANCER)


def test_keys_are_calicos() -> None:
    cidr = ip_network("10.244.0.0/26")
    assert keys.block_key(cidr) == "/calico/ipam/v2/assignment/ipv4/block/10.244.0.0-26"
    assert keys.block_key(ip_network("fd00::/122")) == "/calico/ipam/v2/assignment/ipv6/block/fd00::-122"
    assert keys.affinity_key("n1", cidr) == "/calico/ipam/v2/host/n1/ipv4/block/10.244.0.0-26"
    assert keys.parse_affinity_key(keys.affinity_key("n1", cidr)) == ("n1", cidr)
    assert keys.parse_block_key(keys.block_key(cidr)) == cidr
    assert keys.parse_affinity_key("/calico/ipam/v2/host/n1") is None
    assert keys.handle_key(HandleID("net.abc")) == "/calico/ipam/v2/handle/net.abc"


def test_small_values_are_calicos() -> None:
    cidr = ip_network("10.244.0.0/26")
    assert json.loads(keys.encode_affinity(keys.AffinityState.PENDING)) == {"state": "pending", "deleted": False}
    assert keys.decode_affinity(b"", at="k") is keys.AffinityState.CONFIRMED
    assert keys.decode_affinity(b'{"deleted":false}', at="k") is keys.AffinityState.CONFIRMED
    handle = keys.Handle().changed(cidr, 2)
    assert json.loads(keys.encode_handle(handle)) == {"block": {"10.244.0.0/26": 2}, "deleted": False}
    assert keys.decode_handle(keys.encode_handle(handle), at="k") == handle
    assert handle.changed(cidr, -2) == keys.Handle()


def test_an_absent_configuration_allocates_and_one_without_the_field_does_not() -> None:
    assert keys.decode_config(None).auto_allocate_blocks
    assert not keys.decode_config(b"{}").auto_allocate_blocks
    assert keys.decode_config(b'{"auto_allocate_blocks":true,"ipCooldownSeconds":5}').cooldown == timedelta(seconds=5)
