"""What a plugin call must bring."""

from typing import Any

import pytest

from groundplane.cni import parse_request
from groundplane.cni.errors import code_of, error_object
from groundplane.cni.model import InvalidConfig, VersionRefused
from groundplane.cni.request import BadEnvironment, parse_args

pytestmark = pytest.mark.unit

ENV = {"CNI_CONTAINERID": "ab12", "CNI_NETNS": "/run/netns/x", "CNI_IFNAME": "eth0", "CNI_PATH": "/opt/cni/bin"}
CONF: dict[str, Any] = {"cniVersion": "1.1.0", "name": "pods", "type": "groundplane"}


def test_all_missing_variables_are_named_at_once() -> None:
    with pytest.raises(BadEnvironment) as refused:
        parse_request("ADD", {}, CONF)
    assert all(name in str(refused.value) for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"))
    assert code_of(refused.value) == 4


def test_a_del_may_come_without_a_namespace() -> None:
    assert parse_request("DEL", ENV | {"CNI_NETNS": ""}, CONF).netns is None


@pytest.mark.parametrize("ifname", ["", ".", "..", "a/b", "a:b", "a b", "sixteen-letters0"])
def test_names_that_the_kernel_refuses_are_refused_first(ifname: str) -> None:
    with pytest.raises(BadEnvironment):
        parse_request("ADD", ENV | {"CNI_IFNAME": ifname}, CONF)


@pytest.mark.parametrize("container_id", ["-a", "../a", "a/b", "a b"])
def test_a_container_id_cannot_leave_its_directory(container_id: str) -> None:
    with pytest.raises(BadEnvironment):
        parse_request("ADD", ENV | {"CNI_CONTAINERID": container_id}, CONF)


def test_a_check_needs_the_result_of_the_add() -> None:
    with pytest.raises(InvalidConfig):
        parse_request("CHECK", ENV, CONF)


@pytest.mark.parametrize(("command", "version"), [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")])
def test_a_command_is_refused_before_the_version_that_brought_it(command: str, version: str) -> None:
    with pytest.raises(VersionRefused) as refused:
        parse_request(command, ENV, CONF | {"cniVersion": version, "prevResult": {}})
    assert error_object(refused.value, version=version)["cniVersion"] == version


def test_a_kubernetes_pod_needs_both_name_and_namespace() -> None:
    args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web"
    assert parse_request("ADD", ENV | {"CNI_ARGS": args}, CONF).pod == ("shop", "web")
    assert parse_request("ADD", ENV | {"CNI_ARGS": "K8S_POD_NAME=web"}, CONF).pod is None


def test_arguments_may_hold_equals_signs_but_need_one() -> None:
    assert parse_args("A=b=c;;D=") == {"A": "b=c", "D": ""}
    with pytest.raises(BadEnvironment):
        parse_args("nothing")
