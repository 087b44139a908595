"""Operating a real cluster: what etcdctl prints, membership, snapshots, checks before start, the unit file."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from groundplane.aio import Retry
from groundplane.errors import DeadlineExceeded, Exhausted, Unavailable, WrongState
from groundplane.etcd import Client, Op, health, render_unit, snapshot, tables
from groundplane.etcd.flag_table import FLAGS, SPELLINGS, TRIAL, Kind, spelling
from groundplane.etcd.flags import OURS
from groundplane.etcd.member import has_log, preflight, set_aside, version, wait_ready
from groundplane.etcd.plan import (
    AddLearner,
    HandOver,
    MovePeer,
    Promote,
    Remove,
    SeenMember,
    SetAside,
    Start,
    Step,
    Wait,
    WantedMember,
    next_step,
)
from tests.lab.etcd_cluster import EtcdCluster, etcdctl, until_healthy
from tests.support.authority import Authority

BINARY = Path("/usr/bin/etcd")


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[EtcdCluster]:
    found = EtcdCluster(tmp_path, net=73, flags={"pre-vote": True, "quota-backend-bytes": "16777216"})
    try:
        found.up()
        await until_healthy(found)
        yield found
    finally:
        found.down()


def cells(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines() if line.startswith("|")]


async def same_status(cluster: EtcdCluster, client: Client) -> None:
    """Ours is etcdctl's table, once the members' files have stopped growing under the comparison."""
    for _ in range(50):
        rows, _ = await health.observe_status(client)
        ours, theirs = tables.status_table(rows), etcdctl(cluster, "endpoint", "status", "-w", "table").stdout
        if ours == theirs:
            return
        await asyncio.sleep(0.1)
    assert ours == theirs


async def test_tables_are_etcdctls_own_to_the_last_space(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        await same_status(cluster, client)
        for _ in range(20):  # a member may give pages free between the two questions
            status, unreachable = await health.observe_status(client)
            assert not unreachable
            ours = json.loads(tables.status_json(status))
            theirs = json.loads(etcdctl(cluster, "endpoint", "status", "-w", "json").stdout)
            if ours == theirs:
                break
            await asyncio.sleep(0.2)
        assert ours == theirs
        # One that has not started, and does not vote.
        await Retry(within=timedelta(seconds=10))(lambda: client.member_add([f"https://{cluster.address(123)}:2380"]))
    async with cluster.client("m1") as client:
        await client.get(b"/")  # linearizable: m1 has applied the addition
        members = await client.member_list()
        listed = etcdctl(cluster, "member", "list", "-w", "table", names=["m1"]).stdout
        assert sorted(tables.members_table(members).splitlines()) == sorted(listed.splitlines())
        listed = etcdctl(cluster, "member", "list", "-w", "json", names=["m1"]).stdout
        assert json.loads(tables.members_json(members)) == json.loads(listed)
    async with cluster.client() as client:
        rows = await health.observe_health(client)
        mine, its = (
            cells(tables.health_table(rows)),
            cells(etcdctl(cluster, "endpoint", "health", "-w", "table").stdout),
        )
        assert mine[0] == its[0]
        without_times = [sorted((row[0], row[1], row[3]) for row in table[1:]) for table in (mine, its)]
        assert without_times[0] == without_times[1]
        # The times differ; with etcdctl's own put in, the whole output must be the same.
        answer = etcdctl(cluster, "endpoint", "health", "-w", "json").stdout
        theirs_table = etcdctl(cluster, "endpoint", "health", "-w", "table").stdout
        took = {row[0]: row[2] for row in cells(theirs_table)[1:]}
        same = [
            replace(next(row for row in rows if row.endpoint == endpoint), seconds=_seconds(text))
            for endpoint, text in took.items()
        ]
        assert tables.health_table(same) == theirs_table
        assert [set(one) for one in json.loads(answer)] == [set(one) for one in json.loads(tables.health_json(rows))]


def _seconds(text: str) -> float:
    factor = {"ms": 1e-3, "µs": 1e-6}.get(text[-2:])
    return float(text[:-2]) * factor if factor else float(text[:-1])


async def test_a_dead_member_is_unhealthy_to_us_as_to_etcdctl(cluster: EtcdCluster) -> None:
    cluster.kill("m2")
    async with cluster.client(timeout=timedelta(seconds=2)) as client:
        async with asyncio.timeout(20):
            while True:
                seen = await health.observe(client)
                if [row.healthy for row in seen.health] == [True, False, True]:
                    break
                await asyncio.sleep(0.1)
        theirs = etcdctl(cluster, "endpoint", "health", "-w", "json")
        assert theirs.returncode != 0
        assert {row["endpoint"]: row["health"] for row in json.loads(theirs.stdout)} == {
            row.endpoint: row.healthy for row in seen.health
        }
        assert any(cluster.endpoint("m2") in line for line in health.problems(seen))
        assert seen.peers[cluster.endpoint("m1")] <= 2


async def test_a_whole_cluster_has_no_problem_and_all_are_connected(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        seen = await health.observe(client)
    assert seen.peers == dict.fromkeys(cluster.endpoints, 2)
    assert health.problems(seen) == ()


async def fill(client: Client) -> None:
    for number in range(40):
        await client.put(b"/fill", bytes([number]) * 1_000_000)


async def test_a_full_database_is_unhealthy_until_there_is_room_and_the_alarm_is_cleared(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        with pytest.raises(Exhausted, match="database space exceeded"):
            await fill(client)
        [row] = {row.error for row in await health.observe_health(client)}
        assert row == "Active Alarm(s): NOSPACE"
        await same_status(cluster, client)
        now = (await client.get_prefix(b"/nothing")).revision
        await client.compact(now, physical=True)
        for endpoint in client.endpoints:
            await client.defragment(endpoint)
        for member, alarm in await client.alarms():
            await client.disarm(member, alarm)
        await client.put(b"/fill", b"")
        assert all(found.healthy for found in await health.observe_health(client))


async def test_a_snapshot_is_whole_private_and_restorable(cluster: EtcdCluster, tmp_path: Path) -> None:
    async with cluster.client() as client:
        await client.transact([], [Op.put(f"/s/{number}".encode(), b"x" * 5000) for number in range(100)])
        path = tmp_path / "backup.db"
        saved = await snapshot.save(client, cluster.endpoint("m2"), path)
        assert (path.stat().st_size, path.stat().st_mode & 0o777) == (saved.size, 0o600)
        assert json.loads(etcdctl(cluster, "snapshot", "status", str(path), "-w", "json").stdout)["totalKey"] >= 100
        restored = etcdctl(cluster, "snapshot", "restore", str(path), f"--data-dir={tmp_path / 'restored'}")
        assert restored.returncode == 0, restored.stderr
        hashes = {endpoint: await client.hash_kv(endpoint, revision=2) for endpoint in client.endpoints}
        assert len(set(hashes.values())) == 1
        gone = f"https://{cluster.address(9)}:2379"
        with pytest.raises(Unavailable):
            async with Client([gone], tls=cluster.tls) as nowhere:
                await snapshot.save(nowhere, gone, tmp_path / "other.db")
    left = await asyncio.to_thread(lambda: [path.name for path in tmp_path.glob("*db*")])
    assert left == ["backup.db"]


class Operator:
    """Carries the plan's steps out on a real cluster, looking anew before each."""

    def __init__(self, cluster: EtcdCluster, wanted: list[str]) -> None:
        self.cluster, self.wanted = cluster, wanted
        self.taken: list[str] = []

    async def settle(self) -> None:
        async with self.cluster.client(*self.cluster.running) as client, asyncio.timeout(100):
            while (step := next_step(await self.look(client), self.wishes())) is not None:
                self.taken.append(type(step).__name__)
                await self.carry_out(client, step)

    async def look(self, client: Client) -> list[SeenMember]:
        found = []
        leader = {row.leader for row in (await health.observe_status(client))[0]}
        for member in (await client.member_list()).members:
            healthy = False
            if member.name in self.cluster.running and member.client_urls:
                async with self.cluster.client(member.name) as one:
                    status = (await health.observe_status(one))[0]
                healthy = bool(status) and (status[0].is_learner or not status[0].errors)
            seen = SeenMember(
                id=member.id,
                name=member.name,
                peer_url=member.peer_urls[0],
                learner=member.is_learner,
                healthy=healthy,
                leader=member.id in leader,
            )
            found.append(seen)
        return found

    def wishes(self) -> list[WantedMember]:
        return [
            WantedMember(name=name, peer_url=self.cluster.peer_url(name), blank=not has_log(self.cluster.spec(name)))
            for name in self.wanted
        ]

    async def carry_out(self, client: Client, step: Step) -> None:
        """Refusals are not handled one by one: the next look tells what has come of them."""
        try:
            async with asyncio.timeout(20):
                await (self.on_host(step) or self.on_cluster(client, step))
        except (Unavailable, DeadlineExceeded, WrongState):
            await asyncio.sleep(0.1)  # no leader yet, connected for less than 5 s, not caught up

    def on_host(self, step: Step) -> Awaitable[object] | None:
        match step:
            case SetAside(name=name):
                return asyncio.to_thread(set_aside, self.cluster.spec(name), suffix=".old")
            case Start(name=name) if name in self.cluster.running:
                return asyncio.sleep(0.1)
            case Start(name=name, peers=peers):
                spec = self.cluster.spec(name, peers=dict(peers), state="existing")
                return asyncio.to_thread(self.cluster.start, name, spec=spec)
            case Wait():
                return asyncio.sleep(0.2)
            case _:
                return None

    async def on_cluster(self, client: Client, step: Step) -> None:
        match step:
            case Remove(id=number):
                await client.member_remove(number)
            case AddLearner(peer_url=url):
                await client.member_add([url])
            case Promote(id=number):
                await client.member_promote(number)
            case HandOver(to=number):
                rows, _ = await health.observe_status(client)
                leader = next(row.endpoint for row in rows if row.leader == row.member_id)
                await client.move_leader(leader, number)
            case MovePeer(id=number, peer_url=url):
                await client.member_update(number, [url])


async def test_a_dead_member_is_replaced_and_one_that_lost_its_data_joins_anew(cluster: EtcdCluster) -> None:
    async with cluster.client() as client:
        await client.put(b"/kept", b"1")
    cluster.addresses["m4"] = cluster.address(4)
    cluster.kill("m1")
    operator = Operator(cluster, ["m2", "m3", "m4"])
    await operator.settle()
    once = list(dict.fromkeys(step for step in operator.taken if step != "Wait"))
    assert once == ["Remove", "AddLearner", "Start", "Promote"]
    async with cluster.client("m4") as client:
        await wait_ready(client, client.endpoints[0], within=timedelta(seconds=10))
        found = await client.get(b"/kept")
        assert found is not None
        assert sorted(member.name for member in (await client.member_list()).members) == ["m2", "m3", "m4"]

    # The host of m3 loses its disk; the removed m1 then comes back with its old data, in m2's place.
    cluster.kill("m3")
    set_aside(cluster.spec("m3"), suffix=".lost")
    operator = Operator(cluster, ["m1", "m3", "m4"])
    await operator.settle()
    assert "SetAside" in operator.taken
    async with cluster.client("m1", "m3", "m4") as client:
        assert sorted(member.name for member in (await client.member_list()).members) == ["m1", "m3", "m4"]
        assert (await client.get(b"/kept")) is not None
        async with asyncio.timeout(20):
            while health.problems(await health.observe(client)):  # noqa: ASYNC110 - as an operator would
                await asyncio.sleep(0.1)


async def test_a_certificate_without_client_auth_is_found_before_start_and_by_its_peers_after(tmp_path: Path) -> None:
    cluster = EtcdCluster(tmp_path, net=74)
    # All else equal, m3 gets a certificate that its peers will refuse when it dials them.
    authority = Authority()
    addresses = ["127.0.0.1", *cluster.addresses.values()]
    good = authority.issue(addresses)
    bad = authority.issue(addresses, usages=[ExtendedKeyUsageOID.SERVER_AUTH])
    cluster.tls.ca.write_bytes(authority.pem())
    for path, data in ((cluster.tls.cert, good[0]), (cluster.tls.key, good[1])):
        path.write_bytes(data)
    one_way = replace(cluster.spec("m3"), cert=tmp_path / "bad.pem", key=tmp_path / "bad-key.pem")
    for path, data in ((one_way.cert, bad[0]), (one_way.key, bad[1])):
        path.write_bytes(data)
        path.chmod(0o600)
    assert not [p for p in preflight(cluster.spec("m1")) if p.fatal]
    assert [p.happened for p in preflight(one_way) if p.fatal] == ["lacks the usage client auth"]
    try:
        cluster.start("m1")
        cluster.start("m2")
        cluster.start("m3", spec=one_way)
        await until_healthy(cluster)
        async with cluster.client() as client, asyncio.timeout(20):
            while True:
                seen = await health.observe(client)
                if seen.peers.get(cluster.endpoint("m1")) == 2:
                    break
                await asyncio.sleep(0.1)
        assert all(row.healthy for row in seen.health), "etcd's own health does not see it"
        assert health.problems(seen) == (f"{cluster.endpoint('m3')}: is connected to 0 of 2 peers",)
    finally:
        cluster.down()


def test_the_flag_table_is_what_this_etcd_accepts_and_refuses() -> None:
    installed = version(BINARY)
    sample = {Kind.SWITCH: "true", Kind.NUMBER: "7", Kind.DURATION: "7s", Kind.TEXT: "http://127.0.0.1:1"}
    for name, flag in FLAGS.items():
        for spelled in {name, TRIAL + name} & SPELLINGS:
            said = subprocess.run(
                [str(BINARY), f"--{spelled}={sample[flag.kind]}", "--version"],
                capture_output=True,
                text=True,
                check=False,
            )
            accepted = "provided but not defined" not in said.stderr
            assert accepted == (spelling(name, installed) == spelled), (spelled, said.stderr[:200])
    for name in OURS:
        said = subprocess.run([str(BINARY), f"--{name}=true", "--version"], capture_output=True, text=True, check=False)
        assert "provided but not defined" not in said.stderr


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    spec = EtcdCluster(tmp_path, net=75, flags={"cors": "https://a b;c'd\"e%f$g\\h"}).spec("m1")
    unit = tmp_path / "etcd.service"
    unit.write_text(render_unit(spec))
    said = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in (said.stdout + said.stderr).splitlines() if "etcd.service" in line]
    assert (said.returncode, ours) == (0, [])
