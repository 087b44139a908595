"""What a `Dataplane` does with a packet: its meaning, apart from any kernel. Pure.

The kernel's tables must agree with this, and this with the resources; the tests hold both together. It also tells why.
Connections are not tracked here: a packet is the first of its connection.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from groundplane.network.calc.model import (
    Action,
    Chain,
    Dataplane,
    Endpoint,
    ICMPMatch,
    IPAddress,
    IPNetwork,
    Rule,
    SetName,
    Side,
)
from groundplane.network.resources.policy import Direction
from groundplane.network.resources.rule import ICMP, ICMPV6, SCTP, TCP, UDP

_HAVE_PORTS = (TCP, UDP, SCTP)
_ICMP_OF = {4: ICMP, 6: ICMPV6}


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """The first packet of a connection. Ports mean something for TCP, UDP, SCTP; type and code for ICMP."""

    source: IPAddress
    destination: IPAddress
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = 0
    icmp_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`by` names the policy, the profile or the tier's end that decided, `logged` the policies that logged."""

    allowed: bool
    by: str
    logged: tuple[str, ...] = ()


def decide(dataplane: Dataplane, endpoint: Endpoint, direction: Direction, packet: Packet) -> Verdict:
    """Send a packet into (ingress) or out of (egress) an endpoint."""
    if not endpoint.admin_up:
        return Verdict(allowed=False, by="administratively down")
    logged: list[str] = []
    ingress = direction is Direction.INGRESS
    for tier in endpoint.ingress if ingress else endpoint.egress:
        action, by = None, f"end of tier {tier.name}"
        for name in tier.policies:
            action = _run(dataplane.policies[name], packet, dataplane.sets, name, logged, ingress=ingress)
            if action is not None:
                by = name
                break
        if action is None:
            action = Action.PASS if tier.default_pass else Action.DENY
        if action is not Action.PASS:
            return Verdict(allowed=action is Action.ALLOW, by=by, logged=tuple(logged))
    for profile in endpoint.profiles:
        chain = dataplane.profiles.get(profile)
        if chain is None:
            return Verdict(allowed=False, by=f"missing profile {profile}", logged=tuple(logged))
        action = _run(chain, packet, dataplane.sets, profile, logged, ingress=ingress)
        if action is not None:
            return Verdict(allowed=action is Action.ALLOW, by=profile, logged=tuple(logged))
    return Verdict(allowed=False, by="no profile decided", logged=tuple(logged))


Sets = Mapping[SetName, frozenset[IPNetwork]]


def _run(chain: Chain, packet: Packet, sets: Sets, name: str, logged: list[str], *, ingress: bool) -> Action | None:
    for rule in chain.ingress if ingress else chain.egress:
        if not matches(rule, packet, sets):
            continue
        if rule.action is not Action.LOG:
            return rule.action
        logged.append(name)
    return None


def matches(rule: Rule, packet: Packet, sets: Sets) -> bool:
    """Tell whether a packet meets all of a rule's conditions."""
    version = packet.source.version
    return (
        rule.ip_version in (None, version)
        and rule.protocol in (None, packet.protocol)
        and (rule.not_protocol is None or rule.not_protocol != packet.protocol)
        and _icmp(rule.icmp, rule.not_icmp, packet)
        and _side(rule.source, packet.source, packet.source_port, packet.protocol, sets)
        and _side(rule.destination, packet.destination, packet.destination_port, packet.protocol, sets)
    )


def _icmp(wanted: ICMPMatch | None, unwanted: ICMPMatch | None, packet: Packet) -> bool:
    if wanted is None and unwanted is None:
        return True
    if packet.protocol != _ICMP_OF[packet.source.version]:
        return False
    return (wanted is None or _is(wanted, packet)) and (unwanted is None or not _is(unwanted, packet))


def _is(match: ICMPMatch, packet: Packet) -> bool:
    return match.type == packet.icmp_type and match.code in (None, packet.icmp_code)


def _side(side: Side, address: IPAddress, port: int, protocol: int, sets: Sets) -> bool:
    if (side.ports or side.not_ports) and protocol not in _HAVE_PORTS:
        return False
    return (
        (not side.nets or _within(address, side.nets))
        and all(_within(address, sets[name]) for name in side.sets)
        and (not side.ports or any(each.first <= port <= each.last for each in side.ports))
        and not _within(address, side.not_nets)
        and not any(_within(address, sets[name]) for name in side.not_sets)
        and not any(each.first <= port <= each.last for each in side.not_ports)
    )


def _within(address: IPAddress, nets: frozenset[IPNetwork] | tuple[IPNetwork, ...]) -> bool:
    return any(net.version == address.version and address in net for net in nets)
