"""The kernel's own IPIP device: what is wanted of it, in a kernel of memory."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

from groundplane.network.dataplane.routes import PROTOCOL, Remote
from groundplane.network.dataplane.tunnels import KernelTunnels, Tunnel
from groundplane.system.netlink import AddVeth, PutRoute, Route
from groundplane.system.netlink_memory import MemoryNetlink

WANTED = Tunnel(
    address=IPv4Address("10.244.0.1"),
    remotes=frozenset({Remote(block=IPv4Network("10.244.1.0/26"), node=IPv4Address("10.0.0.2"))}),
)


def host() -> MemoryNetlink:
    made = MemoryNetlink()
    made.run(AddVeth(name="eth0", peer="tunl0"))
    made.run(PutRoute(route=Route(destination=IPv4Network("10.9.0.0/16"), gateway=IPv4Address("10.0.0.9"), protocol=4)))
    return made


def test_it_converges_once_and_then_has_nothing_to_do() -> None:
    links, tunnels = host(), KernelTunnels(uplink="eth0")
    assert tunnels.converge(WANTED, links) > 0
    assert tunnels.converge(WANTED, links) == 0
    device = links.link("tunl0")
    assert device is not None
    assert (device.up, device.mtu, [str(one) for one in links.addresses("tunl0")]) == (True, 1480, ["10.244.0.1/32"])
    [route] = [one for one in links.routes() if one.protocol == PROTOCOL]
    assert (route.interface, route.gateway, route.on_link) == ("tunl0", IPv4Address("10.0.0.2"), True)


def test_a_block_or_an_address_that_goes_is_taken_away() -> None:
    links, tunnels = host(), KernelTunnels(uplink="eth0")
    tunnels.converge(WANTED, links)
    tunnels.converge(replace(WANTED, address=IPv4Address("10.244.9.9"), remotes=frozenset()), links)
    assert [str(one) for one in links.addresses("tunl0")] == ["10.244.9.9/32"]
    assert [one.protocol for one in links.routes()] == [4]
    tunnels.remove(links)
    assert links.addresses("tunl0") == frozenset()
    assert len(links.routes()) == 1
