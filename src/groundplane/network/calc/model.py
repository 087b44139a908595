"""What one host's dataplane should be, as plain data: the meeting point of the calculation and the kernel.

The calculation (`graph`) turns resources into a `Dataplane`; `network.dataplane` renders it into nftables and routes.
Nothing here knows of etcd, of selectors, or of nftables. Shapes follow Felix's: tiers of policies, then profiles,
for each direction of each endpoint; sets of addresses by name, so that a rule never lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import NewType

PolicyID = NewType("PolicyID", str)
"""`np/<namespace>/<name>` or `gnp/<name>`: unique, and what a rule's comment names."""

ProfileID = NewType("ProfileID", str)

SetName = NewType("SetName", str)
"""Stable for equal content rules: a selector's set keeps its name while its members change."""

IPNetwork = IPv4Network | IPv6Network
IPAddress = IPv4Address | IPv6Address


class Action(Enum):
    """What a rule does with a packet that it matches; Log goes on to the next rule."""

    ALLOW = "allow"
    DENY = "deny"
    PASS = "pass"  # noqa: S105 - no password
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRange:
    """Both ends inclusive."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """What source or destination must satisfy: every non-empty field must hold (AND); within a field any (OR).

    `sets` is the exception: the address must be in each of them (a selector and a namespace selector are one set
    already; several sets come from a selector together with service accounts). `not_nets`, `not_sets` and `not_ports`:
    in none of them.
    """

    nets: tuple[IPNetwork, ...] = ()
    sets: tuple[SetName, ...] = ()
    ports: tuple[PortRange, ...] = ()
    not_nets: tuple[IPNetwork, ...] = ()
    not_sets: tuple[SetName, ...] = ()
    not_ports: tuple[PortRange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ICMPMatch:
    """An ICMP (or ICMPv6) type, with a code or any."""

    type: int
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule after resolution. `protocol` is the IP protocol number. `ip_version` None: both families."""

    action: Action
    ip_version: int | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: ICMPMatch | None = None
    not_icmp: ICMPMatch | None = None
    source: Side = field(default_factory=Side)
    destination: Side = field(default_factory=Side)
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A policy's or a profile's rules, per direction, in order."""

    ingress: tuple[Rule, ...] = ()
    egress: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """The policies of one tier that select an endpoint in one direction, in order; never empty."""

    name: str
    policies: tuple[PolicyID, ...]
    default_pass: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A local workload: the host side of its veth, its addresses, and what polices it. Missing profiles deny."""

    interface: str
    addresses: tuple[IPAddress, ...]
    ingress: tuple[Tier, ...] = ()
    egress: tuple[Tier, ...] = ()
    profiles: tuple[ProfileID, ...] = ()
    admin_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataplane:
    """Everything that one host's packet filter needs. `pools` are all pools; `masquerade` those with natOutgoing."""

    endpoints: tuple[Endpoint, ...] = ()
    policies: Mapping[PolicyID, Chain] = field(default_factory=dict)
    profiles: Mapping[ProfileID, Chain] = field(default_factory=dict)
    sets: Mapping[SetName, frozenset[IPNetwork]] = field(default_factory=dict)
    pools: frozenset[IPNetwork] = frozenset()
    masquerade: frozenset[IPNetwork] = frozenset()
