import re
import shlex
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cluster import document
from groundplane.cluster.wanted import member
from groundplane.errors import Invalid
from groundplane.etcd import MemberSpec, check_extra_flags, render_flags, render_unit
from groundplane.etcd.flag_table import FLAGS, SPELLINGS, TRIAL, Kind, spelling
from groundplane.etcd.flags import OURS, for_version
from groundplane.etcd.unit import quote

SEED = Path(__file__).parents[2] / "vectors" / "seed" / "etcd1.service"
EXAMPLE = Path(__file__).parents[3] / "examples" / "seed.yaml"
HOSTS = {"etcd1": "192.168.153.129", "etcd2": "192.168.153.130", "etcd3": "192.168.153.131"}


def spec(
    *,
    flags: dict[str, str | bool] | None = None,
    plain: bool = False,
    peers: dict[str, str] | None = None,
    token: str = "etcd-cluster-0",
    data_dir: Path = Path("/opt/etcd/data"),
) -> MemberSpec:
    return MemberSpec(
        name="etcd1",
        address=IPv4Address("192.168.153.129"),
        peers=peers or {name: f"https://{address}:2380" for name, address in HOSTS.items()},
        token=token,
        data_dir=data_dir,
        wal_dir=Path("/opt/etcd/wal"),
        cert=Path("/opt/etcd/cert/etcd.pem"),
        key=Path("/opt/etcd/cert/etcd-key.pem"),
        ca=Path("/opt/ca/ca.pem"),
        flags=flags or {},
        plain_loopback=plain,
    )


SEED_FLAGS: dict[str, str | bool] = {
    "auto-compaction-mode": "periodic",
    "auto-compaction-retention": "1",
    "max-request-bytes": "33554432",
    "quota-backend-bytes": "6442450944",
    "heartbeat-interval": "3000",
    "election-timeout": "15000",
}


def entries(unit: str) -> dict[str, list[str]]:
    """A unit file's settings, continuation lines joined."""
    found: dict[str, list[str]] = {}
    for line in re.sub(r"\\\n", " ", unit).splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found


def test_the_seeds_flags_are_reproduced_exactly_and_in_its_order() -> None:
    [command] = entries(SEED.read_text())["ExecStart"]
    assert list(render_flags(spec(flags=SEED_FLAGS, plain=True))) == shlex.split(command)[1:]


def test_the_example_of_the_first_cluster_starts_every_member_as_its_unit_did() -> None:
    [command] = entries(SEED.read_text())["ExecStart"]
    found = document.load(EXAMPLE)
    assert {host.name: str(host.address.ip) for host in found.hosts} == HOSTS
    for host in found.hosts:
        mine = re.sub(r"(?<!etcd1=)https://192\.168\.153\.129:", f"https://{host.address.ip}:", command)
        mine = mine.replace("--name=etcd1", f"--name={host.name}")
        assert list(render_flags(member(found, host))) == shlex.split(mine)[1:]


def test_the_seeds_unit_is_reproduced_but_for_what_was_wrong_in_it() -> None:
    ours = entries(render_unit(spec(flags=SEED_FLAGS, plain=True), binary=Path("/opt/etcd/etcd")))
    seeds = entries(SEED.read_text())
    assert shlex.split(ours.pop("ExecStart")[0]) == shlex.split(seeds.pop("ExecStart")[0])
    # The first of three would else be killed while it waits for the others.
    assert ours.pop("TimeoutStartSec") == ["infinity"]
    assert (ours.pop("Documentation"), seeds.pop("Documentation")) == (
        ["https://etcd.io/docs"],
        ["https://github.com/coreos"],
    )
    assert ours == seeds


def test_the_built_in_cluster_has_no_listener_without_tls() -> None:
    flags = render_flags(spec(flags={"pre-vote": True}))
    assert "--listen-client-urls=https://192.168.153.129:2379" in flags
    assert "--pre-vote" in flags
    assert not any("http://" in flag for flag in flags)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"hartbeat-interval": "100"}, "did you mean 'heartbeat-interval'"),
        ({"name": "x"}, "set by groundplane"),
        ({"trusted-ca-file": "/x"}, "set by groundplane"),
        ({"force-new-cluster": True}, "throws every other member out"),
        ({"discovery-srv": "example.net"}, "is said by hosts"),
        ({"discovery": "https://example.net"}, "is said by hosts"),
        ({"heartbeat-interval": "300"}, "less than five heartbeats"),
        ({"heartbeat-interval": "20000", "election-timeout": "100000"}, "more than etcd allows"),
        ({"election-timeout": True}, "True is not what this flag takes; give a number"),
        ({"election-timeout": "1s"}, "give a number"),
        ({"pre-vote": "yes"}, "give true or false"),
        ({"grpc-keepalive-timeout": "20"}, "give a duration"),
        ({"log-level": "a\nb"}, "control character"),
        ({"log-level": "a\x7f"}, "control character"),
        ({"cors": ""}, "empty"),
        ({"corrupt-check-time": "1h", "experimental-corrupt-check-time": "2h"}, "both its names"),
        ({"listen-metrics-urls": "http://0.0.0.0:2381"}, "anybody in the network"),
        ({"listen-metrics-urls": "http://10.0.0.1:2381,http://127.0.0.1:2381"}, "anybody in the network"),
        ({"listen-metrics-urls": "http://metrics:2381"}, "not a URL of an IP address"),
        ({"listen-metrics-urls": "http://127.0.0.1"}, "with a port"),
        ({"listen-metrics-urls": "http://127.0.0.1:x"}, "not a URL"),
    ],
)
def test_what_may_not_stand_in_a_cluster_file_is_refused_with_its_place(
    flags: dict[str, str | bool], words: str
) -> None:
    with pytest.raises(Invalid, match=re.escape(words)) as caught:
        check_extra_flags(flags, at="cluster.yaml:7: etcd.flags")
    assert str(caught.value).startswith("cluster.yaml:7: etcd.flags.")


def test_what_may_stand_there_does() -> None:
    check_extra_flags(SEED_FLAGS, at="x")
    check_extra_flags(
        {
            "pre-vote": True,
            "strict-reconfig-check": False,
            "grpc-keepalive-interval": "1h30m",
            "quota-backend-bytes": "-1",
            "listen-metrics-urls": "http://127.0.0.1:2381,https://10.0.0.1:2381,http://[::1]:2381",
            "experimental-corrupt-check-time": "0",
        },
        at="x",
    )


@given(st.sampled_from(sorted(SPELLINGS)), st.integers(0, 3), st.integers(0, 40))
def test_each_version_spells_a_flag_one_way_whichever_way_it_was_written(name: str, minor: int, patch: int) -> None:
    version = (3, 4 + minor, patch)
    plain = name.removeprefix(TRIAL)
    found = spelling(name, version)
    assert found == spelling(plain, version)
    assert found is None or (found in SPELLINGS and found.removeprefix(TRIAL) == plain)
    if found is not None:
        assert for_version({name: True}, version, at="x") == {found: True}


@pytest.mark.parametrize(
    ("name", "version", "wanted"),
    [
        ("corrupt-check-time", (3, 4, 23), "experimental-corrupt-check-time"),
        ("experimental-corrupt-check-time", (3, 6, 0), "corrupt-check-time"),
        ("experimental-initial-corrupt-check", (3, 6, 1), "experimental-initial-corrupt-check"),
        ("backend-bbolt-freelist-type", (3, 5, 0), "backend-bbolt-freelist-type"),
        ("listen-client-http-urls", (3, 4, 23), None),
        ("listen-client-http-urls", (3, 4, 25), "listen-client-http-urls"),
        ("enable-v2", (3, 6, 0), None),
    ],
)
def test_flags_are_spelled_as_the_version_wants_them(
    name: str, version: tuple[int, int, int], wanted: str | None
) -> None:
    assert spelling(name, version) == wanted


def test_a_flag_that_became_a_feature_gate_says_which() -> None:
    with pytest.raises(Invalid, match="feature-gates with InitialCorruptCheck=true"):
        for_version({"initial-corrupt-check": True}, (3, 7, 0), at="etcd.flags")


def test_no_flag_is_both_ours_and_theirs_and_gates_are_switches() -> None:
    assert not OURS & SPELLINGS
    assert all(flag.kind is Kind.SWITCH for flag in FLAGS.values() if flag.gate)
    assert all(flag.since or flag.gate for flag in FLAGS.values())


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"peers": {"etcd2": "https://192.0.2.1:2380"}}, "not among the peers"),
        ({"peers": {"etcd1": "https://192.0.2.1:2380", "etcd2": "https://192.0.2.1:2380"}}, "two members"),
        ({"token": "a,b"}, "token"),
        ({"token": ""}, "token"),
        ({"peers": {"etcd1": "https://192.0.2.1:2380,x=https://192.0.2.2:2380"}}, "initial-cluster"),
    ],
)
def test_a_member_that_etcd_would_misread_is_refused(bad: dict[str, object], words: str) -> None:
    with pytest.raises(Invalid, match=words):
        render_flags(spec(**bad))  # type: ignore[arg-type] # each case names its own parameter


def unquoted(word: str) -> str:
    """What systemd makes of a quoted word: systemd.syntax(7), then specifiers, then variables."""
    if word.startswith('"'):
        assert word.endswith('"')
        word = word[1:-1]
    word = re.sub(r"\\(.)", r"\1", word)
    return word.replace("%%", "%").replace("$$", "$")


@given(st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1))
def test_systemd_reads_back_every_word_as_it_was(word: str) -> None:
    assert unquoted(quote(word)) == word
    assert "\n" not in quote(word)


def test_a_unit_with_odd_paths_stays_one_command() -> None:
    text = render_unit(spec(data_dir=Path("/opt/e t%c d$X")))
    [command] = entries(text)["ExecStart"]
    assert '"--data-dir=/opt/e t%%c d$$X"' in command
    assert entries(text)["WorkingDirectory"] == ["/opt/e t%%c d$X"]
    with pytest.raises(Invalid):
        render_unit(spec(data_dir=Path("/opt/a\nExecStartPre=/bin/sh")))
