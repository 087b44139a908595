"""Names, handles and commands of an endpoint."""

from ipaddress import ip_address
from typing import Any

import pytest

from groundplane.cni import Request, parse_request
from groundplane.errors import Invalid
from groundplane.network import attach
from groundplane.network.resources import decode, encode, key_of
from groundplane.system.netlink import PutNeighbour, PutRoute
from groundplane.system.netlink_memory import MemoryNetlink

pytestmark = pytest.mark.unit


def request(args: str = "", *, ifname: str = "eth0", container: str = "0a1b2c3d4e5f6", **conf: Any) -> Request:
    env = {"CNI_CONTAINERID": container, "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": ifname, "CNI_ARGS": args}
    return parse_request("ADD", env, {"cniVersion": "1.0.0", "name": "k8s-pod-network", **conf})


POD = "K8S_POD_NAMESPACE=default;K8S_POD_NAME=nginx"


def test_a_pods_names_are_calicos() -> None:
    plan = attach.plan(request(POD), node="node-a")
    assert plan.interface == "calic440f455693"
    assert plan.name == "node--a-k8s-nginx-eth0"
    assert plan.handle == "k8s-pod-network.0a1b2c3d4e5f6"
    assert plan.profile.name == "kns.default"


def test_a_container_that_is_no_pod_gets_the_networks_profile() -> None:
    plan = attach.plan(request(), node="n")
    assert (plan.interface, plan.namespace, plan.profile.name) == ("cali0a1b2c3d4e5", "default", "k8s-pod-network")
    assert plan.profile.ingress[0].source.selector == "has(k8s-pod-network)"


def test_a_second_interface_of_a_pod_has_a_name_of_its_own() -> None:
    first, second = attach.plan(request(POD), node="n"), attach.plan(request(POD, ifname="net1"), node="n")
    assert first.interface != second.interface
    assert first.name != second.name
    assert len(second.interface) <= 15


def test_labels_come_from_the_runtime_and_cannot_fake_the_namespace() -> None:
    labels = {"app": "web", "projectcalico.org/namespace": "kube-system"}
    plan = attach.plan(request(POD, runtimeConfig={"groundplane.dev/pod-labels": labels}), node="n")
    assert plan.labels["app"] == "web"
    assert plan.labels["projectcalico.org/namespace"] == "default"


def test_the_record_survives_the_store() -> None:
    endpoint = attach.plan(request(POD), node="n").endpoint([ip_address("10.244.0.5"), ip_address("fd00::5")])
    stored = decode(key_of(endpoint), encode(endpoint), revision=7)
    assert stored == decode(key_of(endpoint), encode(stored), revision=7)
    assert attach.same_sandbox(stored, attach.plan(request(POD), node="n"))  # type: ignore[arg-type]
    assert not attach.same_sandbox(stored, attach.plan(request(POD, container="other"), node="n"))  # type: ignore[arg-type]


def test_a_name_that_cannot_be_told_apart_is_refused() -> None:
    with pytest.raises(Invalid):
        attach.plan(request("K8S_POD_NAMESPACE=default;K8S_POD_NAME=-x"), node="n")


@pytest.mark.parametrize(
    "args", ["K8S_POD_NAMESPACE=default;K8S_POD_NAME=Walk", "K8S_POD_NAMESPACE=A.b;K8S_POD_NAME=x"]
)
def test_a_name_that_nobody_could_read_back_is_refused_before_it_is_written(args: str) -> None:
    with pytest.raises(Invalid, match="lower case"):
        attach.check_storable(attach.plan(request(args), node="n"))


def test_every_name_that_kubernetes_allows_is_taken() -> None:
    attach.check_storable(attach.plan(request("K8S_POD_NAMESPACE=kube-system;K8S_POD_NAME=a.b-c.1"), node="n-1"))


def test_the_gateway_is_a_neighbour_before_it_is_a_route() -> None:
    commands = attach.pod_side("eth0", [ip_address("10.244.0.5")])
    kinds = [type(command) for command in commands]
    assert kinds.index(PutNeighbour) < kinds.index(PutRoute)


def test_the_pods_side_may_be_done_twice() -> None:
    pod = MemoryNetlink()
    from groundplane.system.netlink import AddVeth

    pod.run(AddVeth(name="eth0", peer="x"))
    commands = attach.pod_side("eth0", [ip_address("10.244.0.5"), ip_address("fd00::5")])
    pod.run(*commands)
    before = (pod.routes(), pod.addresses("eth0"), pod.neighbours)
    pod.run(*commands)
    assert (pod.routes(), pod.addresses("eth0"), pod.neighbours) == before
    assert pod.neighbours["eth0", "169.254.1.1"] == attach.HOST_MAC
