"""The tunnel device: what `tunl0` is on a kernel that has it, made of a veth pair whose egress hook does the work.

No packet reaches the pair's other end: the program sends each on to the uplink, or drops it. Being a device it has an
MTU (path MTU discovery works), an address (the host's own packets carry it), counters, and a name for a firewall.
"""

from ipaddress import IPv4Address
from typing import Any

from pyroute2 import IPRoute

from groundplane.errors import NotFound, WrongState

DEVICE = "gp-ipip"
_FAR_END = "gp-ipip-end"
MAC = bytes.fromhex("026770697000")  # locally administered; never on a wire
OVERHEAD = 20
_ETHERNET = 1
_UP = 1
_NOARP = 0x80


def uplink(ip: IPRoute, name: str) -> Any:
    """The uplink's link message. Raises NotFound, or WrongState where it does not carry Ethernet."""
    index = ip.link_lookup(ifname=name)
    if not index:
        raise NotFound("no such network device", to=name, hint="name the device that holds the node's address")
    (link,) = ip.link("get", index=index[0])
    if link["ifi_type"] != _ETHERNET:
        raise WrongState("is not an Ethernet device, which IP-in-IP by eBPF needs", to=name)
    return link


def find(ip: IPRoute) -> Any | None:
    """The tunnel device's link message. Raises WrongState where something else has its name."""
    index = ip.link_lookup(ifname=DEVICE)
    if not index:
        return None
    (link,) = ip.link("get", index=index[0])
    info = link.get_attr("IFLA_LINKINFO")
    if info is None or info.get_attr("IFLA_INFO_KIND") != "veth":
        raise WrongState("another device has the tunnel's name", to=DEVICE, hint="rename or remove it")
    return link


def ensure(ip: IPRoute, *, mtu: int) -> tuple[int, bool]:
    """The device's index, and whether anything was changed."""
    link = find(ip)
    made = link is None
    if link is None:
        ip.link("add", ifname=DEVICE, kind="veth", peer={"ifname": _FAR_END}, address=_colons(MAC))
        link = find(ip)
        assert link is not None
    index = int(link["index"])
    changed = False
    if link.get_attr("IFLA_MTU") != mtu:
        ip.link("set", index=index, mtu=mtu)
        changed = True
    if link.get_attr("IFLA_ADDRESS") != _colons(MAC):
        ip.link("set", index=index, address=_colons(MAC))
        changed = True
    for end in (index, int(link.get_attr("IFLA_LINK"))):
        (seen,) = ip.link("get", index=end)
        if seen["flags"] & (_UP | _NOARP) != _UP | _NOARP:
            ip.link("set", index=end, flags=_UP | _NOARP, change=_UP | _NOARP)
            changed = True
    return index, made or changed


def ensure_address(ip: IPRoute, index: int, address: IPv4Address | None) -> bool:
    """Make `address`/32 the only IPv4 address of the device, or leave it with none; True if that changed anything."""
    have = {
        (IPv4Address(each.get_attr("IFA_LOCAL") or each.get_attr("IFA_ADDRESS")), int(each["prefixlen"]))
        for each in ip.get_addr(index=index, family=2)
    }
    want = set() if address is None else {(address, 32)}
    for ip_address, prefix in want - have:  # the new one first: routes' sources are never without an address
        ip.addr("add", index=index, address=str(ip_address), prefixlen=prefix)
    for ip_address, prefix in have - want:
        ip.addr("del", index=index, address=str(ip_address), prefixlen=prefix)
    return have != want


def remove(ip: IPRoute) -> bool:
    """Take the device away, with its routes, its address and its program; False if it was not there."""
    link = find(ip)
    if link is None:
        return False
    ip.link("del", index=link["index"])
    return True


def _colons(mac: bytes) -> str:
    return mac.hex(":")
