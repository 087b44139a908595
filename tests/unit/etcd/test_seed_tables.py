"""What etcdctl showed of the first cluster, drawn again from the same facts."""

from pathlib import Path

import pytest

from groundplane.etcd import Health, Member, MemberList, MemberStatus, tables

VECTORS = Path(__file__).parents[2] / "vectors" / "seed"
IDS = {129: 0xA962F9DC9FD134E8, 130: 0xD04E93670CA08D70, 131: 0x899FB6B223D05E4D}


def endpoint(last: int, port: int = 2379) -> str:
    return f"https://192.168.153.{last}:{port}"


def members() -> str:
    found = tuple(
        Member(id=IDS[last], name=name, peer_urls=(endpoint(last, 2380),), client_urls=(endpoint(last),))
        for name, last in (("etcd3", 131), ("etcd1", 129), ("etcd2", 130))
    )
    return tables.members_table(MemberList(cluster_id=1, member_id=IDS[129], raft_term=16, members=found))


def status() -> str:
    rows = [
        MemberStatus(
            endpoint=endpoint(last),
            cluster_id=1,
            member_id=IDS[last],
            revision=1,
            version="3.4.3",
            db_size=octets,
            db_size_in_use=octets,
            leader=IDS[131],
            raft_index=19,
            raft_term=16,
            raft_applied_index=19,
            is_learner=False,
        )
        # Whole pages of 4096: what 20 kB and 25 kB must have been.
        for last, octets in ((129, 20480), (130, 20480), (131, 24576))
    ]
    return tables.status_table(rows)


def health() -> str:
    times = ((131, 0.013633632), (130, 0.014745481), (129, 0.015673066))
    return tables.health_table([Health(endpoint=endpoint(last), healthy=True, seconds=took) for last, took in times])


@pytest.mark.parametrize(
    ("name", "drawn"), [("member-list", members()), ("endpoint-status", status()), ("endpoint-health", health())]
)
def test_the_first_clusters_tables_come_out_as_they_were_printed(name: str, drawn: str) -> None:
    assert drawn == (VECTORS / f"etcdctl-{name}.txt").read_text()
