"""nftables as values: a table of chains, sets and verdict maps, and the small language that its rules are written in.

Values are canonical, so that a table which we rendered and the same table read back from the kernel compare equal:

- a match never states what another match in its rule implies: `IP_SADDR` means "an IPv4 packet, and its source is",
  `TCP_DPORT` "a TCP packet, and its destination port is", `ICMP_TYPE` "an ICMP packet over IPv4, and its type is"
  (the kernel lists them so, too, and drops a redundant `meta nfproto` or `meta l4proto` in front);
- a network of one address is that address, a range of one port that port, a set of one element that element;
- protocols, ICMP types, families are numbers; connection states are the words of `CT_STATES`.

Nothing here knows of policies, nor of how a table gets into the kernel.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network

IPV4, IPV6 = 2, 10  # as `meta nfproto` counts: NFPROTO_IPV4, NFPROTO_IPV6

CT_STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}  # NF_CT_STATE_BIT


class Field(Enum):
    """What of a packet a match looks at; the value is its path in nft's JSON."""

    IIFNAME = ("meta", "iifname")
    OIFNAME = ("meta", "oifname")
    NFPROTO = ("meta", "nfproto")
    L4PROTO = ("meta", "l4proto")
    IP_SADDR = ("ip", "saddr")
    IP_DADDR = ("ip", "daddr")
    IP6_SADDR = ("ip6", "saddr")
    IP6_DADDR = ("ip6", "daddr")
    TCP_SPORT = ("tcp", "sport")
    TCP_DPORT = ("tcp", "dport")
    UDP_SPORT = ("udp", "sport")
    UDP_DPORT = ("udp", "dport")
    SCTP_SPORT = ("sctp", "sport")
    SCTP_DPORT = ("sctp", "dport")
    TH_SPORT = ("th", "sport")  # of whatever transport protocol: state L4PROTO as well
    TH_DPORT = ("th", "dport")
    ICMP_TYPE = ("icmp", "type")
    ICMP_CODE = ("icmp", "code")
    ICMPV6_TYPE = ("icmpv6", "type")
    ICMPV6_CODE = ("icmpv6", "code")
    CT_STATE = ("ct", "state")


Key = tuple[Field, ...]
"""One field, or several side by side (nft's concatenation `iifname . ip saddr`)."""


@dataclass(frozen=True, slots=True)
class Span:
    """From first to last, both inclusive: ports, or addresses that make no network."""

    first: int | IPAddress
    last: int | IPAddress


Scalar = str | int | IPAddress | IPNetwork | Span
"""A string is an interface name (a trailing `*` matches any rest) or a connection state."""

Element = Scalar | tuple[Scalar, ...]
"""A member of a set, or the key of a map; a tuple where the set's key is a concatenation."""


@dataclass(frozen=True, slots=True)
class SetRef:
    """The set, or verdict map, of this name in the same table."""

    name: str


class Judgement(Enum):
    """How a rule ends. ACCEPT ends this base chain only: base chains of later priority still see the packet."""

    ACCEPT = "accept"
    DROP = "drop"
    RETURN = "return"
    JUMP = "jump"
    GOTO = "goto"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A statement that ends its rule; `target` is the chain that JUMP and GOTO name."""

    judgement: Judgement
    target: str = ""


ACCEPT, DROP, RETURN = Verdict(Judgement.ACCEPT), Verdict(Judgement.DROP), Verdict(Judgement.RETURN)


def jump(chain: str) -> Verdict:
    """Go on in `chain`, and come back at its end."""
    return Verdict(Judgement.JUMP, chain)


def goto(chain: str) -> Verdict:
    """Go on in `chain`; its end is the end of this one, too."""
    return Verdict(Judgement.GOTO, chain)


@dataclass(frozen=True, slots=True)
class Match:
    """The packet's `key` is (`negate`: is not) the element, one of the set, or in the named set.

    A packet that has no such field does not match, whether negated or not.
    """

    key: Key
    right: Element | frozenset[Element] | SetRef
    negate: bool = False


@dataclass(frozen=True, slots=True)
class MarkMatch:
    """`meta mark & mask == value`."""

    mask: int
    value: int


@dataclass(frozen=True, slots=True)
class SetMark:
    """Turn these bits of the packet's mark on, and leave the others."""

    bits: int


@dataclass(frozen=True, slots=True)
class ClearMark:
    """Turn these bits of the packet's mark off, and leave the others."""

    bits: int


@dataclass(frozen=True, slots=True)
class Lookup:
    """The verdict that a map holds for the packet's `key`; without an entry, on to the next statement's rule."""

    key: Key
    data: SetRef | frozenset[tuple[Element, Verdict]]


@dataclass(frozen=True, slots=True)
class Masquerade:
    """Give the connection the outgoing interface's address; ends the rule with acceptance."""


@dataclass(frozen=True, slots=True)
class Log:
    """Write the packet to the kernel's log, and go on."""

    prefix: str


@dataclass(frozen=True, slots=True)
class Counter:
    """Count packets and bytes."""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A statement in the kernel that we never write: kept as its JSON, so that it equals nothing wanted."""

    text: str


Statement = Match | MarkMatch | SetMark | ClearMark | Lookup | Masquerade | Log | Counter | Opaque | Verdict


@dataclass(frozen=True, slots=True)
class Rule:
    """Statements in order; the first match that fails ends the rule. `comment`: at most COMMENT_BYTES of UTF-8."""

    statements: tuple[Statement, ...]
    comment: str = ""


COMMENT_BYTES = 127  # NFTNL_UDATA_COMMENT_MAXLEN is 128, with its NUL


class HookPoint(Enum):
    """Where in a packet's path a base chain stands."""

    PREROUTING = "prerouting"
    INPUT = "input"
    FORWARD = "forward"
    OUTPUT = "output"
    POSTROUTING = "postrouting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """What makes a chain a base chain. Lower priorities come first. `accept` is the policy at its end, or drop."""

    point: HookPoint
    priority: int = 0
    kind: str = "filter"  # or nat
    accept: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Rules in order; a base chain if it has a hook, else one to jump to."""

    rules: tuple[Rule, ...] = ()
    hook: Hook | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Elements of one type (`ipv4_addr`), or of a concatenation of types. Networks and ranges need `interval`.

    In an interval set no two elements may overlap: the kernel refuses them.
    """

    types: tuple[str, ...]
    interval: bool = False
    elements: frozenset[Element] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictMap:
    """From element to verdict, at the price of one lookup however many there are."""

    types: tuple[str, ...]
    elements: Mapping[Element, Verdict] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Everything under one name. Sets and maps share a name space; so do base and other chains."""

    family: str = "inet"
    name: str
    chains: Mapping[str, Chain] = field(default_factory=dict)
    sets: Mapping[str, Set] = field(default_factory=dict)
    maps: Mapping[str, VerdictMap] = field(default_factory=dict)
