"""rtnetlink, the kernel's and the one in memory: the same commands, the same outcome."""

import errno
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest

from groundplane.system import netlink, netns
from groundplane.system.netlink import (
    AddAddress,
    AddVeth,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    Netlink,
    PutNeighbour,
    PutRoute,
    Refused,
    Route,
    SetLink,
)
from groundplane.system.netlink_memory import MemoryNetlink


@pytest.fixture(params=["kernel", "memory"])
def links(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Netlink]:
    if request.param == "memory":
        yield MemoryNetlink()
        return
    netns.create(tmp_path / "ns")
    try:
        with netlink.open_in(tmp_path / "ns") as kernel:
            yield kernel
    finally:
        netns.unpin(tmp_path / "ns")


def wired(links: Netlink) -> Netlink:
    links.run(AddVeth(name="a", peer="b", mac="ee:ee:ee:ee:ee:ee", mtu=1400))
    links.run(SetLink(name="a", up=True), SetLink(name="b", up=True))
    return links


ROUTE = Route(destination=ip_network("10.1.2.3/32"), interface="a", protocol=80)
HOLE = Route(destination=ip_network("10.9.0.0/26"), protocol=80)
VIA = Route(
    destination=ip_network("10.8.0.0/26"), interface="a", gateway=ip_address("10.0.0.9"), on_link=True, protocol=80
)


def ours(links: Netlink) -> set[Route]:
    return {route for route in links.routes() if route.protocol == 80}


def test_links_are_made_found_and_removed(links: Netlink) -> None:
    link = wired(links).link("a")
    assert link is not None
    assert (link.name, link.mac, link.mtu, link.up) == ("a", "ee:ee:ee:ee:ee:ee", 1400, True)
    assert links.link("none") is None
    with pytest.raises(Refused) as refused:
        links.run(AddVeth(name="a", peer="c"))
    assert refused.value.code == errno.EEXIST
    links.run(DeleteLink(name="a"), DeleteLink(name="a"))
    assert links.link("a") is None


def test_addresses_may_be_put_and_taken_twice(links: Netlink) -> None:
    address = ip_interface("10.0.0.1/32")
    wired(links)
    for _ in range(2):
        links.run(AddAddress(interface="a", address=address))
        assert address in links.addresses("a")
    links.run(DeleteAddress(interface="a", address=address), DeleteAddress(interface="a", address=address))
    assert address not in links.addresses("a")
    assert links.addresses("none") == frozenset()


def test_routes_of_every_kind_come_back_as_they_were_put(links: Netlink) -> None:
    # a kernel takes no gateway on an interface without any address
    wired(links).run(AddAddress(interface="a", address=ip_interface("10.0.0.1/32")))
    links.run(*(PutRoute(route=route) for route in (ROUTE, HOLE, VIA, ROUTE)))
    assert ours(links) == {ROUTE, HOLE, VIA}
    links.run(*(DeleteRoute(route=route) for route in (ROUTE, HOLE, ROUTE)))
    assert ours(links) == {VIA}


def test_a_refusal_in_a_batch_stops_nothing_else(links: Netlink) -> None:
    wired(links)
    with pytest.raises(Refused):
        links.run(AddVeth(name="a", peer="x"), PutRoute(route=HOLE))
    assert ours(links) == {HOLE}


def test_what_names_an_absent_interface_is_refused_by_name(links: Netlink) -> None:
    with pytest.raises(Refused) as refused:
        links.run(PutNeighbour(interface="none", address=ip_address("10.0.0.9"), mac="02:00:00:00:00:01"))
    assert refused.value.code == errno.ENODEV
