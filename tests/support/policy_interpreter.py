"""What policies mean, straight from the resources: slow, naive, and written apart from the calculation it checks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from groundplane.network.calc.evaluate import Packet
from groundplane.network.calc.model import Action, ICMPMatch, IPAddress, IPNetwork, PortRange
from groundplane.network.resources import (
    Direction,
    GlobalNetworkPolicy,
    GlobalNetworkSet,
    NetworkPolicy,
    NetworkSet,
    Peer,
    PolicyRule,
    Profile,
    Resource,
    Tier,
    WorkloadEndpoint,
)
from groundplane.network.selector import parse

TCP, UDP, SCTP = 6, 17, 132


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Somebody who can be at an address."""

    nets: tuple[IPNetwork, ...]
    labels: dict[str, str]
    namespace: str | None
    namespace_labels: dict[str, str]
    service_account: str = ""
    service_account_labels: dict[str, str]
    ports: frozenset[tuple[str, int, int]] = frozenset()


class Interpreter:
    def __init__(self, resources: Sequence[Resource]) -> None:
        self.profiles = {each.name: each for each in resources if isinstance(each, Profile)}
        self.policies = [each for each in resources if isinstance(each, NetworkPolicy | GlobalNetworkPolicy)]
        self.tiers = {each.name: each for each in resources if isinstance(each, Tier)}
        self.things = [
            self.thing(each) for each in resources if isinstance(each, WorkloadEndpoint | NetworkSet | GlobalNetworkSet)
        ]

    def thing(self, found: WorkloadEndpoint | NetworkSet | GlobalNetworkSet) -> Thing:
        endpoint = found if isinstance(found, WorkloadEndpoint) else None
        names: tuple[str, ...] = ()
        if endpoint:
            names = endpoint.profiles
        elif isinstance(found, NetworkSet):
            names = (f"kns.{found.namespace}",)
        inherited: dict[str, str] = {}
        for name in names:
            for key, value in self.profiles[name].labels_to_apply.items() if name in self.profiles else ():
                inherited.setdefault(key, value)
        own = dict(found.metadata.labels)
        if endpoint:
            own = {key: value for key, value in own.items() if not key.startswith(("pcns.", "pcsa."))}
        namespace = None if isinstance(found, GlobalNetworkSet) else found.namespace
        labels = {**inherited, **own}
        if namespace is not None:
            labels["projectcalico.org/namespace"] = namespace
        if endpoint:
            labels["projectcalico.org/orchestrator"] = endpoint.orchestrator
            if endpoint.service_account_name:
                labels["projectcalico.org/serviceaccount"] = endpoint.service_account_name
        return Thing(
            nets=endpoint.ip_networks if endpoint else found.nets,  # type: ignore[union-attr] # the other two have nets
            labels=labels,
            namespace=namespace,
            namespace_labels={key[5:]: value for key, value in labels.items() if key.startswith("pcns.")},
            service_account=endpoint.service_account_name if endpoint else "",
            service_account_labels={key[5:]: value for key, value in labels.items() if key.startswith("pcsa.")},
            ports=frozenset((port.name, port.protocol, port.port) for port in endpoint.ports)
            if endpoint
            else frozenset(),
        )

    def allows(self, endpoint: WorkloadEndpoint, direction: Direction, packet: Packet) -> bool:
        me = self.thing(endpoint)
        for tier in sorted(
            self.tiers.values(), key=lambda tier: (inf if tier.order is None else tier.order, tier.name)
        ):
            mine = [
                policy
                for policy in self.policies
                if policy.tier == tier.name and direction in policy.types and self.polices(policy, me)
            ]
            if not mine:
                continue
            mine.sort(key=lambda p: (inf if p.order is None else p.order, f"{p.name}/{p.namespace}/{p.kind}"))
            action = next(
                (
                    rule.action
                    for policy in mine
                    for rule in (policy.ingress if direction is Direction.INGRESS else policy.egress)
                    if rule.action is not Action.LOG and self.matches(rule, packet, policy.namespace)
                ),
                Action.PASS if tier.default_action.value == "Pass" else Action.DENY,
            )
            if action is not Action.PASS:
                return action is Action.ALLOW
        for name in endpoint.profiles:
            if name not in self.profiles:
                return False
            profile = self.profiles[name]
            for rule in profile.ingress if direction is Direction.INGRESS else profile.egress:
                if rule.action is not Action.LOG and self.matches(rule, packet, ""):
                    return rule.action is Action.ALLOW
        return False

    @staticmethod
    def polices(policy: NetworkPolicy | GlobalNetworkPolicy, me: Thing) -> bool:
        if isinstance(policy, NetworkPolicy) and policy.namespace != me.namespace:
            return False
        if isinstance(policy, GlobalNetworkPolicy) and not in_namespace(policy.namespace_selector, me):
            return False
        account = policy.service_account_selector
        if account and not parse(account).matches(me.service_account_labels):
            return False
        return parse(policy.selector).matches(me.labels)

    def matches(self, rule: PolicyRule, packet: Packet, namespace: str) -> bool:  # noqa: PLR0911 - condition by condition
        version = packet.source.version
        for net in (*rule.source.nets, *rule.source.not_nets, *rule.destination.nets, *rule.destination.not_nets):
            if net.version != version:
                return False
        if rule.ip_version not in (None, version):
            return False
        if rule.protocol not in (None, packet.protocol) or rule.not_protocol == packet.protocol:
            return False
        if rule.icmp or rule.not_icmp:
            if packet.protocol != (1 if version == 4 else 58):
                return False
            if rule.icmp and not is_icmp(rule.icmp, packet):
                return False
            if rule.not_icmp and is_icmp(rule.not_icmp, packet):
                return False
        return self.is_peer(
            rule.source, packet.source, packet.source_port, packet.protocol, namespace
        ) and self.is_peer(rule.destination, packet.destination, packet.destination_port, packet.protocol, namespace)

    def at(self, address: IPAddress) -> Iterator[Thing]:
        return (thing for thing in self.things if any(covers(net, address) for net in thing.nets))

    def is_peer(self, peer: Peer, address: IPAddress, port: int, protocol: int, namespace: str) -> bool:  # noqa: PLR0911
        if peer.nets and not any(covers(net, address) for net in peer.nets):
            return False
        if any(covers(net, address) for net in peer.not_nets):
            return False
        here = list(self.at(address))
        speaks = any(
            (peer.selector, peer.namespace_selector, peer.service_account_names, peer.service_account_selector)
        )
        if speaks or (peer.not_selector and namespace):
            here = [thing for thing in here if selects(peer, thing, namespace)]
            if not here:
                return False
        if peer.not_selector and any(parse(peer.not_selector).matches(thing.labels) for thing in self.at(address)):
            return False
        if (peer.ports or peer.not_ports) and protocol not in (TCP, UDP, SCTP):
            return False
        if peer.ports and not any(is_port(each, port, protocol, here) for each in peer.ports):
            return False
        return not any(is_port(each, port, protocol, here) for each in peer.not_ports)


def covers(net: IPNetwork, address: IPAddress) -> bool:
    return net.version == address.version and address in net


def is_icmp(match: ICMPMatch, packet: Packet) -> bool:
    return match.type == packet.icmp_type and match.code in (None, packet.icmp_code)


def is_port(wanted: PortRange | str, port: int, protocol: int, here: Sequence[Thing]) -> bool:
    if isinstance(wanted, PortRange):
        return wanted.first <= port <= wanted.last
    return any((wanted, protocol, port) in thing.ports for thing in here)


def in_namespace(selector: str, thing: Thing) -> bool:
    match selector.strip():
        case "":
            return True
        case "all()":
            return thing.namespace is not None
        case "global()":
            return thing.namespace is None
        case text:
            return parse(text).matches(thing.namespace_labels)


def selects(peer: Peer, thing: Thing, namespace: str) -> bool:
    if peer.namespace_selector:
        if not in_namespace(peer.namespace_selector, thing):
            return False
    elif namespace and thing.namespace != namespace:
        return False
    if peer.service_account_names and thing.service_account not in peer.service_account_names:
        return False
    account = peer.service_account_selector
    if account and not parse(account).matches(thing.service_account_labels):
        return False
    return not peer.selector or parse(peer.selector).matches(thing.labels)
