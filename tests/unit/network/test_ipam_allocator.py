"""Allocators of several hosts over one store, run as coroutines in any order, with crashes at any step."""

from collections import Counter
from collections.abc import Coroutine, Generator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.errors import Exhausted, Exists, NotFound, Unavailable, WrongState
from groundplane.network.calc.model import IPAddress, IPNetwork
from groundplane.network.ipam import Allocator, Attribute, HandleID, MemoryStore, Release, keys, tunnel_handle
from groundplane.network.ipam.block import Block, decode_block, encode_block, host_affinity, new_block
from groundplane.network.ipam.change import Change, Record
from groundplane.network.ipam.keys import AffinityState
from groundplane.network.resources import IPPool, Metadata
from groundplane.system.clock import DrivenClock

START = datetime(2026, 1, 1, tzinfo=UTC)
POOL = IPPool(metadata=Metadata(name="p"), cidr=ip_network("10.0.0.0/28"), block_size=30)
BLOCK = ip_network("10.0.0.0/30")


class Turn:
    """A place where another coroutine may run."""

    def __await__(self) -> Generator[None]:
        yield


class SteppedStore(MemoryStore):
    async def read(self, *wanted: str) -> tuple[Record | None, ...]:
        await Turn()
        return await super().read(*wanted)

    async def list(self, prefix: str) -> tuple[Record, ...]:
        await Turn()
        return await super().list(prefix)

    async def commit(self, changes: Sequence[Change]) -> bool:
        await Turn()
        done = await super().commit(changes)
        await Turn()  # who dies here has written, and never learns of it
        return done


def now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run to the end, alone."""
    while True:
        try:
            coroutine.send(None)
        except StopIteration as done:
            return done.value


def stored_blocks(store: MemoryStore) -> list[Block]:
    records = now(MemoryStore.list(store, keys.blocks_prefix(4)))
    return [decode_block(record.value, at=record.key) for record in records]


def stored_handles(store: MemoryStore) -> dict[str, dict[IPNetwork, int]]:
    records = now(MemoryStore.list(store, keys.HANDLES))
    return {
        record.key.removeprefix(keys.HANDLES): dict(keys.decode_handle(record.value, at="").blocks)
        for record in records
    }


def stored_affinities(store: MemoryStore) -> dict[tuple[str, IPNetwork], AffinityState]:
    found = {}
    for record in now(MemoryStore.list(store, keys.PREFIX + "host/")):
        parsed = keys.parse_affinity_key(record.key)
        assert parsed
        found[parsed] = keys.decode_affinity(record.value, at="")
    return found


def check(store: MemoryStore, held: dict[IPAddress, HandleID]) -> None:
    blocks = stored_blocks(store)
    counts: Counter[tuple[str, IPNetwork]] = Counter()
    for block in blocks:
        for index in block.allocations:
            owner = None if index is None else block.attributes[index].handle
            if owner is not None:
                counts[owner, block.cidr] += 1
    handles = stored_handles(store)
    for (name, cidr), count in counts.items():
        assert handles[name][cidr] >= count, "a handle counts fewer than it holds"
    by_cidr = {block.cidr: block for block in blocks}
    for address, handle in held.items():
        holder = by_cidr[ip_network((address, POOL.block_size), strict=False)].holder(address)
        assert holder is not None
        assert holder.handle == handle, "an address was given twice, or lost"
    owners = {(block.affinity.removeprefix("host:"), block.cidr) for block in blocks if block.affinity}
    confirmed = {key for key, state in stored_affinities(store).items() if state is AffinityState.CONFIRMED}
    assert owners == confirmed


@dataclass
class World:
    store: SteppedStore = field(default_factory=SteppedStore)
    clock: DrivenClock = field(default_factory=lambda: DrivenClock(START))
    held: dict[IPAddress, HandleID] = field(default_factory=dict)
    number: int = 0

    async def start(self, host: str, step: tuple[str, int, int]) -> None:
        await Turn()
        verb, which, count = step
        handle = HandleID(f"net.{host}-{which}")
        await getattr(self, verb)(Allocator(self.store, clock=self.clock), host, handle, count)

    async def assign(self, allocator: Allocator, host: str, handle: HandleID, count: int) -> None:
        try:
            got = await allocator.auto_assign(handle=handle, host=host, pools=[POOL], count=count)
        except Exhausted:
            return
        assert len(got) == count
        for each in got:
            assert each.ip not in self.held
            self.held[each.ip] = handle

    async def pick(self, allocator: Allocator, host: str, handle: HandleID, count: int) -> None:
        address = POOL.cidr[count * 3]
        try:
            await allocator.assign_ip(address, handle=handle, host=host, pools=[POOL])
        except Exists:
            return
        assert address not in self.held
        self.held[address] = handle

    async def release(self, allocator: Allocator, host: str, handle: HandleID, count: int) -> None:  # noqa: ARG002
        for address in [address for address, holder in self.held.items() if holder == handle]:
            del self.held[address]
        try:
            await allocator.release_by_handle(handle)
        except NotFound:
            pass  # nothing was held, which is what a repeated DEL meets

    async def drop(self, allocator: Allocator, host: str, handle: HandleID, count: int) -> None:  # noqa: ARG002
        address = POOL.cidr[count]
        if self.held.get(address) == handle:
            del self.held[address]
            await allocator.release_ips([Release(address=address, handle=handle)])

    async def tunnel(self, allocator: Allocator, host: str, handle: HandleID, count: int) -> None:  # noqa: ARG002
        try:
            found = await allocator.tunnel_address(host=host, pools=[POOL])
        except Exhausted:
            return
        self.held[found.ip] = tunnel_handle(host)

    async def tidy(self, allocator: Allocator, host: str, handle: HandleID, count: int) -> None:  # noqa: ARG002
        for cidr in await allocator.blocks_of(host):
            await allocator.give_up_block(host, cidr)


VERBS = st.sampled_from(["assign", "assign", "assign", "release", "pick", "drop", "tunnel", "tidy"])
STEPS = st.tuples(VERBS, st.integers(0, 1), st.integers(1, 4))
HOSTS = st.lists(st.lists(STEPS, min_size=1, max_size=4), min_size=2, max_size=3)


@settings(max_examples=150, deadline=None)
@given(plans=HOSTS, data=st.data())
def test_no_address_is_given_twice_in_whatever_order_hosts_run_and_crash(
    plans: list[list[tuple[str, int, int]]], data: st.DataObject
) -> None:
    world = World()
    queues = {f"h{n}": list(plan) for n, plan in enumerate(plans)}
    running: dict[str, Coroutine[Any, Any, None]] = {}
    while any(queues.values()) or running:
        ready = sorted({*running, *(host for host, queue in queues.items() if queue)})
        host = data.draw(st.sampled_from(ready))
        if host not in running:
            running[host] = world.start(host, queues[host].pop(0))
            running[host].send(None)
        elif data.draw(st.integers(0, 15)) == 15:
            running.pop(host).close()  # its power goes; the next step finds what it left
        else:
            try:
                running[host].send(None)
            except StopIteration:
                del running[host]
        world.clock.advance(timedelta(seconds=data.draw(st.sampled_from([0, 1, 90]))))
        check(world.store, world.held)
    for handle in stored_handles(world.store):
        now(Allocator(world.store).release_by_handle(HandleID(handle)))
    assert all(block.free == block.cidr.num_addresses for block in stored_blocks(world.store))
    assert not stored_handles(world.store)


def affinity(state: AffinityState) -> tuple[str, bytes]:
    return keys.affinity_key("a", BLOCK), keys.encode_affinity(state)


def block_of_host(host: str | None) -> tuple[str, bytes]:
    owner = None if host is None else host_affinity(host)
    return keys.block_key(BLOCK), encode_block(new_block(BLOCK, owner, now=START))


@pytest.mark.parametrize(
    "left",
    [
        [affinity(AffinityState.PENDING)],
        [affinity(AffinityState.CONFIRMED)],
        [affinity(AffinityState.PENDING_DELETION)],
        [affinity(AffinityState.PENDING), block_of_host("a")],
        [affinity(AffinityState.PENDING_DELETION), block_of_host("a")],
        [block_of_host("a")],
        [affinity(AffinityState.PENDING), block_of_host("b")],
        [affinity(AffinityState.PENDING), block_of_host(None)],
    ],
)
async def test_what_a_calico_host_left_half_done_is_mended_by_the_next_claim(left: list[tuple[str, bytes]]) -> None:
    store = MemoryStore()
    await store.commit([Change(key, 0, value) for key, value in left])
    pool = IPPool(metadata=Metadata(name="p"), cidr=ip_network("10.0.0.0/29"), block_size=30)
    handles = [HandleID(f"net.{n}") for n in range(8)]
    allocator = Allocator(store, clock=DrivenClock(START))
    got = [await allocator.auto_assign(handle=handle, host="a", pools=[pool]) for handle in handles[:4]]
    assert len({each.ip for [each] in got}) == 4
    ours = {(block.cidr) for block in stored_blocks(store) if block.owned_by("a") and not block.empty}
    confirmed = {cidr for (host, cidr), state in stored_affinities(store).items() if host == "a"}
    assert ours <= confirmed
    assert {state for (host, _), state in stored_affinities(store).items() if host == "a"} == {AffinityState.CONFIRMED}


async def test_addresses_come_with_the_mask_of_their_block() -> None:
    [found] = await Allocator(MemoryStore()).auto_assign(handle=HandleID("net.x"), host="a", pools=[POOL])
    assert found.network.prefixlen == 30


async def test_a_host_fills_its_own_block_before_it_claims_another() -> None:
    allocator = Allocator(MemoryStore())
    for n in range(4):
        await allocator.auto_assign(handle=HandleID(f"net.{n}"), host="a", pools=[POOL])
    assert len(await allocator.blocks_of("a")) == 1
    await allocator.auto_assign(handle=HandleID("net.5"), host="a", pools=[POOL])
    assert len(await allocator.blocks_of("a")) == 2


async def test_when_all_blocks_are_taken_addresses_are_borrowed_unless_affinity_is_strict() -> None:
    store = MemoryStore()
    allocator = Allocator(store)
    for host in "abcd":
        await allocator.auto_assign(handle=HandleID(f"net.{host}"), host=host, pools=[POOL])
    [borrowed] = await allocator.auto_assign(handle=HandleID("net.e"), host="e", pools=[POOL])
    assert not await allocator.blocks_of("e")
    assert borrowed.ip in POOL.cidr
    await store.commit([Change(keys.CONFIG_KEY, 0, b'{"strict_affinity":true,"auto_allocate_blocks":true}')])
    with pytest.raises(Exhausted, match="0 free of 1 wanted"):
        await allocator.auto_assign(handle=HandleID("net.f"), host="e", pools=[POOL])


async def test_an_exhausted_request_keeps_nothing() -> None:
    store = MemoryStore()
    with pytest.raises(Exhausted, match="16 free of 17 wanted"):
        await Allocator(store).auto_assign(handle=HandleID("net.x"), host="a", pools=[POOL], count=17)
    assert not stored_handles(store)
    assert all(block.empty for block in stored_blocks(store))


async def test_an_empty_block_of_another_host_is_taken_over_after_a_minute() -> None:
    clock = DrivenClock(START)
    allocator = Allocator(MemoryStore(), clock=clock)
    pool = IPPool(metadata=Metadata(name="p"), cidr=BLOCK, block_size=30)
    await allocator.auto_assign(handle=HandleID("net.x"), host="a", pools=[pool])
    await allocator.release_by_handle(HandleID("net.x"))
    clock.advance(timedelta(seconds=61))
    await allocator.auto_assign(handle=HandleID("net.y"), host="b", pools=[pool])
    assert await allocator.blocks_of("b") == (BLOCK,)
    assert not await allocator.blocks_of("a")


async def test_blocks_of_an_earlier_size_are_walked_around() -> None:
    store = MemoryStore()
    allocator = Allocator(store)
    small = IPPool(metadata=Metadata(name="p"), cidr=POOL.cidr, block_size=32)
    taken = [(await allocator.auto_assign(handle=HandleID("old"), host="a", pools=[small]))[0].ip]
    for n in range(12):
        [found] = await allocator.auto_assign(handle=HandleID(f"net.{n}"), host="b", pools=[POOL])
        assert found.ip not in taken
    with pytest.raises(WrongState, match="another size"):
        await allocator.assign_ip(taken[0], handle=HandleID("net.x"), host="b", pools=[POOL])


async def test_a_very_address_is_given_once() -> None:
    allocator = Allocator(MemoryStore())
    address = ip_address("10.0.0.6")
    await allocator.assign_ip(address, handle=HandleID("net.x"), host="a", pools=[POOL])
    with pytest.raises(Exists, match=r"already assigned to net\.x"):
        await allocator.assign_ip(address, handle=HandleID("net.y"), host="a", pools=[POOL])
    with pytest.raises(NotFound, match="no enabled pool"):
        await allocator.assign_ip(ip_address("10.9.0.1"), handle=HandleID("net.y"), host="a", pools=[POOL])


async def test_releasing_knows_whom_it_releases() -> None:
    allocator = Allocator(MemoryStore())
    [found] = await allocator.auto_assign(handle=HandleID("net.x"), host="a", pools=[POOL])
    with pytest.raises(WrongState, match=r"held by net\.x"):
        await allocator.release_ips([Release(address=found.ip, handle=HandleID("net.y"))])
    with pytest.raises(WrongState, match="assigned anew"):
        await allocator.release_ips([Release(address=found.ip, sequence=1)])
    stranger = ip_address("10.0.0.9")
    assert await allocator.release_ips([Release(address=found.ip), Release(address=stranger)]) == (stranger,)
    with pytest.raises(NotFound):
        await allocator.release_by_handle(HandleID("net.x"))


async def test_a_tunnel_keeps_its_address_while_a_pool_has_it() -> None:
    store = MemoryStore()
    allocator = Allocator(store)
    first = await allocator.tunnel_address(host="a", pools=[POOL])
    assert await allocator.tunnel_address(host="a", pools=[POOL]) == first
    elsewhere = IPPool(metadata=Metadata(name="q"), cidr=ip_network("10.1.0.0/28"), block_size=30)
    second = await allocator.tunnel_address(host="a", pools=[elsewhere])
    assert second.ip in elsewhere.cidr
    assert [each.ip for each in await allocator.addresses_of(tunnel_handle("a"))] == [second.ip]


async def test_a_deleted_host_leaves_no_blocks_but_those_in_use() -> None:
    store = MemoryStore()
    allocator = Allocator(store)
    await allocator.tunnel_address(host="a", pools=[POOL])
    await allocator.auto_assign(handle=HandleID("net.x"), host="a", pools=[POOL], count=4)
    await allocator.release_host("a")
    assert not stored_affinities(store)
    assert {block.affinity for block in stored_blocks(store)} == {None}
    await allocator.release_by_handle(HandleID("net.x"))
    assert not stored_blocks(store), "a block without an owner goes with its last address"


async def test_a_block_that_cannot_be_read_is_left_alone() -> None:
    store = MemoryStore()
    await store.commit([Change(keys.block_key(cidr), 0, b"{}") for cidr in POOL.cidr.subnets(new_prefix=30)][:3])
    [found] = await Allocator(store).auto_assign(handle=HandleID("net.x"), host="a", pools=[POOL])
    assert str(found.network) == "10.0.0.12/30"


async def test_writers_that_are_always_late_give_up_in_the_end() -> None:
    class Busy(MemoryStore):
        async def commit(self, changes: Sequence[Change]) -> bool:
            return not changes

    with pytest.raises(Unavailable, match="100 times"):
        await Allocator(Busy()).auto_assign(handle=HandleID("net.x"), host="a", pools=[POOL])


def test_attributes_travel_with_the_address() -> None:
    store = MemoryStore()
    attributes = {"pod": "web", "namespace": "default", "node": "a"}
    now(Allocator(store).auto_assign(handle=HandleID("n.x"), host="a", pools=[POOL], attributes=attributes))
    [block] = stored_blocks(store)
    assert block.attributes == (Attribute(handle=HandleID("n.x"), secondary=attributes),)
