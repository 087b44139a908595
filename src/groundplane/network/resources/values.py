"""Parsers of the values that several kinds share. Each raises ValueError saying what it refuses."""

import re
from collections.abc import Mapping
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)

from groundplane.errors import Invalid
from groundplane.network import selector
from groundplane.network.calc.model import PortRange
from groundplane.network.resources.fields import Fields

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
IPInterface = IPv4Interface | IPv6Interface

PROTOCOLS: Mapping[int, str] = {1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP", 136: "UDPLite"}
_BY_NAME = {name.lower(): number for number, name in PROTOCOLS.items()}
_PORT_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
_MAX_PORT = 65535
_MAX_DIGITS = 10  # of 2**32
_MAX_ASN = 2**32 - 1


def _number(text: str) -> int | None:
    """Read plain digits only: `int` would take signs, spaces, underscores and other scripts' digits."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


def net(text: str) -> IPNetwork:
    """Parse a network without host bits, or a bare address (a network of one)."""
    try:
        return ip_network(text)
    except ValueError:
        pass  # told apart below: bits of a host are the common mistake, and have a cure to offer
    try:
        masked = ip_interface(text).network
    except ValueError as failed:
        raise ValueError(f"{text!r} is not an address or a CIDR") from failed
    raise ValueError(f"{text} has bits of a host; write {masked}")


def address(text: str) -> IPAddress:
    """Parse a bare address."""
    try:
        return ip_address(text)
    except ValueError as failed:
        raise ValueError(f"{text!r} is not an IP address") from failed


def ipv4(text: str) -> IPv4Address:
    """Parse a bare IPv4 address."""
    found = address(text)
    if not isinstance(found, IPv4Address):
        raise ValueError(f"{text} is not an IPv4 address")  # noqa: TRY004 - the value is wrong, not its type
    return found


def interface4(text: str) -> IPv4Interface:
    """Parse an IPv4 address with its mask."""
    try:
        return IPv4Interface(text)
    except ValueError as failed:
        raise ValueError(f"{text!r} is not an IPv4 address with its mask, such as 192.168.1.5/24") from failed


def interface6(text: str) -> IPv6Interface:
    """Parse an IPv6 address with its mask."""
    try:
        return IPv6Interface(text)
    except ValueError as failed:
        raise ValueError(f"{text!r} is not an IPv6 address with its mask, such as fd00::5/64") from failed


def selector_text(text: str) -> str:
    """Check that it parses as a selector; the text is kept as written."""
    try:
        selector.parse(text)
    except Invalid as failed:
        raise ValueError(failed.happened) from failed
    return text


def port_name(text: str) -> str:
    """Parse the name of a port."""
    if not _PORT_NAME.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not the name of a port: use at most 128 of A-Za-z0-9_.-")
    return text


def port(fields: Fields, value: object, name: str) -> PortRange | str:
    """Parse a number, a range `a:b`, or a name."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 0 <= value <= _MAX_PORT:
            fields.refuse(f"{value} is not between 0 and {_MAX_PORT}", name)
        return PortRange(first=value, last=value)
    if not isinstance(value, str):
        fields.refuse(f"{value!r} is not a port", name, hint='use a number, a range "a:b", or a name')
    number = _number(value)
    if number is not None:
        return port(fields, number, name)
    first, colon, last = value.partition(":")
    if colon:
        low, high = _number(first), _number(last)
        if low is None or high is None or max(low, high) > _MAX_PORT:
            fields.refuse(f"{value!r} is not a range of ports", name, hint='use "a:b", both between 0 and 65535')
        if low > high:
            fields.refuse(f"{value!r} ends before it begins", name, hint=f'write "{high}:{low}"')
        return PortRange(first=low, last=high)
    try:
        return port_name(value)
    except ValueError as failed:
        fields.refuse(str(failed), name)


def port_json(value: PortRange | str) -> int | str:
    """Write a port as it is stored."""
    if isinstance(value, str):
        return value
    return value.first if value.first == value.last else f"{value.first}:{value.last}"


def protocol(fields: Fields, name: str) -> int | None:
    """Read a protocol's name (any case) or number; None if absent."""
    if not fields.has(name):
        return None
    value = fields.anything(name)
    if isinstance(value, str):
        if value.lower() in _BY_NAME:
            return _BY_NAME[value.lower()]
        number = _number(value)
        value = value if number is None else number
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 255:  # noqa: PLR2004 - one byte
        known = ", ".join(PROTOCOLS.values())
        fields.refuse(f"{value!r} is not a protocol", name, hint=f"use one of {known}, or 1 to 255")
    return value


def protocol_json(value: int) -> int | str:
    """Write a protocol as it is stored: by name if it has one."""
    return PROTOCOLS.get(value, value)


def as_number(fields: Fields, name: str) -> int | None:
    """Read an autonomous system number: a 32-bit number, or dotted `a.b`."""
    if not fields.has(name):
        return None
    value = fields.anything(name)
    if isinstance(value, str):
        match [_number(part) for part in value.split(".")]:
            case [int(whole)]:
                value = whole
            case [int(high), int(low)] if high < 2**16 and low < 2**16:
                value = high * 2**16 + low
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MAX_ASN:
        fields.refuse(f"{value!r} is not an AS number", name, hint="use 0 to 4294967295, or a.b")
    return value
