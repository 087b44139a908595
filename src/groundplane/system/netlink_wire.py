"""rtnetlink's messages, both ways, with pyroute2's vocabulary. Nothing here touches a socket."""

import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_network
from typing import Any

from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from groundplane.system.netlink import (
    AddAddress,
    AddVeth,
    Command,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    IPAddress,
    Link,
    PutNeighbour,
    PutRoute,
    Route,
    SetLink,
)

ERROR, DONE = 2, 3
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_CREATE, _EXCL, _REPLACE = 0x400, 0x200, 0x100
_NEWLINK, _DELLINK, _GETLINK = 16, 17, 18
_NEWADDR, _DELADDR, _GETADDR = 20, 21, 22
_NEWROUTE, _DELROUTE, _GETROUTE = 24, 25, 26
_NEWNEIGH = 28
_UP, _RUNNING, _ONLINK, _PERMANENT, _CLONED = 0x1, 0x40, 0x4, 0x80, 0x200
_UNICAST, _BLACKHOLE, _MAIN = 1, 6, 254
_SCOPE_LINK, _SCOPE_UNIVERSE, _SCOPE_NOWHERE = 253, 0, 255
_NO_DAD = 0x02  # IFA_F_NODAD: an address that this host hands out itself needs no duplicate detection
_HEADER = struct.Struct("=IHHII")
_IPV6_DEFAULT_PRIORITY = 1024  # what the kernel puts where none is given


@dataclass(frozen=True, slots=True)
class Encoded:
    """A message that only lacks its number."""

    body: Any
    kind: int
    flags: int

    @property
    def dump(self) -> bool:
        """Whether many answers come, ended by a DONE."""
        return bool(self.flags & _DUMP == _DUMP)

    def numbered(self, sequence: int) -> bytes:
        """The bytes to send."""
        self.body["header"]["type"] = self.kind
        self.body["header"]["flags"] = _REQUEST | self.flags
        self.body["header"]["sequence_number"] = sequence
        self.body.encode()
        return bytes(self.body.data)


def split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(type, sequence number, the whole message) of each message in a datagram."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if length < _HEADER.size:
            return
        yield kind, sequence, data[at : at + length]
        at += (length + 3) & ~3


def error_code(message: bytes) -> int:
    """The errno of an ERROR message; 0 is an acknowledgement."""
    return -int(struct.unpack_from("=i", message, _HEADER.size)[0])


def get_link(name: str) -> Encoded:
    """One link, by name."""
    message = ifinfmsg()
    message["attrs"] = [("IFLA_IFNAME", name)]
    return Encoded(message, _GETLINK, 0)


def dump_links() -> Encoded:
    """All links."""
    return Encoded(ifinfmsg(), _GETLINK, _DUMP)


def dump_addresses() -> Encoded:
    """All addresses."""
    return Encoded(ifaddrmsg(), _GETADDR, _DUMP)


def dump_routes() -> Encoded:
    """All routes of all tables: the kernel's own filter needs a socket option, and tables are few here."""
    return Encoded(rtmsg(), _GETROUTE, _DUMP)


def parse_link(data: bytes) -> Link:
    """One answer to a question about links."""
    message = ifinfmsg(data)
    message.decode()
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME") or "",
        mac=message.get_attr("IFLA_ADDRESS") or "",
        up=bool(message["flags"] & _UP),
        running=bool(message["flags"] & _RUNNING),
        mtu=message.get_attr("IFLA_MTU") or 0,
        peer=message.get_attr("IFLA_LINK") or 0,
    )


def parse_address(data: bytes) -> tuple[int, IPv4Interface | IPv6Interface]:
    """(index of its interface, the address)."""
    message = ifaddrmsg(data)
    message.decode()
    text = f"{message.get_attr('IFA_LOCAL') or message.get_attr('IFA_ADDRESS')}/{message['prefixlen']}"
    return message["index"], IPv6Interface(text) if message["family"] == socket.AF_INET6 else IPv4Interface(text)


def parse_route(data: bytes, names: Mapping[int, str]) -> Route | None:
    """One route of the main table; None for others, and for kinds that nothing here makes."""
    message = rtmsg(data)
    message.decode()
    if message["type"] not in {_UNICAST, _BLACKHOLE} or message["flags"] & _CLONED:
        return None
    if (message.get_attr("RTA_TABLE") or message["table"]) != _MAIN:
        return None
    v6 = message["family"] == socket.AF_INET6
    blackhole = message["type"] == _BLACKHOLE
    destination = message.get_attr("RTA_DST") or ("::" if v6 else "0.0.0.0")  # noqa: S104 - the default route
    gateway, source = message.get_attr("RTA_GATEWAY"), message.get_attr("RTA_PREFSRC")
    priority = message.get_attr("RTA_PRIORITY") or 0
    metrics = message.get_attr("RTA_METRICS")
    return Route(
        destination=ip_network(f"{destination}/{message['dst_len']}"),
        interface="" if blackhole else names.get(message.get_attr("RTA_OIF") or 0, ""),
        gateway=ip_address(gateway) if gateway else None,
        protocol=message["proto"],
        source=ip_address(source) if source else None,
        on_link=bool(message["flags"] & _ONLINK),
        priority=0 if v6 and priority == _IPV6_DEFAULT_PRIORITY else priority,
        mtu=(metrics.get_attr("RTAX_MTU") or 0) if metrics else 0,
    )


def encode(command: Command, indices: Mapping[str, int]) -> Encoded:  # noqa: PLR0911 - one a command
    """A command's message; `indices` holds the interfaces that it names."""
    match command:
        case AddVeth():
            return Encoded(_veth(command), _NEWLINK, _ACK | _CREATE | _EXCL)
        case SetLink():
            return Encoded(_set_link(command), _NEWLINK, _ACK)
        case DeleteLink():
            return Encoded(get_link(command.name).body, _DELLINK, _ACK)
        case AddAddress():
            return Encoded(_address(command, indices), _NEWADDR, _ACK | _CREATE | _EXCL)
        case DeleteAddress():
            return Encoded(_address(command, indices), _DELADDR, _ACK)
        case PutRoute():
            return Encoded(_routed(command.route, indices), _NEWROUTE, _ACK | _CREATE | _REPLACE)
        case DeleteRoute():
            message = _routed(command.route, indices)
            message["scope"] = _SCOPE_NOWHERE  # any
            return Encoded(message, _DELROUTE, _ACK)
        case PutNeighbour():
            message = ndmsg()
            message["family"] = _family(command.address)
            message["ifindex"] = indices[command.interface]
            message["state"] = _PERMANENT
            message["attrs"] = [("NDA_DST", str(command.address)), ("NDA_LLADDR", command.mac)]
            return Encoded(message, _NEWNEIGH, _ACK | _CREATE | _REPLACE)


def _family(address: IPAddress) -> int:
    return socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004 - a version of IP


def _veth(command: AddVeth) -> Any:
    peer: list[tuple[str, object]] = [("IFLA_IFNAME", command.peer)]
    mine: list[tuple[str, object]] = [("IFLA_IFNAME", command.name)]
    if command.mtu:
        peer.append(("IFLA_MTU", command.mtu))
        mine.append(("IFLA_MTU", command.mtu))
    if command.mac:
        mine.append(("IFLA_ADDRESS", command.mac))
    if command.peer_mac:
        peer.append(("IFLA_ADDRESS", command.peer_mac))
    if command.peer_netns is not None:
        peer.append(("IFLA_NET_NS_FD", command.peer_netns))
    data = {"attrs": [("VETH_INFO_PEER", {"attrs": peer})]}
    mine.append(("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "veth"), ("IFLA_INFO_DATA", data)]}))
    message = ifinfmsg()
    message["attrs"] = mine
    return message


def _set_link(command: SetLink) -> Any:
    message = get_link(command.name).body
    if command.up is not None:
        message["flags"] = _UP if command.up else 0
        message["change"] = _UP
    if command.mtu:
        message["attrs"].append(("IFLA_MTU", command.mtu))
    if command.mac:
        message["attrs"].append(("IFLA_ADDRESS", command.mac))
    return message


def _address(command: AddAddress | DeleteAddress, indices: Mapping[str, int]) -> Any:
    message = ifaddrmsg()
    address = command.address
    message["family"] = _family(address.ip)
    message["prefixlen"] = address.network.prefixlen
    message["index"] = indices[command.interface]
    message["flags"] = _NO_DAD if address.version == 6 else 0  # noqa: PLR2004 - a version of IP
    message["attrs"] = [("IFA_LOCAL", str(address.ip)), ("IFA_ADDRESS", str(address.ip))]
    return message


def _routed(route: Route, indices: Mapping[str, int]) -> Any:
    message = rtmsg()
    blackhole = not route.interface and route.gateway is None
    message["family"] = _family(route.destination.network_address)
    message["dst_len"] = route.destination.prefixlen
    message["table"] = _MAIN
    message["proto"] = route.protocol
    message["type"] = _BLACKHOLE if blackhole else _UNICAST
    message["scope"] = _SCOPE_UNIVERSE if blackhole or route.gateway is not None else _SCOPE_LINK
    message["flags"] = _ONLINK if route.on_link else 0
    attrs: list[tuple[str, object]] = [("RTA_DST", str(route.destination.network_address))]
    if route.interface:
        attrs.append(("RTA_OIF", indices[route.interface]))
    if route.gateway is not None:
        attrs.append(("RTA_GATEWAY", str(route.gateway)))
    if route.source is not None:
        attrs.append(("RTA_PREFSRC", str(route.source)))
    if route.priority:
        attrs.append(("RTA_PRIORITY", route.priority))
    if route.mtu:
        attrs.append(("RTA_METRICS", {"attrs": [("RTAX_MTU", route.mtu)]}))
    message["attrs"] = attrs
    return message
