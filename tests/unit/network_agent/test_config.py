"""The agent's configuration, and the documents it refuses as a whole."""

import json
from typing import Any

import pytest

from groundplane.errors import Invalid, Unimplemented
from groundplane.network.config import parse_config
from groundplane.network.registration import wanted_cluster, wanted_node
from groundplane.network.resource_ops import parse_all
from groundplane.network.resources import Metadata, Node, decode, encode, key_of

GOOD: dict[str, Any] = {"node": "h1", "address": "10.0.0.1/24", "etcd": {"endpoints": ["http://10.0.0.9:2379"]}}


def test_defaults_are_the_usual_places() -> None:
    config = parse_config(json.dumps(GOOD).encode(), at="agent.json")
    assert (str(config.socket), config.tls) == ("/run/groundplane/agent.sock", None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"address": "10.0.0.300"}, "address"),
        ({"node": "Host_1"}, "node"),
        ({"etcd": {"endpoints": []}}, "endpoints"),
        ({"etcd": {"endpoints": ["x"], "ca": "/ca.pem"}}, "cert"),
        ({"adress": "10.0.0.1/24"}, "adress"),
        ({"node": 3}, "node"),
    ],
)
def test_a_mistake_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_config(json.dumps(GOOD | change).encode(), at="agent.json")
    assert named in str(refused.value)


def test_a_node_keeps_what_an_operator_added() -> None:
    config = parse_config(json.dumps(GOOD).encode(), at="agent.json")
    first = wanted_node(None, name="h1", address=config.address)
    stored = decode(key_of(first), encode(first), revision=3)
    assert isinstance(stored, Node)
    labelled = Node(metadata=Metadata(name="h1", labels={"rack": "4"}), bgp=stored.bgp)
    again = wanted_node(labelled, name="h1", address=config.address)
    assert again.metadata.labels == {"rack": "4"}
    assert wanted_node(again, name="h1", address=config.address) == again
    assert wanted_cluster(guid="0" * 32).datastore_ready is True


def _pool(name: str, **spec: Any) -> dict[str, Any]:
    head = {"apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": name}}
    return {**head, "spec": {"cidr": "10.0.0.0/16", **spec}}


def test_one_bad_document_stops_all_and_vxlan_is_refused_by_its_field() -> None:
    with pytest.raises(Invalid):
        parse_all([_pool("a"), _pool("b", cidr="x")])
    with pytest.raises(Unimplemented) as refused:
        parse_all([_pool("a", vxlanMode="CrossSubnet")])
    assert "spec.vxlanMode" in str(refused.value)
    bad: object
    for bad in (None, {}, ["x"]):
        with pytest.raises(Invalid):
            parse_all(bad)


def test_what_others_refer_to_is_written_first() -> None:
    policy = {
        "apiVersion": "projectcalico.org/v3",
        "kind": "GlobalNetworkPolicy",
        "metadata": {"name": "x"},
        "spec": {"selector": "all()"},
    }
    assert [one.kind for one in parse_all([policy, _pool("a")])] == ["IPPool", "GlobalNetworkPolicy"]
