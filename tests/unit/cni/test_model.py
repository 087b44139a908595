"""Results by version, network configurations, and what both refuse."""

from ipaddress import ip_interface, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cni import VERSIONS, Interface, IPConfig, NetConf, Result, Route
from groundplane.cni.model import InvalidConfig, VersionRefused

pytestmark = pytest.mark.unit

addresses = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(ip_interface)
results = st.builds(
    Result,
    ips=st.lists(
        st.builds(IPConfig, address=addresses, interface=st.one_of(st.none(), st.integers(0, 3))), max_size=3
    ).map(tuple),
    interfaces=st.lists(
        st.builds(
            Interface,
            name=st.text("abc0", min_size=1, max_size=8),
            mac=st.just("ee:ee:ee:ee:ee:ee"),
            sandbox=st.sampled_from(["", "/run/netns/a"]),
            mtu=st.integers(0, 9000),
        ),
        max_size=3,
    ).map(tuple),
    routes=st.lists(st.builds(Route, dst=st.just(ip_network("0.0.0.0/0")), priority=st.integers(0, 9)), max_size=2).map(
        tuple
    ),
)


@given(result=results)
def test_the_newest_version_carries_a_result_without_loss(result: Result) -> None:
    assert Result.parse(result.to_json("1.1.0")) == result


@given(result=results, version=st.sampled_from(VERSIONS))
def test_every_version_keeps_addresses_and_can_be_read_again(result: Result, version: str) -> None:
    document = result.to_json(version)
    assert Result.parse(document).ips == result.ips
    assert document["cniVersion"] == version


def test_the_version_of_an_address_is_told_only_before_1_0_0() -> None:
    result = Result(ips=(IPConfig(address=ip_interface("10.1.2.3/32")),))
    assert result.to_json("0.4.0")["ips"] == [{"version": "4", "address": "10.1.2.3/32"}]
    assert result.to_json("1.0.0")["ips"] == [{"address": "10.1.2.3/32"}]


def test_an_interfaces_mtu_is_told_only_from_1_1_0() -> None:
    result = Result(interfaces=(Interface(name="eth0", mtu=1400),))
    assert result.to_json("1.0.0")["interfaces"] == [{"name": "eth0"}]
    assert result.to_json("1.1.0")["interfaces"] == [{"name": "eth0", "mtu": 1400}]


@pytest.mark.parametrize("version", ["", "0.2.0", "2.0.0", "1.1"])
def test_a_version_that_is_not_spoken_is_refused(version: str) -> None:
    with pytest.raises(VersionRefused):
        NetConf.parse({"name": "pods", "cniVersion": version})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "../pods"}, "name"),
        ({"name": 3}, "name"),
        ({"mtu": -1}, "mtu"),
        ({"mtu": True}, "mtu"),
        ({"ipam": []}, "ipam"),
        ({"ipam": {"assign_ipv4": "maybe"}}, "assign_ipv4"),
        ({"ipam": {"ipv4_pools": "10.0.0.0/8"}}, "ipv4_pools"),
        ({"prevResult": {"ips": [{"address": "x"}]}}, "ips[0].address"),
        ({"cni.dev/valid-attachments": {}}, "valid-attachments"),
    ],
)
def test_a_bad_configuration_is_refused_and_the_field_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        NetConf.parse({"name": "pods", "cniVersion": "1.0.0", **change})
    assert field in str(refused.value)


def test_calicos_way_of_writing_flags_is_read() -> None:
    conf = NetConf.parse(
        {"name": "pods", "cniVersion": "1.0.0", "ipam": {"assign_ipv4": "false", "assign_ipv6": "true"}}
    )
    assert (conf.assign_ipv4, conf.assign_ipv6) == (False, True)
