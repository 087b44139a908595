from dataclasses import replace
from datetime import UTC, datetime

from groundplane.cluster.picture import CertificatePicture, HostPicture, MemberPicture, Picture, PodPicture
from groundplane.cluster.provider import UnitStatus

RUNS = UnitStatus(state="running", pid=7, seconds=1.0, restarts=0, last_exit="")
HOST = HostPicture(name="a", address="192.0.2.1", up=True, units={"etcd": RUNS}, wanted_units=("etcd",))
MEMBER = MemberPicture(name="a", endpoint="https://192.0.2.1:2379", healthy=True, version="3.4.23", leader=True)
WHOLE = Picture(
    cluster="c",
    provider="lab",
    hosts=(HOST,),
    members=(MEMBER,),
    etcd_problems=(),
    certificates=(
        CertificatePicture(name="ca", path="/p/ca.pem", not_after=datetime(2126, 1, 1, tzinfo=UTC), days_left=9),
    ),
    sessions=2,
    established=2,
    pods=(PodPicture(name="web", namespace="default", host="a", ip="10.0.0.1", state="running"),),
)


def test_a_whole_cluster_is_healthy_and_keeps_its_names() -> None:
    found = WHOLE.to_json()
    assert found["healthy"] is True
    assert set(found) == {
        *("cluster", "provider", "healthy", "problems", "hosts", "etcd", "certificates", "bgp", "pods"),
    }
    assert found["etcd"] == {
        "members": 1,
        "healthy": True,
        "leader": "a",
        "version": "3.4.23",
        "endpoints": [
            {
                "name": "a",
                "endpoint": "https://192.0.2.1:2379",
                "id": "",
                "healthy": True,
                "version": "3.4.23",
                "leader": True,
                "error": "",
            }
        ],
    }
    assert found["bgp"] == {"sessions": 2, "established": 2}


def test_each_thing_that_is_wrong_is_said() -> None:
    stopped = replace(RUNS, state="waiting", last_exit="signal 9")
    broken = {
        "host a is down": replace(WHOLE, hosts=(replace(HOST, up=False),)),
        "a: etcd is waiting (last: signal 9)": replace(WHOLE, hosts=(replace(HOST, units={"etcd": stopped}),)),
        "a: etcd is missing": replace(WHOLE, hosts=(replace(HOST, units={}),)),
        "a: its agent is not in step with the store": replace(WHOLE, hosts=(replace(HOST, synced=False),)),
        "etcd has no leader": replace(WHOLE, members=(replace(MEMBER, leader=False),)),
        "1 of 2 BGP sessions are not established": replace(WHOLE, established=1),
        "pod default/web on a is exited": replace(WHOLE, pods=(replace(WHOLE.pods[0], state="exited"),)),
        "certificate ca has expired": replace(WHOLE, certificates=(replace(WHOLE.certificates[0], days_left=-1),)),
        "etcd https://192.0.2.1:2379: NOSPACE": replace(WHOLE, etcd_problems=("etcd https://192.0.2.1:2379: NOSPACE",)),
    }
    for words, picture in broken.items():
        assert picture.healthy is False, words
        assert words in picture.problems
