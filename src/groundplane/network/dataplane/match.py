"""One resolved rule to nftables rules: which packets, in which family, then what.

A rule is written once where it says nothing that tells the families apart, else once per family in which it can match:
nets of the other family only, or a set with no member in it, leave the family out (and its rule, so that an IPv4-only
host carries no IPv6 rules). A rule that can match nowhere is not written at all.

Ports are of TCP, UDP and SCTP; a packet of another protocol meets no condition on ports, negated or not. ICMP types are
of the family's own ICMP, likewise. A negated type with a code is not(type and code): two rules, since a rule has no OR.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import collapse_addresses, ip_network, summarize_address_range
from itertools import chain
from typing import TypeVar

from groundplane.network.calc.model import ICMPMatch, IPAddress, IPNetwork, PortRange, Rule, SetName, Side
from groundplane.network.dataplane.naming import named
from groundplane.nftables.model import IPV4, IPV6, Element, Field, Match, Set, SetRef, Span, Statement
from groundplane.nftables.model import Rule as NftRule

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
_ALL_PORTS = (0, 65535)
_PORTS = {
    TCP: (Field.TCP_SPORT, Field.TCP_DPORT),
    UDP: (Field.UDP_SPORT, Field.UDP_DPORT),
    SCTP: (Field.SCTP_SPORT, Field.SCTP_DPORT),
}
_ADDRESSES = {4: (Field.IP_SADDR, Field.IP_DADDR), 6: (Field.IP6_SADDR, Field.IP6_DADDR)}
_ICMP = {4: (ICMP, Field.ICMP_TYPE, Field.ICMP_CODE), 6: (ICMPV6, Field.ICMPV6_TYPE, Field.ICMPV6_CODE)}
_NFPROTO = {4: IPV4, 6: IPV6}
_TELLS_FAMILY = {*_ADDRESSES[4], *_ADDRESSES[6], *_ICMP[4][1:], *_ICMP[6][1:]}

Matches = tuple[Match, ...]


@dataclass(slots=True, kw_only=True)
class SetBook:
    """The sets of addresses that rules may name, and (`used`) those that they did, as nftables has them.

    A set of single addresses is a hash: one lookup, and a change touches one element. With networks it is an interval
    set; the two have different names (`s4-`, `n4-`), for nftables cannot turn one into the other.
    """

    members: Mapping[SetName, frozenset[IPNetwork]]
    used: dict[str, Set] = field(default_factory=dict)
    _refs: dict[tuple[SetName, int], SetRef | None] = field(default_factory=dict)

    def ref(self, name: SetName, version: int) -> SetRef | None:
        """The set's members in one family; None where it has none."""
        if (name, version) not in self._refs:
            mine = frozenset(elements(self.members.get(name, ()), version))
            self._refs[name, version] = self.keep(named(f"{version}-", name), mine, version) if mine else None
        return self._refs[name, version]

    def keep(self, name: str, members: frozenset[Element], version: int) -> SetRef:
        """A set by its own name, after a letter that tells its kind."""
        interval = any(isinstance(each, IPNetwork) for each in members)
        kind = f"ipv{version}_addr"
        full = f"{'n' if interval else 's'}{name}"
        self.used[full] = Set(types=(kind,), interval=interval, elements=members)
        return SetRef(full)


def elements(nets: Iterable[IPNetwork], version: int) -> Iterator[Element]:
    """The networks of one family, merged so that none overlap; one of a single address is that address."""
    mine = [net for net in nets if net.version == version]
    merged: Iterable[IPNetwork] = collapse_addresses(mine)  # type: ignore[type-var] # one family, by the line above
    return (net.network_address if net.prefixlen == net.max_prefixlen else net for net in merged)


def rules(rule: Rule, then: tuple[Statement, ...], *, sets: SetBook, comment: str) -> tuple[NftRule, ...]:
    """Rules which together match what `rule` matches, each packet at most once, and do `then`."""
    v4, v6 = _alternatives(rule, 4, sets), _alternatives(rule, 6, sets)
    if v4 == v6 and rule.ip_version is None and not any(_tells_family(each) for each in v4):
        return tuple(NftRule((*each, *then), comment) for each in v4)
    return tuple(
        NftRule((*_with_family(each, version), *then), comment)
        for version, found in ((4, v4), (6, v6))
        for each in found
    )


def _tells_family(matches: Matches) -> bool:
    return any(match.key[0] in _TELLS_FAMILY for match in matches)


def _with_family(matches: Matches, version: int) -> Matches:
    """Stated only where nothing implies it: nft would drop it again.

    And stated after a protocol: in front of `meta l4proto 1` (or 58) nft's listing loses it.
    """
    if _tells_family(matches):
        return matches
    family = Match((Field.NFPROTO,), _NFPROTO[version])
    if matches and matches[0].key == (Field.L4PROTO,):
        return (matches[0], family, *matches[1:])
    return (family, *matches)


def _alternatives(rule: Rule, version: int, sets: SetBook) -> tuple[Matches, ...]:
    """Disjoint conjunctions that make up the rule in one family; none where it cannot match."""
    if rule.ip_version not in (None, version):
        return ()
    protocols = _protocols(rule, version)
    addresses = _addresses(rule, version, sets)
    if protocols == frozenset() or addresses is None:
        return ()
    ported = rule.source.ports or rule.source.not_ports or rule.destination.ports or rule.destination.not_ports
    if protocols is None or not ported:
        return _conjunctions(rule, version, protocols, addresses)
    # Each protocol's own port fields: nft would turn two matches on `th` into one on raw bytes.
    each_protocol = (_conjunctions(rule, version, frozenset({one}), addresses) for one in sorted(protocols))
    return tuple(chain.from_iterable(each_protocol))


def _conjunctions(
    rule: Rule, version: int, protocols: frozenset[int] | None, addresses: Matches
) -> tuple[Matches, ...]:
    one = min(protocols, default=None) if protocols is not None and len(protocols) == 1 else None
    ports = _ports(rule, _PORTS[one]) if one in _PORTS else ()
    if ports is None:
        return ()
    icmp = _icmp(rule, version)
    implied = one is not None and bool(ports or icmp != ((),))
    protocol = () if implied else _protocol_match(protocols, rule.not_protocol)
    return tuple((*protocol, *addresses, *ports, *each) for each in icmp)


def _protocols(rule: Rule, version: int) -> frozenset[int] | None:
    """Those that the rule's conditions leave; None: all, but `not_protocol`."""
    left: frozenset[int] | None = None if rule.protocol is None else frozenset({rule.protocol})
    needs = []
    if rule.icmp or rule.not_icmp:
        needs.append(frozenset({_ICMP[version][0]}))
    if any(side.ports or side.not_ports for side in (rule.source, rule.destination)):
        needs.append(frozenset(_PORTS))
    for needed in needs:
        left = needed if left is None else left & needed
    return None if left is None else left - {rule.not_protocol}


def _protocol_match(protocols: frozenset[int] | None, but: int | None) -> Matches:
    key = (Field.L4PROTO,)
    if protocols is not None:
        return (Match(key, _one_or_all(protocols)),)
    return () if but is None else (Match(key, but, negate=True),)


def _addresses(rule: Rule, version: int, sets: SetBook) -> Matches | None:
    found: list[Match] = []
    for side, field_ in zip((rule.source, rule.destination), _ADDRESSES[version], strict=True):
        matches = _side(side, (field_,), version, sets)
        if matches is None:
            return None
        found += matches
    return _plain_first(found)


def _side(side: Side, key: tuple[Field, ...], version: int, sets: SetBook) -> list[Match] | None:
    """One side's addresses; None where no address of this family will do."""
    found: list[Match] = []
    for nets, negate in ((side.nets, False), (side.not_nets, True)):
        if not nets:
            continue
        mine = frozenset(elements(nets, version))
        everything = any(isinstance(each, IPNetwork) and each.prefixlen == 0 for each in mine)
        if not mine or (everything and negate):
            return None
        if not everything:
            found.append(Match(key, _one_or_all(_joined(mine)), negate))
    for name in side.sets:
        ref = sets.ref(name, version)
        if ref is None:
            return None
        found.append(Match(key, ref))
    refs = (sets.ref(name, version) for name in side.not_sets)
    return [*found, *(Match(key, ref, negate=True) for ref in refs if ref is not None)]


def _joined(nets: frozenset[Element]) -> frozenset[Element]:
    """As nft keeps a set in a rule: neighbours that are no network together are a range."""
    spans: list[tuple[IPAddress, IPAddress]] = []
    for first, last in sorted(_ends(net) for net in nets):
        if spans and int(first) == int(spans[-1][1]) + 1:
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return frozenset(_element(first, last) for first, last in spans)


def _ends(net: Element) -> tuple[IPAddress, IPAddress]:
    found = ip_network(net)  # type: ignore[arg-type] # from `elements`: an address or a network
    return found.network_address, found.broadcast_address


def _element(first: IPAddress, last: IPAddress) -> Element:
    if first == last:
        return first
    nets: list[IPNetwork] = list(summarize_address_range(first, last))
    return nets[0] if len(nets) == 1 else Span(first, last)


def _ports(rule: Rule, fields: tuple[Field, Field]) -> Matches | None:
    """None where no port will do."""
    found: list[Match] = []
    for side, field_ in zip((rule.source, rule.destination), fields, strict=True):
        for ports, negate in ((side.ports, False), (side.not_ports, True)):
            merged = _merged(ports)
            if merged == [_ALL_PORTS] and negate:
                return None
            if merged and merged != [_ALL_PORTS]:
                spans = frozenset(first if first == last else Span(first, last) for first, last in merged)
                found.append(Match((field_,), _one_or_all(spans), negate))
    return _plain_first(found)


def _plain_first(matches: list[Match]) -> Matches:
    """Comparisons with one value in front, as nft moves them to read neighbouring bytes at once."""
    return tuple(sorted(matches, key=lambda match: match.negate or isinstance(match.right, frozenset | SetRef)))


def _merged(ports: Iterable[PortRange]) -> list[tuple[int, int]]:
    """In order, none touching another: nft refuses overlaps."""
    merged: list[tuple[int, int]] = []
    for first, last in sorted((each.first, each.last) for each in ports):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def _icmp(rule: Rule, version: int) -> tuple[Matches, ...]:
    """Alternatives; a negation that the wanted type answers already is not stated."""
    _, type_, code = _ICMP[version]
    wanted, unwanted = rule.icmp, rule.not_icmp
    if unwanted is None or (wanted is not None and wanted.type != unwanted.type):
        return (_icmp_match(wanted, type_, code),)
    other_type = Match((type_,), unwanted.type, negate=True)
    if unwanted.code is None:
        return () if wanted is not None else ((other_type,),)
    same_type, other_code = Match((type_,), unwanted.type), Match((code,), unwanted.code, negate=True)
    if wanted is None:
        return ((other_type,), (same_type, other_code))
    if wanted.code is None:
        return ((same_type, other_code),)
    return () if wanted.code == unwanted.code else (_icmp_match(wanted, type_, code),)


def _icmp_match(icmp: ICMPMatch | None, type_: Field, code: Field) -> Matches:
    if icmp is None:
        return ()
    of_type = Match((type_,), icmp.type)
    return (of_type,) if icmp.code is None else (of_type, Match((code,), icmp.code))


E = TypeVar("E", bound=Element)


def _one_or_all(members: frozenset[E]) -> E | frozenset[E]:
    """A set of one is written without braces."""
    return next(iter(members)) if len(members) == 1 else members
