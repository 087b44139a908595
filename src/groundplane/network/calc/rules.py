"""A rule as its user wrote it, turned into rules that name sets of addresses. Pure.

A rule's selectors become sets: one for all that are ANDed, one for `notSelector`. A rule without selectors names none.
In a policy of a namespace, selectors without a `namespaceSelector` mean that namespace.

A named port is another number on each endpoint. For each (protocol, number) that bears the name among those that the
rule may mean, one rule is made, with the set of those endpoints; together they match what the user meant. Negated, one
rule matches ports that bear the name nowhere, and one for each number those endpoints that do not bear it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from groundplane.network.calc.model import PortRange, Rule, SetName, Side
from groundplane.network.resources.rule import SCTP, TCP, UDP, Peer, PolicyRule
from groundplane.network.selector import (
    EVERYTHING,
    NAMESPACE,
    SERVICE_ACCOUNT,
    Selector,
    both,
    digest,
    equals,
    of_namespaces,
    of_service_accounts,
    one_of,
    parse,
)

_HAVE_PORTS = (TCP, UDP, SCTP)


@dataclass(frozen=True, slots=True)
class NamedPort:
    """Those selected who bear a port of this name, protocol and number."""

    selector: Selector
    name: str
    protocol: int
    number: int


SetSource = Selector | NamedPort

Bearers = Callable[[Selector, str], frozenset[tuple[int, int]]]
"""(selector, port name) -> the (protocol, number) that the name stands for among those selected."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One side of one of the rules that a rule becomes, and the protocol that it is about (None: any)."""

    side: Side
    protocol: int | None


class Compiler:
    """Compiles rules, and remembers of which sets they speak."""

    def __init__(self, bearers: Bearers) -> None:
        self.sets: dict[SetName, SetSource] = {}
        self._bearers = bearers

    def rules(self, rules: tuple[PolicyRule, ...], *, namespace: str, comment: str) -> tuple[Rule, ...]:
        """Compile a direction of a policy (`namespace` is empty for a global one) or of a profile."""
        return tuple(made for rule in rules for made in self._rule(rule, namespace, comment))

    def _rule(self, rule: PolicyRule, namespace: str, comment: str) -> Iterator[Rule]:
        peers = (rule.source, rule.destination)
        nets = [net for peer in peers for net in (*peer.nets, *peer.not_nets)]
        made = Rule(
            action=rule.action,
            # A rule that speaks of one family's networks only is not about the other family.
            ip_version=rule.ip_version or (nets[0].version if nets else None),
            not_protocol=rule.not_protocol,
            icmp=rule.icmp,
            not_icmp=rule.not_icmp,
            comment=comment,
        )
        for source in self._cases(rule.source, rule.protocol, namespace):
            for destination in self._cases(rule.destination, source.protocol, namespace):
                yield replace(made, protocol=destination.protocol, source=source.side, destination=destination.side)

    def _cases(self, peer: Peer, protocol: int | None, namespace: str) -> Iterator[_Case]:
        selector = peer_selector(peer, namespace)
        base = Side(
            nets=peer.nets,
            not_nets=peer.not_nets,
            sets=() if selector is None else (self._set(selector),),
            not_sets=(self._set(parse(peer.not_selector)),) if peer.not_selector else (),
        )
        for case in self._with_ports(_Case(base, protocol), peer, selector or EVERYTHING):
            yield from self._without_ports(case, peer, selector or EVERYTHING)

    def _with_ports(self, case: _Case, peer: Peer, selector: Selector) -> Iterator[_Case]:
        if not peer.ports:
            yield case
            return
        numbers = tuple(port for port in peer.ports if isinstance(port, PortRange))
        if numbers:
            yield replace(case, side=replace(case.side, ports=numbers))
        for protocol, number, names in self._borne(peer.ports, selector, case.protocol):
            if not any(each.first <= number <= each.last for each in numbers):
                for name in names:
                    bearers = self._set(NamedPort(selector, name, protocol, number))
                    port = PortRange(first=number, last=number)
                    # The bearers are among those selected: their set stands for the selector's.
                    yield _Case(replace(case.side, sets=(bearers,), ports=(port,)), protocol)

    def _without_ports(self, case: _Case, peer: Peer, selector: Selector) -> Iterator[_Case]:
        if not peer.not_ports:
            yield case
            return
        numbers = tuple(port for port in peer.not_ports if isinstance(port, PortRange))
        named = len(numbers) < len(peer.not_ports)
        protocols = (case.protocol,) if case.protocol is not None or not named else _HAVE_PORTS
        for protocol in protocols:
            borne = list(self._borne(peer.not_ports, selector, protocol)) if named else []
            taken = tuple(PortRange(first=number, last=number) for _, number, _ in borne)
            yield _Case(replace(case.side, not_ports=(*numbers, *taken)), protocol)
            for (of, number, names), port in zip(borne, taken, strict=True):
                if any(each.first <= number <= each.last for each in numbers):
                    continue
                if case.side.ports and not any(each.first <= number <= each.last for each in case.side.ports):
                    continue
                bearers = tuple(self._set(NamedPort(selector, name, of, number)) for name in names)
                side = replace(case.side, ports=(port,), not_sets=(*case.side.not_sets, *bearers))
                yield _Case(side, protocol)

    def _borne(
        self, ports: tuple[PortRange | str, ...], selector: Selector, protocol: int | None
    ) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Give each (protocol, number) that one of the names stands for, with those names."""
        found: dict[tuple[int, int], list[str]] = {}
        for name in ports:
            if isinstance(name, str):
                for pair in self._bearers(selector, name):
                    if pair[0] in _HAVE_PORTS and protocol in (None, pair[0]):
                        found.setdefault(pair, []).append(name)
        for (of, number), names in sorted(found.items()):
            yield of, number, tuple(dict.fromkeys(names))

    def _set(self, source: SetSource) -> SetName:
        name = set_name(source)
        self.sets[name] = source
        return name


def set_name(source: SetSource) -> SetName:
    """Name a set by what selects its members, so that it keeps its name while they change."""
    if isinstance(source, NamedPort):
        return SetName(digest("n:", f"{source.selector.canonical},{source.protocol},{source.name},{source.number}"))
    return SetName(source.id)


def peer_selector(peer: Peer, namespace: str) -> Selector | None:
    """Say in one selector whom a peer means; None if any address will do."""
    terms = []
    if peer.selector:
        terms.append(parse(peer.selector))
    if peer.service_account_names:
        terms.append(one_of(SERVICE_ACCOUNT, peer.service_account_names))
    if peer.service_account_selector:
        terms.append(of_service_accounts(parse(peer.service_account_selector)))
    if peer.namespace_selector:
        terms.append(of_namespaces(parse(peer.namespace_selector)))
    elif namespace and (terms or peer.not_selector):
        terms.append(equals(NAMESPACE, namespace))
    return both(*terms) if terms else None
