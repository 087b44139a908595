"""The client against a real three-member cluster: keys, transactions, leases, and members that die, freeze or lag."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from groundplane.errors import DeadlineExceeded, Invalid, NotFound, Unavailable
from groundplane.etcd import Client, Compacted, Compare, EventBatch, Op, TLSFiles
from tests.lab.etcd_cluster import EtcdCluster, until_healthy
from tests.support.authority import Authority


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    found = EtcdCluster(tmp_path, net=71, flags={"pre-vote": True, "max-request-bytes": "8388608"})
    try:
        found.up()
        await until_healthy(found)
        yield found
    finally:
        found.down()


async def test_keys_transactions_and_leases_do_what_etcd_promises(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        assert await client.get(b"/a") is None
        revision = await client.put(b"/a", b"1")
        found = await client.get(b"/a")
        assert found is not None
        assert (found.value, found.mod_revision, found.create_revision, found.version) == (b"1", revision, revision, 1)

        won = await client.transact([Compare.mod_revision(b"/a", "=", revision)], [Op.put(b"/a", b"2"), Op.get(b"/a")])
        assert won.succeeded
        assert won.responses[1].kvs[0].value == b"2"
        lost = await client.transact(
            [Compare.mod_revision(b"/a", "=", revision)], [Op.put(b"/a", b"3")], [Op.get(b"/a")]
        )
        assert not lost.succeeded
        assert lost.responses[0].kvs[0].mod_revision == won.revision
        assert not await client.delete(b"/a", mod_revision=revision)
        assert await client.delete(b"/a", mod_revision=won.revision)
        assert not await client.delete(b"/a")
        assert (await client.transact([Compare.version(b"/a", "=", 0)], [Op.put(b"/a", b"4")])).succeeded

        lease = await client.lease_grant(timedelta(seconds=29.4))  # at least as long: rounded up
        assert await client.lease_keep_alive(lease) == 30
        await client.put(b"/leased", b"x", lease=lease)
        assert 25 <= await client.lease_keep_alive(lease) <= 30
        assert 25 <= await client.lease_time_to_live(lease) <= 30
        await client.lease_revoke(lease)
        assert await client.get(b"/leased") is None
        assert await client.lease_keep_alive(lease) == 0
        assert await client.lease_time_to_live(lease) == -1
        with pytest.raises(NotFound, match="requested lease not found"):
            await client.lease_revoke(lease)
        with pytest.raises(Invalid, match="key is not provided"):
            await client.put(b"", b"")


async def test_one_of_many_writers_wins_each_round(cluster: EtcdCluster) -> None:
    async def add(client: Client) -> None:
        for _ in range(10):
            while True:
                now = await client.get(b"/n")
                count, revision = (int(now.value), now.mod_revision) if now else (0, 0)
                change = [Op.put(b"/n", str(count + 1).encode())]
                if (await client.transact([Compare.mod_revision(b"/n", "=", revision)], change)).succeeded:
                    break

    async with cluster.client("m1") as one, cluster.client("m2") as two, cluster.client("m3") as three:
        async with asyncio.TaskGroup() as group:
            for client in (one, two, three):
                group.create_task(add(client))
        found = await one.get(b"/n")
        assert found is not None
        assert (found.value, found.version) == (b"30", 30)


async def test_a_prefix_is_read_whole_at_one_revision_however_large_its_values(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        for number in range(12):
            await client.put(f"/big/{number:02}".encode(), bytes([number]) * 7_000_000)
        await client.put(b"/big0", b"beyond the prefix")
        found = await client.get_prefix(b"/big/")
        assert [kv.key for kv in found.kvs] == [f"/big/{number:02}".encode() for number in range(12)]
        assert all(len(kv.value) == 7_000_000 for kv in found.kvs)
        await client.delete_prefix(b"/big/")
        assert (await client.get_prefix(b"/big/", revision=found.revision - 6)).revision == found.revision - 6
        assert (await client.get_prefix(b"/big/")).kvs == ()
        await client.compact(found.revision)
        with pytest.raises(Compacted):
            await client.get_prefix(b"/big/", revision=found.revision - 1)


async def grown(items: list[tuple[int, bytes]], by: int, changed: asyncio.Event) -> None:
    """Wait until a list is longer by this many, however slow the disk that its filling waits for."""
    wanted = len(items) + by
    while len(items) < wanted:
        changed.clear()
        await changed.wait()


@pytest.mark.parametrize(("how", "members"), [(signal.SIGKILL, "m1 m2 m3"), (signal.SIGTERM, "m1 m2")])
async def test_a_watch_loses_and_doubles_nothing_while_each_member_ends_in_turn(
    how: signal.Signals, members: str, cluster: EtcdCluster
) -> None:
    seen: list[tuple[int, bytes]] = []
    written: list[tuple[int, bytes]] = []
    done, wrote = asyncio.Event(), asyncio.Event()

    async def follow(watcher: Client, start: int) -> None:
        async for batch in watcher.watch(b"/w/", from_revision=start):
            assert [event.kv.mod_revision for event in batch.events][-1] == batch.revision
            seen.extend((event.kv.mod_revision, event.kv.key) for event in batch.events)
            if batch.events[-1].kv.key == b"/w/end":
                return

    async def write(writer: Client) -> None:
        number = 0
        while not done.is_set():
            number += 1
            keys = [f"/w/{number}/{part}".encode() for part in "ab"]
            # A failed transaction may have been carried out; only comparing afterwards tells.
            while True:
                try:
                    result = await writer.transact(
                        [Compare.version(keys[0], "=", 0)], [Op.put(key, b"x") for key in keys], [Op.get(keys[0])]
                    )
                except (Unavailable, DeadlineExceeded):
                    await asyncio.sleep(0.02)
                    continue
                break
            revision = result.revision if result.succeeded else result.responses[0].kvs[0].mod_revision
            written.extend((revision, key) for key in keys)
            wrote.set()
            await asyncio.sleep(0.002)
        written.append((await writer.put(b"/w/end", b""), b"/w/end"))

    async with cluster.client() as watcher, cluster.client("m2", "m3", "m1") as writer:
        start = await writer.put(b"/start", b"") + 1
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            group.create_task(follow(watcher, start))
            group.create_task(write(writer))
            for name in members.split():
                await grown(written, 60, wrote)
                await asyncio.to_thread(cluster.kill, name, how)
                await grown(written, 60, wrote)
                await asyncio.to_thread(cluster.start, name)
                await until_healthy(cluster)
            done.set()
    assert len(written) > 200
    assert seen == written


async def test_a_watch_from_now_begins_where_it_was_made_even_if_that_member_dies_at_once(
    cluster: EtcdCluster,
) -> None:
    async with cluster.client() as watcher, cluster.client("m2", "m3") as writer:
        stream = watcher.watch(b"/now/", from_revision=0)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.3)
        await asyncio.to_thread(cluster.kill, "m1")
        async with asyncio.timeout(30):
            while True:
                try:
                    revision = await writer.put(b"/now/1", b"")
                    break
                except (Unavailable, DeadlineExceeded):
                    await asyncio.sleep(0.05)
            batch = await first
        assert (batch.revision, [event.kv.key for event in batch.events]) == (revision, [b"/now/1"])


async def test_a_watch_gets_large_changes_in_whole_revisions(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        start = await client.put(b"/start", b"") + 1
        wanted = []
        for number in range(4):
            keys = [f"/large/{number}/{part}".encode() for part in range(3)]
            result = await client.transact([], [Op.put(key, bytes(2_500_000)) for key in keys])
            wanted += [(result.revision, key) for key in keys]
        got: list[EventBatch] = []
        async with asyncio.timeout(30):
            async for batch in client.watch(b"/large/", from_revision=start):
                got.append(batch)
                if batch.revision == wanted[-1][0]:
                    break
        assert [(event.kv.mod_revision, event.kv.key) for batch in got for event in batch.events] == wanted
        assert all(len(batch.events) % 3 == 0 for batch in got)


async def test_a_watch_of_what_was_compacted_away_says_so(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        first = await client.put(b"/c", b"1")
        last = await client.put(b"/c", b"2")
        await client.compact(last)
        with pytest.raises(Compacted) as caught:
            await anext(aiter(client.watch(b"/c", from_revision=first)))
        assert caught.value.revision == last


async def test_a_frozen_member_costs_one_read_half_its_time_and_the_next_nothing(cluster: EtcdCluster) -> None:
    async with cluster.client(timeout=timedelta(seconds=2)) as client:
        await client.put(b"/f", b"1")
        loop = asyncio.get_running_loop()
        asked = cluster.running[list(cluster.addresses)[client._preferred]].pid  # a slow one was left for the next
        os.kill(asked, signal.SIGSTOP)
        try:
            began = loop.time()
            for _ in range(20):
                await asyncio.wait_for(client.get(b"/f", serializable=True), 2)
            assert 0.9 < loop.time() - began < 1.8
        finally:
            os.kill(asked, signal.SIGCONT)


async def test_dead_members_are_passed_over_by_writes_too_and_all_dead_is_unavailable(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        await client.put(b"/d", b"1")
        cluster.kill("m1", signal.SIGTERM)
        for _ in range(5):
            try:
                await client.put(b"/d", b"2")
            except Unavailable:
                await asyncio.sleep(0.3)  # it hung on the connection that broke: not known whether it was carried out
        await client.put(b"/d", b"3")
        cluster.down()
        with pytest.raises(Unavailable, match="cannot connect: connection refused"):
            await client.get(b"/d")


async def test_a_link_with_four_hundred_milliseconds_a_round_trip_is_slow_but_works(
    cluster: EtcdCluster, slow_link: Callable[[str], Awaitable[str]]
) -> None:
    endpoint = await slow_link(cluster.addresses["m1"])
    async with Client([endpoint], tls=cluster.tls) as client:
        assert await client.put(b"/slow", b"1") > 0


@pytest.fixture
async def slow_link() -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """A forwarder to an address' client port that holds everything back for 200 ms, each way."""
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    writers: list[asyncio.StreamWriter] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                loop.call_later(0.2, writer.write, data)
        except OSError:
            pass  # the client has closed: the end of this link
        writer.close()

    async def make(address: str) -> str:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            beyond, to_beyond = await asyncio.open_connection(address, 2379)
            writers.extend((writer, to_beyond))
            await asyncio.gather(forward(reader, to_beyond), forward(beyond, writer))

        servers.append(await asyncio.start_server(connected, "127.0.0.1", 0))
        return f"https://127.0.0.1:{servers[0].sockets[0].getsockname()[1]}"

    yield make
    for writer in writers:
        writer.close()
    for server in servers:
        server.close()
    await asyncio.sleep(0.3)


async def test_new_certificates_are_taken_up_without_a_new_client(cluster: EtcdCluster, tmp_path: Path) -> None:
    own = TLSFiles(ca=cluster.tls.ca, cert=tmp_path / "c.pem", key=tmp_path / "c-key.pem")
    stranger, key = Authority("stranger").issue([])
    own.cert.write_bytes(stranger)
    own.key.write_bytes(key)
    async with Client(cluster.endpoints, tls=own) as client:
        with pytest.raises(Unavailable):
            await client.get(b"/x")
        own.cert.write_bytes(cluster.tls.cert.read_bytes())
        own.key.write_bytes(cluster.tls.key.read_bytes())
        await asyncio.sleep(1.1)  # files are looked at once a second
        assert await client.get(b"/x") is None
