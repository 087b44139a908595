from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.cluster import document, wanted, yaml_tree
from groundplane.cluster.model import Cluster, InputFile, Role
from groundplane.errors import GroundplaneError, Invalid

FOLDER = document.BUILTIN.parent


def read(name: str) -> InputFile:
    return InputFile(source=name, data=yaml_tree.read(FOLDER / name))


def parse(change: Callable[[str], str] = lambda text: text) -> Cluster:
    return document.parse(change(document.BUILTIN.read_text()).encode(), source="c.yaml", read=read)


def test_the_built_in_cluster_is_the_seeds() -> None:
    cluster = parse()
    assert [(host.name, str(host.address)) for host in cluster.hosts] == [
        ("etcd1", "192.168.153.129/24"),
        ("etcd2", "192.168.153.130/24"),
        ("etcd3", "192.168.153.131/24"),
    ]
    assert all(host.roles == frozenset(Role) for host in cluster.hosts)
    assert cluster.etcd.flags["pre-vote"] is True
    assert "heartbeat-interval" not in cluster.etcd.flags
    assert cluster.etcd.plain_loopback is False


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("name: etcd2,", "name: etcd1,", "hosts[1].name: a second host named 'etcd1'"),
        ("192.168.153.130", "192.168.153.129", "is also the address of etcd1"),
        ("192.168.153.130", "192.168.153.255", "not a host's address"),
        ("192.168.153.130", "169.254.1.1", "cannot be a host's address"),
        ("192.168.153.130", "192.168.153.300", "is not an IPv4 address"),
        ("192.168.153.130", "192.168.153.130/16", "overlaps 192.168.153.0/24 of etcd1"),
        ("[etcd, node]}", "[etdc]}", "did you mean 'etcd'"),
        ("handler: crun", "handler: rnuc", "did you mean 'runc'"),
        ("kind: Cluster", "kind: Kluster", "did you mean 'Cluster'"),
        ("groundplane/v1", "groundplane/v2", "apiVersion"),
        ("provider: lab", "provider: cloud", "use one of: lab, ssh"),
        ("host: etcd1,", "host: nowhere,", "is not a host with the role node"),
        ("name: api", "name: web", "a second pod default/web"),
        ("name: seed", "name: Seed_1", "is not a cluster name"),
        ("profile: etcd", "profile: master2", "there is no profile 'master2'"),
        ("quota-backend-bytes", "quota-backend-byte", "did you mean 'quota-backend-bytes'"),
        ("token: etcd-cluster-0", "token: 'a b'", "etcd: token"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(old: str, new: str, words: str) -> None:
    with pytest.raises(GroundplaneError) as refused:
        parse(lambda text: text.replace(old, new, 1))
    assert words in str(refused.value)
    assert str(refused.value).startswith("c.yaml:")


def test_a_request_that_lacks_a_members_address_is_refused() -> None:
    with pytest.raises(Invalid, match=r"etcd-csr.json: `hosts` lacks 192\.168\.153\.140, the address of etcd2"):
        parse(lambda text: text.replace("192.168.153.130", "192.168.153.140"))


@given(cut=st.integers(0, 1500), insert=st.text(max_size=8))
@settings(max_examples=60, deadline=None)
def test_only_our_own_errors_escape(cut: int, insert: str) -> None:
    text = document.BUILTIN.read_text()
    try:
        document.parse((text[:cut] + insert + text[cut:]).encode(), source="c.yaml", read=read)
    except GroundplaneError:
        pass  # what a parser may raise


def test_the_same_cluster_gives_the_same_bytes() -> None:
    cluster, again = parse(), parse()
    for host in cluster.hosts:
        assert wanted.files(cluster, host, cni_executable="x", bird_first="y") == wanted.files(
            again, host, cni_executable="x", bird_first="y"
        )
        assert wanted.etcd_unit(cluster, host, ca=b"1") == wanted.etcd_unit(again, host, ca=b"1")
        assert wanted.etcd_unit(cluster, host, ca=b"1") != wanted.etcd_unit(cluster, host, ca=b"2")


def test_a_host_asks_its_own_member_first() -> None:
    cluster = parse()
    config = wanted.agent_config(cluster, cluster.hosts[1])
    etcd = config["etcd"]
    assert isinstance(etcd, dict)
    assert etcd["endpoints"][0] == "https://192.168.153.130:2379"
    assert len(etcd["endpoints"]) == 3


def test_the_name_is_found_even_if_the_rest_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("metadata: {name: mine}\nnonsense: [1]\n")
    assert document.load_name(path) == "mine"
