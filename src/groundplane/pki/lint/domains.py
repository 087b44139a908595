"""Names of hosts, addresses and URLs, as far as rules ask: labels, public suffixes, reserved networks.

The list of public suffixes (publicsuffix.org, its ICANN part) says which names anyone may register under. Unlike
zlint's own list of top-level domains it knows neither when one was delegated nor those that are gone.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

_MOST_LABELS = 6  # one more than the longest rule has
_LONGEST_URL = 2083
_SHORTEST_HOST = 4
_LETTER = r"[a-zA-Z0-9\u00a1-\uffff]"
_HOST = re.compile(
    r"(?:(?:ftp|tcp|udp|wss?|https?)://)?(?:\S+@)?"
    rf"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?:[a-zA-Z0-9](?:[a-zA-Z0-9_-]*[a-zA-Z0-9])?\.)*{_LETTER}(?:(?:{_LETTER}|-)*{_LETTER})?)"
    r"\.?(?::\d{1,5})?(?:[/?#]\S*)?"
)
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")

# IANA's registries of special addresses.
_RESERVED = tuple(
    map(
        IPv4Network,
        [
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.31.196.0/24",
            "192.52.193.0/24",
            "192.168.0.0/16",
            "192.175.48.0/24",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ],
    )
)
_RESERVED_6 = tuple(
    map(
        IPv6Network,
        [
            "::/128",
            "::1/128",
            "64:ff9b::/96",
            "64:ff9b:1::/48",
            "100::/64",
            "400::/6",
            "800::/5",
            "1000::/4",
            "2001::/23",
            "2001:db8::/32",
            "2002::/16",
            "2001:4:112::/48",
            "2620:4f:8000::/48",
            "4000::/3",
            "6000::/3",
            "8000::/3",
            "a000::/3",
            "c000::/3",
            "e000::/4",
            "f000::/5",
            "f800::/6",
            "fc00::/7",
            "fe00::/9",
            "fe80::/10",
            "ff00::/8",
        ],
    )
)


class Parsed(NamedTuple):
    """A name in three: what is left of the registered label, that label, and the public suffix."""

    left: str
    label: str
    suffix: str


class IsSuffix(Exception):
    """Anyone may register below this."""


@lru_cache(maxsize=1)
def _suffixes() -> tuple[frozenset[str], frozenset[str]]:
    """All rules of the list, and the top-level domains among them."""
    from publicsuffixlist import PSLFILE

    rules = set()
    with open(PSLFILE, encoding="utf-8") as lines:  # noqa: PTH123 - a name that the package gives
        for line in lines:
            if "===END ICANN" in line:
                break
            rule = line.split("//")[0].strip().lower()
            if rule:
                rules.add(rule if rule.isascii() else _ascii(rule))
    return frozenset(rules), frozenset(rule.rpartition(".")[2] for rule in rules)


def _ascii(rule: str) -> str:
    return ".".join(
        label if label.isascii() else "xn--" + label.encode("punycode").decode() for label in rule.split(".")
    )


def split(name: str) -> Parsed | None:
    """By the list, and at the last dot where it has no rule; None for what is no name. Raises IsSuffix."""
    name = name.lower()
    if not name or name.startswith("."):
        return None
    rules, _ = _suffixes()
    labels = name.split(".")
    size = 1
    for start in range(max(0, len(labels) - _MOST_LABELS), len(labels)):
        rest = labels[start:]
        if "!" + ".".join(rest) in rules:
            size = len(rest) - 1
            break
        if ".".join(rest) in rules or (len(rest) > 1 and ".".join(("*", *rest[1:])) in rules):
            size = len(rest)
            break
    if size >= len(labels):
        raise IsSuffix(name)
    head = labels[: len(labels) - size]
    return Parsed(".".join(head[:-1]), head[-1], ".".join(labels[-size:]))


def is_top_level(label: str) -> bool:
    """Whether it is in the root of the DNS (or `.onion`)."""
    return label.lower() in _suffixes()[1]


def is_address(text: str) -> bool:
    """Whether a name is an IP address."""
    return address_of(text) is not None


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a name is; Go knows no zones."""
    try:
        return None if "%" in text else ip_address(text)
    except ValueError:
        return None


def address(octets: bytes) -> IPv4Address | IPv6Address:
    """The address of four or sixteen octets; an IPv4 one in IPv6's clothes is IPv4."""
    found = IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)  # noqa: PLR2004 - an IPv4 address
    return getattr(found, "ipv4_mapped", None) or found


def is_reserved(found: IPv4Address | IPv6Address) -> bool:
    """Whether nobody on the Internet can have it."""
    if isinstance(found, IPv4Address):
        return any(found in network for network in _RESERVED)
    found = found.ipv4_mapped or found
    return is_reserved(found) if isinstance(found, IPv4Address) else any(found in network for network in _RESERVED_6)


def touches_reserved(octets: bytes) -> bool:
    """Whether a network (an address and its mask) has such addresses."""
    half = len(octets) // 2
    where, mask = (int.from_bytes(part) for part in (octets[:half], octets[half:]))
    reserved = _RESERVED if half == 4 else _RESERVED_6  # noqa: PLR2004 - an IPv4 address
    return any(
        where & int(other.netmask) == int(other.network_address) or int(other.network_address) & mask == where & mask
        for other in reserved
    )


def is_host(name: str) -> bool:
    """Whether zlint takes it for a host's full name: four characters at least, and a dot, a port or a scheme."""
    name = name.removeprefix("*.")
    while name.startswith("?."):
        name = name[2:]
    if not _SHORTEST_HOST <= len(name) < _LONGEST_URL or name.startswith("."):
        return False
    if ":" not in name and "." not in re.split("[?#]", name)[0]:
        return False
    found = _HOST.fullmatch(name)
    return found is not None and (not found["address"] or is_address(found["address"]))


def url_of(text: str) -> SplitResult | None:
    """A URL in its parts; None for what Go cannot read as one."""
    if any(ord(char) < 0x20 or ord(char) == 0x7F for char in text) or _BAD_ESCAPE.search(text):  # noqa: PLR2004 - control characters
        return None
    if text.startswith(":") or (":" in text.partition("/")[0] and not _SCHEME.match(text)):
        return None
    try:
        found = urlsplit(text)
        _ = found.port
    except ValueError:
        return None
    return None if " " in found.netloc else found
