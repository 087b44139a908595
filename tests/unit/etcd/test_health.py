from groundplane.errors import Unavailable
from groundplane.etcd import Health, MemberStatus
from groundplane.etcd.health import Observed, active_peers, problems

URLS = [f"https://10.0.0.{number}:2379" for number in (1, 2, 3)]


def row(url: str, **fields: object) -> MemberStatus:
    values = {
        "endpoint": url,
        "cluster_id": 1,
        "member_id": 2,
        "revision": 3,
        "version": "3.4.23",
        "db_size": 1,
        "db_size_in_use": 1,
        "leader": 2,
        "raft_index": 5000,
        "raft_term": 2,
        "raft_applied_index": 5000,
        "is_learner": False,
        **fields,
    }
    return MemberStatus(**values)  # type: ignore[arg-type] # the fields of a case


def seen(*rows: MemberStatus, peers: dict[str, int] | None = None) -> Observed:
    return Observed(
        health=tuple(Health(endpoint=url, healthy=True, seconds=0.01) for url in URLS),
        status=rows or tuple(row(url) for url in URLS),
        unreachable={},
        peers=dict.fromkeys(URLS, 2) if peers is None else peers,
    )


def test_a_whole_cluster_has_no_problem() -> None:
    assert problems(seen()) == ()


def test_a_member_its_peers_cannot_dial_is_found_though_it_answers() -> None:
    assert problems(seen(peers={URLS[0]: 2, URLS[1]: 0, URLS[2]: 2})) == (f"{URLS[1]}: is connected to 0 of 2 peers",)


def test_what_members_disagree_on_is_found() -> None:
    found = problems(
        seen(
            row(URLS[0]),
            row(URLS[1], cluster_id=9, leader=7, is_learner=True),
            row(URLS[2], leader=0, errors=("etcdserver: no leader",), raft_applied_index=1),
        )
    )
    assert found == (
        f"{URLS[1]}: is a learner still",
        f"{URLS[2]}: etcdserver: no leader",
        f"members of different clusters: {URLS[0]} 1, {URLS[1]} 9, {URLS[2]} 1",
        "members name different leaders: 2, 7",
        f"{URLS[2]}: is 4999 entries behind",
    )


def test_a_dead_member_is_told_of_once() -> None:
    failed = Unavailable("cannot connect: connection refused", to=URLS[2])
    found = Observed(
        health=(
            *seen().health[:2],
            Health(endpoint=URLS[2], healthy=False, seconds=0.1, error="cannot connect: connection refused"),
        ),
        status=seen().status[:2],
        unreachable={URLS[2]: failed},
        peers={},
    )
    assert problems(found) == (str(failed),)


def test_active_peers_are_counted_from_metrics() -> None:
    text = (
        "# TYPE etcd_network_active_peers gauge\n"
        'etcd_network_active_peers{Local="a",Remote="b"} 1\n'
        'etcd_network_active_peers{Local="a",Remote="c"} 0\n'
        'etcd_network_known_peers{Local="a",Remote="b"} 1\n'
    )
    assert active_peers(text) == 1
    assert active_peers("") == 0
