"""Addresses and resources over a real etcd: one plain member on loopback, several hosts' allocators at once."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network
from pathlib import Path

import pytest

from groundplane.errors import Exists, Invalid, WrongState
from groundplane.etcd import Client
from groundplane.network.datastore import Batch, BlockLost, BlockOwned, Changed, Datastore, Removed
from groundplane.network.ipam import Allocator, EtcdStore, HandleID, Interface, keys
from groundplane.network.resources import (
    IPPool,
    NetworkPolicy,
    Node,
    Profile,
    ResourceKey,
    Tier,
    namespace_profile,
    parse,
)

pytestmark = pytest.mark.lab
V3 = "projectcalico.org/v3"


def document(kind: str, name: str, spec: dict[str, object], **metadata: object) -> dict[str, object]:
    return {"apiVersion": V3, "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


def make_pool(cidr: str = "10.244.0.0/24", size: int = 28) -> IPPool:
    found = parse(document("IPPool", "pool", {"cidr": cidr, "blockSize": size}), at="test")
    assert isinstance(found, IPPool)
    return found


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(count):
            taken = stack.enter_context(socket.socket())
            taken.bind(("127.0.0.1", 0))
            found.append(taken.getsockname()[1])
        return found


def healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return bool(json.load(answer).get("health") == "true")
    except OSError:
        return False


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
    argv = ["etcd", "--name", "one", "--data-dir", str(tmp_path / "data"), "--log-level", "error"]
    argv += ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
    argv += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"one={peer}"]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            end = time.monotonic() + 20
            while not healthy(client):
                assert time.monotonic() < end, "etcd does not serve"
                assert process.poll() is None, "etcd has ended"
                time.sleep(0.02)  # etcd tells nobody when it serves
            yield client
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.fixture
async def client(etcd: str) -> AsyncIterator[Client]:
    async with Client([etcd], tls=None) as found:
        yield found


async def test_many_allocators_at_once_give_no_address_twice(etcd: str) -> None:
    pool = make_pool()
    hosts = [f"h{n}" for n in range(6)]

    async def host(name: str) -> list[Interface]:
        async with Client([etcd], tls=None) as client:
            allocator = Allocator(EtcdStore(client))
            found: list[Interface] = []
            for n in range(20):
                found += await allocator.auto_assign(handle=HandleID(f"net.{name}-{n}"), host=name, pools=[pool])
            for n in range(0, 20, 2):
                await allocator.release_by_handle(HandleID(f"net.{name}-{n}"))
            for n in range(0, 20, 2):
                found += await allocator.auto_assign(handle=HandleID(f"net.{name}-{n}"), host=name, pools=[pool])
            return found

    began = time.monotonic()
    await asyncio.gather(*map(host, hosts))
    print(f"{len(hosts)} hosts, {len(hosts) * 40} writes: {time.monotonic() - began:.2f} s")  # noqa: T201 - a figure
    async with Client([etcd], tls=None) as client:
        allocator = Allocator(EtcdStore(client))
        held = [
            address.ip
            for name in hosts
            for n in range(20)
            for address in await allocator.addresses_of(HandleID(f"net.{name}-{n}"))
        ]
        assert len(held) == len(set(held)) == 120
        assert sum(block.cidr.num_addresses - block.free for block in await allocator.blocks()) == 120
        for name in hosts:
            owned = await allocator.blocks_of(name)
            assert {block.cidr for block in await allocator.blocks() if block.owned_by(name)} == set(owned)


async def test_hosts_that_share_one_block_take_turns(etcd: str) -> None:
    pool = make_pool("10.0.0.0/26", 26)

    async def one(n: int) -> Interface:
        async with Client([etcd], tls=None) as client:
            found = await Allocator(EtcdStore(client)).auto_assign(
                handle=HandleID(f"net.{n}"), host=f"h{n}", pools=[pool]
            )
            return found[0]

    found = await asyncio.gather(*map(one, range(12)))
    assert len({each.ip for each in found}) == 12


async def test_the_stored_keys_are_calicos(client: Client) -> None:
    allocator = Allocator(EtcdStore(client))
    [found] = await allocator.auto_assign(
        handle=HandleID("net.c1"), host="etcd1", pools=[make_pool()], attributes={"pod": "web"}
    )
    tree = {kv.key.decode(): json.loads(kv.value) for kv in (await client.get_prefix(b"/calico/")).kvs}
    block = str(found.network)
    dashed = block.replace("/", "-")
    assert set(tree) == {
        f"/calico/ipam/v2/assignment/ipv4/block/{dashed}",
        f"/calico/ipam/v2/host/etcd1/ipv4/block/{dashed}",
        "/calico/ipam/v2/handle/net.c1",
    }
    assert tree["/calico/ipam/v2/handle/net.c1"] == {"block": {block: 1}, "deleted": False}
    assert tree[f"/calico/ipam/v2/host/etcd1/ipv4/block/{dashed}"] == {"state": "confirmed", "deleted": False}
    assert tree[f"/calico/ipam/v2/assignment/ipv4/block/{dashed}"]["affinity"] == "host:etcd1"


async def test_resources_are_created_updated_and_deleted_by_revision(client: Client) -> None:
    store = Datastore(client)
    made = await store.create(make_pool())
    assert made.metadata.uid
    assert await store.get(IPPool, "pool") == made
    with pytest.raises(Exists):
        await store.create(make_pool())
    changed = parse(document("IPPool", "pool", {"cidr": "10.244.0.0/24", "blockSize": 28, "natOutgoing": True}), at="t")
    assert isinstance(changed, IPPool)
    with pytest.raises(Invalid, match="read it first"):
        await store.update(changed)
    applied = await store.apply(changed)
    assert applied.metadata.uid == made.metadata.uid
    assert (await store.apply(changed)).metadata.resource_version == applied.metadata.resource_version
    with pytest.raises(WrongState, match="somebody else"):
        await store.update(made)
    with pytest.raises(WrongState, match="somebody else"):
        await store.delete(IPPool, "pool", revision=made.metadata.resource_version)
    assert await store.delete(IPPool, "pool", revision=applied.metadata.resource_version)
    assert not await store.delete(IPPool, "pool")
    assert await store.get(IPPool, "pool") is None


async def test_what_is_built_in_is_there_and_stays(client: Client) -> None:
    store = Datastore(client)
    await store.ensure_tiers()
    await store.ensure_tiers()
    assert [tier.name for tier in await store.list(Tier)] == ["default", "kube-admin", "kube-baseline"]
    assert [profile.name for profile in await store.list(Profile)] == ["projectcalico-default-allow"]
    with pytest.raises(WrongState, match="built in"):
        await store.delete(Tier, "default")
    with pytest.raises(WrongState, match="built in"):
        await store.delete(Profile, "projectcalico-default-allow")


async def test_lists_are_of_one_namespace_or_of_all_and_pass_over_what_is_damaged(client: Client) -> None:
    store = Datastore(client)
    for namespace in ("a", "ab"):
        found = parse(document("NetworkPolicy", "p", {}, namespace=namespace), at="t")
        assert isinstance(found, NetworkPolicy)
        await store.create(found)
    await client.put(b"/calico/resources/v3/projectcalico.org/networkpolicies/a/bad", b"{")
    assert [each.namespace for each in await store.list(NetworkPolicy, namespace="a")] == ["a"]
    assert [each.namespace for each in await store.list(NetworkPolicy)] == ["a", "ab"]


async def test_a_watch_begins_with_everything_and_goes_on_with_changes(client: Client) -> None:
    store, allocator = Datastore(client), Allocator(EtcdStore(client))
    await store.create(make_pool())
    watch = store.watch_all()
    first = await anext(watch)
    assert first.fresh
    assert [event.key for event in first.events if isinstance(event, Changed)] == [ResourceKey("IPPool", "pool")]

    async def next_batch() -> Batch:
        async with asyncio.timeout(10):
            return await anext(watch)

    profile = await store.create(namespace_profile("default"))
    batch = await next_batch()
    assert batch.events == (Changed(ResourceKey("Profile", "kns.default"), profile),)
    assert str(batch.revision) == profile.metadata.resource_version
    [address] = await allocator.auto_assign(handle=HandleID("net.x"), host="a", pools=[make_pool()])
    assert (await next_batch()).events == (BlockOwned(address.network, "a"),)
    await allocator.release_by_handle(HandleID("net.x"))
    await allocator.give_up_block("a", address.network)
    assert (await next_batch()).events == (BlockLost(address.network, "a"),)
    await client.put(b"/calico/resources/v3/projectcalico.org/profiles/kns.default", b"damaged")
    assert (await next_batch()).events == (Removed(ResourceKey("Profile", "kns.default")),)
    await watch.aclose()  # type: ignore[attr-defined] # an async generator, to be closed before its client


async def test_a_watch_begins_anew_when_the_past_is_compacted(client: Client) -> None:
    store = Datastore(client)
    old = await store.snapshot()
    made = await store.create(make_pool())
    await client.put(b"/calico/other", b"")
    await client.compact(int(made.metadata.resource_version) + 1)
    watch = store.watch_all(snapshot=old)
    async with asyncio.timeout(10):
        batch = await anext(watch)
    assert batch.fresh
    assert [event.key for event in batch.events if isinstance(event, Changed)] == [ResourceKey("IPPool", "pool")]
    await watch.aclose()  # type: ignore[attr-defined] # as above


async def test_a_node_with_its_address_comes_back(client: Client) -> None:
    store = Datastore(client)
    found = parse(document("Node", "etcd1", {"bgp": {"ipv4Address": "192.168.153.129/24"}}), at="t")
    assert isinstance(found, Node)
    await store.create(found)
    read = await store.get(Node, "etcd1")
    assert read is not None
    assert str(read.interface(4)) == "192.168.153.129/24"
    assert await client.get(keys.CONFIG_KEY.encode()) is None


async def test_addressing_takes_few_round_trips(client: Client) -> None:
    allocator = Allocator(EtcdStore(client))
    pool = make_pool("10.0.0.0/16", 26)
    await allocator.auto_assign(handle=HandleID("net.first"), host="a", pools=[pool])
    began = time.monotonic()
    for n in range(50):
        await allocator.auto_assign(handle=HandleID(f"net.{n}"), host="a", pools=[pool])
    each = (time.monotonic() - began) / 50
    print(f"auto_assign: {each * 1000:.1f} ms")  # noqa: T201 - a figure
    assert ip_network("10.0.0.0/16").num_addresses > 50
    assert each < 0.2
