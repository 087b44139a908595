"""Which addresses the server may connect to when it validates: a client names the target, so this is the fence.

Without a word of the operator only globally routable addresses; private networks (RFC 1918, fc00::/7, 100.64.0.0/10)
with `private_networks`; anything else (loopback, link-local with its cloud metadata) only where `allow` names it. What
`deny` names is never reached. IPv6 forms that carry an IPv4 address are judged by that one too.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network

from groundplane.pki.acme.identifiers import Network

Address = IPv4Address | IPv6Address
_NAT64 = ip_network("64:ff9b::/96")
_PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")))


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRules:
    """The fence; immutable."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    private_networks: bool = False

    def permits(self, address: Address) -> bool:
        """Whether a validation may connect to `address`."""
        return all(self._permits(one) for one in (address, *_carried(address)))

    def _permits(self, address: Address) -> bool:
        if any(address in network for network in self.deny):
            return False
        if any(address in network for network in self.allow):
            return True
        if self.private_networks and any(address in network for network in _PRIVATE):
            return True
        return address.is_global and not address.is_multicast


def _carried(address: Address) -> tuple[IPv4Address, ...]:
    """The IPv4 addresses that a packet to this IPv6 address might end at."""
    if not isinstance(address, IPv6Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(one for one in found if one is not None)
