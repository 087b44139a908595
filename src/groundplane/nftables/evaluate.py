"""Send a packet through a table, in memory: which way it goes, and which rules it met.

The kernel's rules: base chains of a hook run by priority; `accept` ends one base chain, `drop` ends the packet;
`return` goes back to the rule after the `jump`, past any `goto`; at a base chain's end, its policy decides. A match on
a field that the packet does not have fails, negated or not. The connection's state is the caller's to say.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Network

from groundplane.errors import Unimplemented
from groundplane.nftables.model import (
    IPV4,
    IPV6,
    Chain,
    ClearMark,
    Counter,
    Element,
    Field,
    HookPoint,
    IPAddress,
    Judgement,
    Key,
    Log,
    Lookup,
    MarkMatch,
    Masquerade,
    Match,
    Opaque,
    Rule,
    Scalar,
    Set,
    SetMark,
    SetRef,
    Span,
    Statement,
    Table,
    Verdict,
)

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
PORT_PROTOCOLS = {TCP: "tcp", UDP: "udp", SCTP: "sctp"}


class OpaqueRule(Unimplemented):
    """A rule that another program wrote cannot be followed in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet. An empty interface name: it comes from, or goes to, the host itself. `state`: one of CT_STATES."""

    iif: str = ""
    oif: str = ""
    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0
    state: str = "new"
    mark: int = 0


class Path(Enum):
    """The hooks that a packet passes, by where it comes from and goes to."""

    FORWARDED = (HookPoint.PREROUTING, HookPoint.FORWARD, HookPoint.POSTROUTING)
    TO_HOST = (HookPoint.PREROUTING, HookPoint.INPUT)
    FROM_HOST = (HookPoint.OUTPUT, HookPoint.POSTROUTING)

    @classmethod
    def of(cls, packet: Packet) -> "Path":
        """Which way this packet goes."""
        if not packet.iif:
            return cls.FROM_HOST
        return cls.FORWARDED if packet.oif else cls.TO_HOST


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A rule whose matches all held: its chain, place in it (from 0), and comment."""

    chain: str
    index: int
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of the packet. `steps` are the rules that it met, in order; the last one decided, if one did."""

    accepted: bool
    mark: int
    masqueraded: bool = False
    logged: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


def send(table: Table, packet: Packet) -> Outcome:
    """Take the packet all the way. Raises OpaqueRule."""
    run = _Run(table=table, packet=packet)
    for point in Path.of(packet).value:
        if not run.through(point):
            return run.outcome(accepted=False)
    return run.outcome(accepted=True)


@dataclass(slots=True, kw_only=True)
class _Run:
    """One packet's way; `packet` changes as its mark does."""

    table: Table
    packet: Packet
    steps: list[Step] = field(default_factory=list)
    logged: list[str] = field(default_factory=list)
    masqueraded: bool = False

    def outcome(self, *, accepted: bool) -> Outcome:
        return Outcome(
            accepted=accepted,
            mark=self.packet.mark,
            masqueraded=self.masqueraded,
            logged=tuple(self.logged),
            steps=tuple(self.steps),
        )

    def through(self, point: HookPoint) -> bool:
        """Whether the packet survives a hook's base chains."""
        bases = [
            (chain.hook, name, chain)
            for name, chain in self.table.chains.items()
            if chain.hook is not None and chain.hook.point is point
        ]
        for hook, name, chain in sorted(bases, key=lambda base: base[0].priority):
            if hook.kind == "nat" and self.packet.state != "new":
                continue  # the kernel asks nat chains once per connection
            verdict = self.chain(name, chain)
            accepted = hook.accept if verdict is None else verdict is Judgement.ACCEPT
            if not accepted:
                return False
        return True

    def chain(self, name: str, chain: Chain) -> Judgement | None:
        """ACCEPT, DROP, or None where the chain, and every chain it went to, came to an end."""
        for index, rule in enumerate(chain.rules):
            verdict = self.rule(rule, Step(chain=name, index=index, comment=rule.comment))
            match verdict:
                case None:
                    continue
                case Verdict(Judgement.ACCEPT | Judgement.DROP as final):
                    return final
                case Verdict(Judgement.RETURN):
                    return None
                case Verdict(judgement, target):
                    final_below = self.chain(target, self.table.chains[target])
                    if final_below is not None or judgement is Judgement.GOTO:
                        return final_below
        return None

    def rule(self, rule: Rule, step: Step) -> Verdict | None:
        for statement in rule.statements:
            holds, verdict = self.statement(statement, step)
            if not holds:
                return None
            if verdict is not None:
                self.steps.append(step)
                return verdict
        self.steps.append(step)
        return None

    def statement(self, statement: Statement, step: Step) -> tuple[bool, Verdict | None]:  # noqa: C901
        match statement:
            case Verdict():
                return True, statement
            case Match():
                return self.holds(statement), None
            case MarkMatch(mask, value):
                return self.packet.mark & mask == value, None
            case SetMark(bits):
                self.packet = replace(self.packet, mark=self.packet.mark | bits)
            case ClearMark(bits):
                self.packet = replace(self.packet, mark=self.packet.mark & ~bits)
            case Lookup(key, data):
                found = self.look_up(key, data)
                return found is not None, found
            case Masquerade():
                self.masqueraded = True
                return True, Verdict(Judgement.ACCEPT)
            case Log(prefix):
                self.logged.append(prefix)
            case Counter():
                pass  # counts change nothing for the packet
            case Opaque(text):
                raise OpaqueRule(f"cannot follow {text}", to=f"chain {step.chain}, rule {step.index}")
        return True, None

    def holds(self, match: Match) -> bool:
        values = values_of(match.key, self.packet)
        if values is None:
            return False
        return self.member(values, match.right) is not match.negate

    def member(self, values: tuple[Scalar, ...], right: Element | frozenset[Element] | SetRef) -> bool:
        match right:
            case SetRef(name):
                return in_set(values, self.table.sets[name])
            case frozenset():
                return _any_covers(right, values)
            case _:
                return _covers(right, values)

    def look_up(self, key: Key, data: SetRef | frozenset[tuple[Element, Verdict]]) -> Verdict | None:
        values = values_of(key, self.packet)
        if values is None:
            return None
        if isinstance(data, SetRef):
            return self.table.maps[data.name].elements.get(values[0] if len(values) == 1 else values)
        return next((verdict for element, verdict in data if _covers(element, values)), None)


def in_set(values: tuple[Scalar, ...], members: Set) -> bool:
    """Whether a named set holds the values of a key."""
    if (values[0] if len(values) == 1 else values) in members.elements:
        return True
    return members.interval and _any_covers(members.elements, values)


def values_of(key: Key, packet: Packet) -> tuple[Scalar, ...] | None:
    """What the packet has under each field of the key; None if it lacks one."""
    values = tuple(_value(each, packet) for each in key)
    return None if None in values else tuple(_present(values))


def _present(values: Iterable[Scalar | None]) -> Iterator[Scalar]:
    return (value for value in values if value is not None)


def _value(field: Field, packet: Packet) -> Scalar | None:  # noqa: C901, PLR0911 - one case per field
    is_v4 = isinstance(packet.source, IPv4Address)
    where, what = field.value
    match where, what:
        case "meta", "iifname":
            return packet.iif or None
        case "meta", "oifname":
            return packet.oif or None
        case "meta", "nfproto":
            return IPV4 if is_v4 else IPV6
        case "meta", "l4proto":
            return packet.protocol
        case "ct", _:
            return packet.state
        case "ip" | "ip6", _:
            if is_v4 is not (where == "ip"):
                return None
            return packet.source if what == "saddr" else packet.destination
        case "icmp" | "icmpv6", _:
            if packet.protocol != (ICMP if where == "icmp" else ICMPV6) or is_v4 is not (where == "icmp"):
                return None
            return packet.icmp_type if what == "type" else packet.icmp_code
        case _:
            if where != "th" and PORT_PROTOCOLS.get(packet.protocol) != where:
                return None
            return packet.source_port if what == "sport" else packet.destination_port


def _any_covers(elements: Iterable[Element], values: tuple[Scalar, ...]) -> bool:
    return any(_covers(element, values) for element in elements)


def _covers(element: Element, values: tuple[Scalar, ...]) -> bool:
    parts = element if isinstance(element, tuple) else (element,)
    return len(parts) == len(values) and all(_covers_one(*pair) for pair in zip(parts, values, strict=True))


def _covers_one(part: Scalar, value: Scalar) -> bool:
    match part:
        case IPv4Network() | IPv6Network():
            return value in part
        case Span(first, last):
            return first <= value <= last  # type: ignore[operator]
        case str() if part.endswith("*"):
            return isinstance(value, str) and value.startswith(part[:-1])
        case _:
            return part == value
