import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.network import resources
from groundplane.network.resources import (
    Direction,
    GlobalNetworkPolicy,
    IPPool,
    NetworkPolicy,
    Node,
    Resource,
    ResourceKey,
    WorkloadEndpoint,
    decode,
    encode,
    etcd_key,
    key_of,
    parse,
    parse_etcd_key,
    pod_interface,
    to_json,
    workload_endpoint_name,
)

AT = "network.yaml document 2"


def doc(kind: str, spec: Mapping[str, Any] | None = None, name: str = "x", **metadata: Any) -> dict[str, object]:
    return {
        "apiVersion": "projectcalico.org/v3",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec or {},
    }


def pool(**spec: Any) -> Resource:
    return parse(doc("IPPool", {"cidr": "10.244.0.0/16", **spec}), at=AT)


def policy(kind: str = "GlobalNetworkPolicy", **spec: Any) -> Resource:
    return parse(doc(kind, spec), at=AT)


def rule(**fields: Any) -> Resource:
    return policy(ingress=[{"action": "Allow", **fields}])


def refusal(call: Any) -> str:
    with pytest.raises(Invalid) as failed:
        call()
    return str(failed.value)


WEP = {
    "node": "node-1",
    "orchestrator": "k8s",
    "pod": "web-0",
    "endpoint": "eth0",
    "containerID": "abc",
    "ipNetworks": ["10.244.0.5/32"],
    "profiles": ["kns.default"],
    "interfaceName": "cali12345",
    "mac": "EE:EE:EE:EE:EE:EE",
    "ports": [{"name": "http", "protocol": "TCP", "port": 80}],
}
EXAMPLES: list[dict[str, object]] = [
    doc("IPPool", {"cidr": "10.244.0.0/16", "ipipMode": "Always", "natOutgoing": True}),
    doc("IPPool", {"cidr": "fd00::/48", "disabled": True, "disableBGPExport": True, "assignmentMode": "Manual"}),
    doc("IPPool", {"cidr": "10.0.0.0/24", "allowedUses": ["LoadBalancer"], "blockSize": 32}),
    doc("Node", {"bgp": {"ipv4Address": "192.168.1.5/24", "asNumber": "1.10", "ipv4IPIPTunnelAddr": "10.244.0.1"}}),
    doc(
        "Node",
        {"addresses": [{"address": "192.168.1.5/24", "type": "CalicoNodeIP"}], "orchRefs": [{"orchestrator": "k8s"}]},
    ),
    doc("WorkloadEndpoint", WEP, "node--1-k8s-web--0-eth0", namespace="default", generateName="web-"),
    doc("Profile", {"ingress": [{"action": "Allow"}], "labelsToApply": {"pcns.a": "b"}}, "kns.default"),
    doc("Tier", {"order": 10, "defaultAction": "Pass"}, "security"),
    doc("Tier", {"order": 1000000}, "default"),
    doc("NetworkSet", {"nets": ["10.0.0.0/8", "1.2.3.4", "fd00::/8"]}, labels={"role": "db"}),
    doc("GlobalNetworkSet", {}),
    doc("ClusterInformation", {"clusterGUID": "0" * 32, "datastoreReady": False}, "default"),
    doc("BGPConfiguration", {"asNumber": 64513, "nodeToNodeMeshEnabled": False, "bindMode": "NodeIP"}, "default"),
    doc(
        "NetworkPolicy",
        {
            "tier": "security",
            "order": 1.5,
            "selector": "app == 'x'",
            "ingress": [
                {
                    "action": "Deny",
                    "protocol": "tcp",
                    "source": {
                        "namespaceSelector": "global()",
                        "notPorts": [1, "5:7"],
                        "serviceAccounts": {"names": ["s"]},
                    },
                    "destination": {"ports": ["http", 80, "90"], "nets": ["10.0.0.0/8"]},
                    "metadata": {"annotations": {"why": "x"}},
                }
            ],
            "egress": [
                {"action": "Log", "protocol": "ICMP", "icmp": {"type": 8}, "notICMP": {"type": 8, "code": 0}},
                {"action": "Pass", "ipVersion": 6, "notProtocol": 99},
            ],
        },
    ),
    doc("GlobalNetworkPolicy", {"namespaceSelector": "a == 'b'", "types": ["Egress"], "applyOnForward": True}, "t.x"),
]


@pytest.mark.parametrize("document", EXAMPLES, ids=lambda document: str(document["kind"]))
def test_what_is_written_reads_as_the_same(document: dict[str, object]) -> None:
    resource = parse(document, at=AT)
    assert parse(to_json(resource), at=AT) == resource
    assert json.loads(json.dumps(to_json(resource))) == to_json(resource)
    key = key_of(resource)
    assert parse_etcd_key(etcd_key(key)) == key
    stored = decode(key, encode(resource), revision=7)
    assert stored == replace(resource, metadata=replace(resource.metadata, resource_version="7"))


def test_defaults_are_filled_in() -> None:
    found = pool()
    assert isinstance(found, IPPool)
    assert to_json(found)["spec"] == {
        "cidr": "10.244.0.0/16",
        "vxlanMode": "Never",
        "ipipMode": "Never",
        "blockSize": 26,
        "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    }
    six = parse(doc("IPPool", {"cidr": "fd00::/48"}), at=AT)
    assert isinstance(six, IPPool)
    assert six.block_size == 122


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ["Ingress"]),
        ({"ingress": [{"action": "Allow"}]}, ["Ingress"]),
        ({"egress": [{"action": "Allow"}]}, ["Egress"]),
        ({"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}, ["Ingress", "Egress"]),
        ({"types": ["Egress"]}, ["Egress"]),
    ],
)
def test_a_policys_types_follow_from_its_rules(spec: dict[str, Any], types: list[str]) -> None:
    found = policy(**spec)
    assert isinstance(found, GlobalNetworkPolicy)
    assert found.types == tuple(Direction(each) for each in types)
    assert found.tier == "default"
    assert found.metadata.labels == {"projectcalico.org/tier": "default"}


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pool(cird="x"), "spec.cird: there is no such field; did you mean cidr?"),
        (lambda: pool(cidr="10.244.0.1/16"), "spec.cidr: 10.244.0.1/16 has bits of a host; write 10.244.0.0/16"),
        (lambda: pool(cidr="hello"), "spec.cidr: 'hello' is not an address or a CIDR"),
        (lambda: pool(cidr=None), "spec.cidr: is required"),
        (lambda: pool(cidr="169.254.0.0/17"), "link-local"),
        (lambda: pool(cidr="10.0.0.0/27"), "smaller than one block"),
        (lambda: pool(blockSize=33), "spec.blockSize: 33 is not between 20 and 32"),
        (lambda: pool(ipipMode="always"), "did you mean Always?"),
        (lambda: pool(ipipMode="Always", vxlanMode="Always"), "one way only"),
        (lambda: pool(cidr="fd00::/64", ipipMode="Always"), "IPv4 only"),
        (lambda: pool(natOutgoing="yes"), "must be true or false, not 'yes'"),
        (lambda: pool(nodeSelector="a ="), "spec.nodeSelector: the selector is not valid at column"),
        (lambda: pool(nodeSelector="global()"), "global() says nothing about nodes"),
        (lambda: pool(namespaceSelector="a == 'b'"), "tunnels are in no namespace"),
        (lambda: pool(allowedUses=["LoadBalancer", "Tunnel"]), "cannot be combined"),
        (lambda: parse(doc("IPPol"), at=AT), "did you mean IPPool?"),
        (lambda: parse({"kind": "IPPool"}, at=AT), f"{AT}: apiVersion: is required"),
        (lambda: parse(doc("IPPool") | {"apiVersion": "v1"}, at=AT), "use projectcalico.org/v3"),
        (lambda: parse(doc("IPPool") | {"sepc": {}}, at=AT), "did you mean spec?"),
        (lambda: parse(doc("IPPool", name="A_b"), at=AT), "is not a name"),
        (lambda: parse(doc("IPPool", namespace="x"), at=AT), "not in a namespace"),
        (lambda: parse(doc("IPPool", labels={"a b": "c"}), at=AT), "is not a label's key"),
        (lambda: parse(doc("IPPool", labels={"a": "c d"}), at=AT), "metadata.labels.a"),
        (lambda: parse(doc("Node", {"bgp": {}}), at=AT), "spec.bgp: is empty"),
        (lambda: parse(doc("Node", {"bgp": {"asNumber": "1.99999"}}), at=AT), "is not an AS number"),
        (lambda: parse(doc("Tier", {"order": 5}, "default"), at=AT), "tier default is built in"),
        (lambda: parse(doc("Tier", name="a.b"), at=AT), "is not a label"),
        (lambda: parse(doc("ClusterInformation", name="x"), at=AT), "called default"),
        (lambda: parse(doc("NetworkSet", labels={"projectcalico.org/namespace": "x"}), at=AT), "not for users"),
        (lambda: parse(doc("NetworkPolicy", name="a.b.c"), at=AT), "not the name of a policy"),
        (lambda: policy(selector="global()"), "global() is for namespaceSelector"),
        (lambda: policy(namespaceSelector="global() && has(a)"), "must stand alone"),
        (lambda: policy(preDNAT=True), "spec.preDNAT: polices host endpoints"),
        (lambda: policy(types=["Egress"], ingress=[{"action": "Allow"}]), "types leaves Ingress out"),
        (lambda: policy(types=["Egress", "Egress"]), "names the same twice"),
        (lambda: policy(order=float("inf")), "must be finite"),
        (lambda: policy(ingress=[{}]), "spec.ingress[0].action: is required"),
        (lambda: policy(ingress=[{"action": "allow"}]), "is not one of Allow, Deny, Pass, Log"),
        (lambda: policy(ingress=[{"action": "Allow"}] * 1025), "at most 1024"),
        (lambda: policy("Profile", ingress=[{"action": "Pass"}]), "nothing comes after a profile"),
        (lambda: rule(http={"methods": ["GET"]}), "rules on HTTP are not enforced"),
        (lambda: rule(source={"services": {"name": "x"}}), "spec.ingress[0].source.services: services are not known"),
        (lambda: rule(protocol="TPC"), "is not a protocol"),
        (lambda: rule(protocol=256), "is not a protocol"),
        (lambda: rule(destination={"ports": [80]}), "ports need protocol TCP, UDP or SCTP"),
        (lambda: rule(protocol="ICMP", destination={"ports": ["http"]}), "this protocol has no ports"),
        (lambda: rule(protocol="TCP", source={"ports": ["9:5"]}), 'write "5:9"'),
        (lambda: rule(protocol="TCP", source={"ports": ["5:x"]}), "is not a range of ports"),
        (lambda: rule(protocol="TCP", source={"ports": [65536]}), "source.ports[0]: 65536 is not between"),
        (lambda: rule(protocol="TCP", source={"ports": ["a b"]}), "is not the name of a port"),
        (lambda: rule(protocol="TCP", icmp={"type": 8}), "icmp needs protocol ICMP"),
        (lambda: rule(protocol="ICMP", icmp={"code": 8}), "a code needs its type"),
        (lambda: rule(protocol="ICMP", ipVersion=6), "not of IPv6"),
        (lambda: rule(ipVersion=5), "5 is not 4 or 6"),
        (lambda: rule(source={"nets": ["10.0.0.0/8"]}, destination={"nets": ["fd00::/8"]}), "IPv4 and IPv6 are mixed"),
        (lambda: rule(source={"nets": ["fd00::/8"]}, ipVersion=4), "IPv4 and IPv6 are mixed"),
        (lambda: rule(source={"notNets": ["0.0.0.0/0"]}), "excludes every address"),
        (lambda: rule(source={"selector": "global()"}), "global() is for namespaceSelector"),
        (lambda: rule(source="x"), "spec.ingress[0].source: must be a mapping, not 'x'"),
        (lambda: parse(doc("WorkloadEndpoint", WEP, "other"), at=AT), "name it node--1-k8s-web--0-eth0"),
        (lambda: parse(doc("WorkloadEndpoint", WEP | {"ipNetworks": ["10.0.0.0/31"]}), at=AT), "more than one address"),
    ],
)
def test_a_refusal_says_what_where_and_how_to_mend_it(call: Any, words: str) -> None:
    text = refusal(call)
    assert words in text
    assert text.startswith(AT) or "node--1" in text


def test_endpoints_are_named_by_their_orchestrator() -> None:
    def name(**segments: str) -> str:
        return workload_endpoint_name(**segments)

    assert name(node="node-1", orchestrator="k8s", pod="web-0", endpoint="eth0") == "node--1-k8s-web--0-eth0"
    assert name(node="n1", orchestrator="cni", container_id="abc", endpoint="eth0") == "n1-cni-abc-eth0"
    assert name(node="n1", orchestrator="libnetwork", endpoint="e") == "n1-libnetwork-libnetwork-e"
    assert name(node="n1", orchestrator="foo-orch", workload="wl", endpoint="eth0") == "n1-foo--orch-wl-eth0"
    assert "neither begin nor end with -" in refusal(lambda: name(node="-n", orchestrator="k8s", pod="p", endpoint="e"))


def test_interfaces_are_named_as_calico_names_them() -> None:
    assert pod_interface("default", "nginx") == "calic440f455693"
    assert pod_interface("kube-system", "coredns-abc") == "cali3d5d6ab04b5"


def test_keys_are_calicos() -> None:
    base = "/calico/resources/v3/projectcalico.org"
    assert etcd_key(ResourceKey("IPPool", "a")).decode() == f"{base}/ippools/a"
    assert etcd_key(ResourceKey("NetworkPolicy", "a", "ns")).decode() == f"{base}/networkpolicies/ns/a"
    assert parse_etcd_key(f"{base}/felixconfigurations/default".encode()) is None
    assert parse_etcd_key(f"{base}/ippools/a/b".encode()) is None
    assert parse_etcd_key(f"{base}/networkpolicies/a".encode()) is None
    assert parse_etcd_key(b"\xff") is None
    for plural in ("clusterinformations", "workloadendpoints", "globalnetworkpolicies", "bgpconfigurations"):
        assert resources.kind_named(plural).plural == plural


def test_a_policys_name_is_kept_in_an_annotation() -> None:
    found = parse(doc("NetworkPolicy", {}, "default.x", annotations={"a": "b"}), at=AT)
    stored = json.loads(encode(found))
    assert json.loads(stored["metadata"]["annotations"]["projectcalico.org/metadata"]) == {"name": "default.x"}
    read = decode(key_of(found), encode(found), revision=1)
    assert read.name == "default.x"
    assert read.metadata.annotations == {"a": "b"}


def test_a_policy_of_an_older_calico_loses_the_tier_before_its_name() -> None:
    value = json.dumps(doc("NetworkPolicy", {}, "default.x", namespace="ns")).encode()
    read = decode(ResourceKey("NetworkPolicy", "default.x", "ns"), value, revision=1)
    assert isinstance(read, NetworkPolicy)
    assert read.name == "x"


def test_fields_of_newer_writers_are_passed_over_but_never_in_a_policy() -> None:
    value = json.dumps(doc("Node", {"bgp": {"ipv4Address": "10.0.0.1/24", "new": 1}, "wireguard": {}})).encode()
    read = decode(ResourceKey("Node", "x"), value, revision=3)
    assert isinstance(read, Node)
    assert str(read.address(4)) == "10.0.0.1"
    value = json.dumps(doc("GlobalNetworkPolicy", {"ingress": [{"action": "Allow", "when": "never"}]})).encode()
    assert "when" in refusal(lambda: decode(ResourceKey("GlobalNetworkPolicy", "x"), value, revision=3))


def test_a_value_under_another_kinds_key_is_refused() -> None:
    value = encode(pool())
    assert "is of IPPool x" in refusal(lambda: decode(ResourceKey("Node", "x"), value, revision=1))


def test_a_yaml_timestamp_is_a_text_again() -> None:
    found = parse(doc("IPPool", {"cidr": "10.0.0.0/16"}, creationTimestamp=datetime(2026, 1, 2, tzinfo=UTC)), at=AT)
    assert found.metadata.creation_timestamp == "2026-01-02T00:00:00Z"


def test_an_endpoint_gives_its_addresses() -> None:
    found = parse(doc("WorkloadEndpoint", WEP, "node--1-k8s-web--0-eth0"), at=AT)
    assert isinstance(found, WorkloadEndpoint)
    assert [str(each) for each in found.addresses] == ["10.244.0.5"]
    assert found.mac == "ee:ee:ee:ee:ee:ee"
    assert found.namespace == "default"


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["10.0.0.0/8", "TCP"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)
PATHS = st.sampled_from(EXAMPLES)


@given(PATHS, st.data())
def test_only_invalid_escapes_whatever_is_put_in_a_field(document: dict[str, Any], data: st.DataObject) -> None:
    changed = json.loads(json.dumps(document))
    place: Any = changed
    while isinstance(place, dict | list) and place:
        step = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[step], dict | list) or not place[step] or data.draw(st.integers(0, 3)) == 0:
            place[step] = data.draw(VALUES)
            break
        place = place[step]
    try:
        resource = parse(changed, at=AT)
    except Invalid:
        return
    assert parse(to_json(resource), at=AT) == resource


@given(st.binary() | VALUES.map(lambda value: json.dumps(value).encode()))
def test_only_invalid_escapes_whatever_is_stored(value: bytes) -> None:
    for kind in resources.KINDS.values():
        with pytest.raises(Invalid):
            decode(ResourceKey(kind.name, "x", "ns" if kind.namespaced else ""), value, revision=1)
