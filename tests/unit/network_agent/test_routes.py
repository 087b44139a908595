"""The agent's routes: only its own are touched, and the difference is all that is done."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.network.calc.model import Endpoint
from groundplane.network.dataplane.routes import PROTOCOL, diff, to_bring_up, workload_routes
from groundplane.system.netlink import AddVeth, Link, PutRoute, Route, SetLink
from groundplane.system.netlink_memory import MemoryNetlink

pytestmark = pytest.mark.unit

routes = st.builds(
    Route,
    destination=st.integers(0, 5).map(lambda n: ip_network(f"10.0.0.{n}/32")),
    interface=st.sampled_from(["cali1", "cali2"]),
    protocol=st.sampled_from([PROTOCOL, 12, 4]),
)
tables = st.lists(routes, max_size=6, unique_by=lambda route: route.destination).map(tuple)


def kernel(have: tuple[Route, ...]) -> MemoryNetlink:
    host = MemoryNetlink()
    host.run(AddVeth(name="cali1", peer="cali2"), SetLink(name="cali1", up=True), SetLink(name="cali2", up=True))
    host.run(*(PutRoute(route=route) for route in have))
    return host


@given(have=tables, want=tables.map(lambda all_: tuple(route for route in all_ if route.protocol == PROTOCOL)))
def test_after_the_difference_our_routes_are_the_wanted_ones(have: tuple[Route, ...], want: tuple[Route, ...]) -> None:
    host = kernel(have)
    host.run(*diff(have, want))
    ours = {route for route in host.routes() if route.protocol == PROTOCOL}
    assert ours == set(want)
    assert diff(host.routes(), want) == ()


@given(have=tables)
def test_routes_of_others_are_left_alone(have: tuple[Route, ...]) -> None:
    host = kernel(have)
    host.run(*diff(have, ()))
    assert set(host.routes()) == {route for route in have if route.protocol != PROTOCOL}


def test_a_workload_is_routed_only_while_its_interface_is_up() -> None:
    endpoint = Endpoint(interface="cali1", addresses=(ip_address("10.0.0.5"),))
    down, up = Link(index=2, name="cali1"), Link(index=2, name="cali1", up=True)
    assert workload_routes([endpoint], [down]) == ()
    assert to_bring_up([endpoint], [down]) == (SetLink(name="cali1", up=True),)
    assert to_bring_up([endpoint], [up]) == ()
    assert [route.interface for route in workload_routes([endpoint], [up])] == ["cali1"]
