"""The packet filter of one host, from what the calculation says of it: one nftables table, as a value.

    prerouting -300    a workload sends from its own addresses, or not at all
    forward       0    from a workload: its egress policy      +1    to a workload: its ingress policy
    input         0    from a workload: its egress policy      +1    to the host: `endpoint_to_host`
    postrouting 100    masquerade what leaves the pools

An accept ends one base chain only, so the two directions of a packet between two local workloads are two base chains
of one hook; policies may then simply accept and drop, and need a mark for Pass alone. An interface finds its chain by
one map lookup, however many there are; a policy's chain, and a tier's list of policies, is shared by all endpoints that
have it. What the node's own processes send to its workloads is never policed (nothing on output); other traffic of the
host is not looked at either: BGP, IPIP between nodes, and what is no workload's.

Policies apply as in section "Policy semantics" of the reference: tiers, then profiles, then drop; what is established
stays established.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv6Address, IPv6Network

from groundplane.network.calc.model import Action, Dataplane, Endpoint, PolicyID, ProfileID, Rule, Tier
from groundplane.network.calc.model import Chain as PolicyChain
from groundplane.network.dataplane import match
from groundplane.network.dataplane.naming import comment, named
from groundplane.nftables.model import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ClearMark,
    Counter,
    Element,
    Field,
    Hook,
    HookPoint,
    Log,
    Lookup,
    MarkMatch,
    Masquerade,
    Match,
    SetMark,
    SetRef,
    Statement,
    Table,
    Verdict,
    VerdictMap,
    goto,
    jump,
)
from groundplane.nftables.model import Rule as NftRule
from groundplane.nftables.model import Set as NftSet

TABLE = "groundplane"
PASS_MARK = 0x20000  # of the mask 0xffff0000 that Calico's marks keep to; the only bit in use
_RAW, _FILTER, _AFTER_FILTER, _SRCNAT = -300, 0, 1, 100
_NEIGHBOURS = frozenset({130, 131, 132, 133, 135, 136})  # ICMPv6: multicast listeners, router and neighbour discovery
_LINK_LOCAL = IPv6Network("fe80::/10")
_IPIP = 4
_KEPT = frozenset({("established", ACCEPT), ("related", ACCEPT), ("invalid", DROP)})
_STATE = NftRule((Lookup((Field.CT_STATE,), frozenset[tuple[Element, Verdict]](_KEPT)),))


class EndpointToHost(Enum):
    """What becomes of a workload's traffic to its own host that its egress policy allows."""

    DROP = "Drop"
    ACCEPT = "Accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What FelixConfiguration says of the filter; defaults are Calico's."""

    host_prefix: str = "cali"
    endpoint_to_host: EndpointToHost = EndpointToHost.DROP
    tunnels_from_workloads: bool = False
    vxlan_port: int = 4789
    log_prefix: str = "calico-packet"


DEFAULTS = Options()


def render(dataplane: Dataplane, options: Options = DEFAULTS) -> Table:
    """The table that polices `dataplane`."""
    return _Renderer(dataplane=dataplane, options=options).table()


def render_closed(options: Options = DEFAULTS) -> Table:
    """Nothing from or to any workload: for a host that has no table yet, until the first calculation is done.

    Not for a restart: the table that is in the kernel still polices, and closing it would cut what it allows.
    """
    workloads = f"{options.host_prefix}*"
    closed = "no policy is known yet"
    return Table(
        name=TABLE,
        chains={
            "prerouting": Chain(
                hook=Hook(point=HookPoint.PREROUTING, priority=_RAW),
                rules=(_drop(closed, Match((Field.IIFNAME,), workloads)),),
            ),
            "forward-to": Chain(
                hook=Hook(point=HookPoint.FORWARD, priority=_AFTER_FILTER),
                rules=(_drop(closed, Match((Field.OIFNAME,), workloads)),),
            ),
            "output": Chain(
                hook=Hook(point=HookPoint.OUTPUT, priority=_FILTER),
                rules=(_drop(closed, Match((Field.OIFNAME,), workloads)),),
            ),
        },
    )


def _drop(why: str, *matches: Statement) -> NftRule:
    return NftRule((*matches, Counter(), DROP), comment(why))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Direction:
    """The words of one direction: of chain names, and of the rules."""

    to: bool
    field: Field

    @property
    def way(self) -> str:
        return "to" if self.to else "from"

    @property
    def side(self) -> str:
        return "in" if self.to else "out"

    def tiers(self, endpoint: Endpoint) -> tuple[Tier, ...]:
        return endpoint.ingress if self.to else endpoint.egress

    def rules(self, chain: PolicyChain) -> tuple[Rule, ...]:
        return chain.ingress if self.to else chain.egress


_INGRESS = _Direction(to=True, field=Field.OIFNAME)
_EGRESS = _Direction(to=False, field=Field.IIFNAME)
_NOTHING = PolicyChain()


@dataclass(slots=True, kw_only=True)
class _Renderer:
    """One rendering: collects the shared chains and the sets that turn out to be referred to."""

    dataplane: Dataplane
    options: Options
    chains: dict[str, Chain] = field(default_factory=dict)
    sets: match.SetBook = field(init=False)

    def __post_init__(self) -> None:
        self.sets = match.SetBook(members=self.dataplane.sets)

    def table(self) -> Table:
        bases = self.bases()
        maps = {}
        for direction in (_EGRESS, _INGRESS):
            self.chains[f"workload-{direction.way}"] = Chain(rules=tuple(self.every_workload(direction)))
            entries: dict[Element, Verdict] = {}
            for endpoint in self.dataplane.endpoints:
                name = named(f"{direction.way}-", endpoint.interface)
                self.chains[name] = Chain(rules=tuple(self.endpoint(endpoint, direction)))
                entries[endpoint.interface] = goto(name)
            maps[f"{direction.way}-workload"] = VerdictMap(types=("ifname",), elements=entries)
        return Table(name=TABLE, chains={**bases, **self.chains}, sets=self.sets.used, maps=maps)

    def bases(self) -> dict[str, Chain]:
        def base(point: HookPoint, priority: int, rules: Iterator[NftRule], kind: str = "filter") -> Chain:
            return Chain(hook=Hook(point=point, priority=priority, kind=kind), rules=tuple(rules))

        return {
            "prerouting": base(HookPoint.PREROUTING, _RAW, self.sources()),
            "forward-from": base(HookPoint.FORWARD, _FILTER, self.dispatch(_EGRESS)),
            "forward-to": base(HookPoint.FORWARD, _AFTER_FILTER, self.dispatch(_INGRESS)),
            "input-from": base(HookPoint.INPUT, _FILTER, self.input_from()),
            "input-host": base(HookPoint.INPUT, _AFTER_FILTER, self.input_host()),
            "masquerade": base(HookPoint.POSTROUTING, _SRCNAT, self.masquerade(), kind="nat"),
        }

    def workloads(self, field_: Field) -> Iterator[Match]:
        """Interfaces that are workloads', known or not."""
        yield Match((field_,), f"{self.options.host_prefix}*")
        for endpoint in self.dataplane.endpoints:
            if not endpoint.interface.startswith(self.options.host_prefix):
                yield Match((field_,), endpoint.interface)

    def sources(self) -> Iterator[NftRule]:
        """Before conntrack: what is not from a workload's own address must not touch another's connections."""
        for version, source in ((4, Field.IP_SADDR), (6, Field.IP6_SADDR)):
            own = frozenset[Element](
                (endpoint.interface, address)
                for endpoint in self.dataplane.endpoints
                for address in endpoint.addresses
                if address.version == version
            )
            if own:
                name = f"addresses{version}"
                self.sets.used[name] = NftSet(types=("ifname", f"ipv{version}_addr"), elements=own)
                yield NftRule((Match((Field.IIFNAME, source), SetRef(name)), ACCEPT))
        yield NftRule((Match((Field.IP6_SADDR,), _LINK_LOCAL), ACCEPT), "link-local is never forwarded")
        discovery = Match((Field.ICMPV6_TYPE,), frozenset[Element](_NEIGHBOURS))
        yield NftRule((Match((Field.IP6_SADDR,), IPv6Address("::")), discovery, ACCEPT), "address detection")
        for match_ in self.workloads(Field.IIFNAME):
            yield _drop("not an address of this workload", match_)

    def dispatch(self, direction: _Direction) -> Iterator[NftRule]:
        yield NftRule((Lookup((direction.field,), SetRef(f"{direction.way}-workload")),))
        for match_ in self.workloads(direction.field):
            yield _drop("unknown workload", match_)

    def input_from(self) -> Iterator[NftRule]:
        yield NftRule((Match((Field.ICMPV6_TYPE,), frozenset[Element](_NEIGHBOURS)), ACCEPT))
        yield from self.dispatch(_EGRESS)

    def input_host(self) -> Iterator[NftRule]:
        if self.options.endpoint_to_host is EndpointToHost.ACCEPT:
            return
        answers = frozenset[Element]({"established", "related"})  # what is invalid is the host's own affair
        yield NftRule((Match((Field.CT_STATE,), answers), ACCEPT))
        yield NftRule((Match((Field.ICMPV6_TYPE,), frozenset[Element](_NEIGHBOURS)), ACCEPT))
        for match_ in self.workloads(Field.IIFNAME):
            yield _drop("from a workload to its host", match_)

    def masquerade(self) -> Iterator[NftRule]:
        for version, source, target in ((4, Field.IP_SADDR, Field.IP_DADDR), (6, Field.IP6_SADDR, Field.IP6_DADDR)):
            inside = frozenset(match.elements(self.dataplane.masquerade, version))
            pools = frozenset(match.elements(self.dataplane.pools | self.dataplane.masquerade, version))
            if inside:
                from_pool = Match((source,), self.sets.keep(f"{version}.masquerade", inside, version))
                leaves = Match((target,), self.sets.keep(f"{version}.pools", pools, version), negate=True)
                yield NftRule((from_pool, leaves, Counter(), Masquerade()))

    def every_workload(self, direction: _Direction) -> Iterator[NftRule]:
        yield _STATE
        if not direction.to and not self.options.tunnels_from_workloads:
            yield _drop("tunnel from a workload", Match((Field.L4PROTO,), _IPIP))
            yield _drop("tunnel from a workload", Match((Field.UDP_DPORT,), self.options.vxlan_port))

    def endpoint(self, endpoint: Endpoint, direction: _Direction) -> Iterator[NftRule]:
        if not endpoint.admin_up:
            yield _drop("workload is administratively down")
            return
        yield NftRule((jump(f"workload-{direction.way}"),))
        for tier in direction.tiers(endpoint):
            passes = any(self.passes(policy, direction) for policy in tier.policies)
            if passes:
                yield NftRule((ClearMark(PASS_MARK),))
            yield NftRule((jump(self.tier(tier, direction)),), comment(f"tier {tier.name}"))
            if not tier.default_pass:
                undecided = (MarkMatch(PASS_MARK, 0),) if passes else ()
                yield _drop(f"end of tier {tier.name}", *undecided)
                if not passes:
                    return  # nothing gets further
        for profile in endpoint.profiles:
            if profile not in self.dataplane.profiles:
                yield _drop(f"profile {profile} is missing")
                return
            yield NftRule((jump(self.profile(profile, direction)),))
        yield _drop("no profile allows")

    def passes(self, policy: PolicyID, direction: _Direction) -> bool:
        rules = direction.rules(self.dataplane.policies.get(policy, _NOTHING))
        return any(rule.action is Action.PASS for rule in rules)

    def tier(self, tier: Tier, direction: _Direction) -> str:
        """The chain of a tier's policies: of the one policy itself, or of the list, for all endpoints that have it."""
        if len(tier.policies) == 1:
            return self.policy(tier.policies[0], direction)
        digest = hashlib.sha256("\n".join(tier.policies).encode()).hexdigest()[:16]
        name = named(f"tier-{direction.side}-", f"{tier.name}-{digest}")
        if name not in self.chains:
            self.chains[name] = Chain(rules=tuple(self.tier_rules(tier, direction)))
        return name

    def tier_rules(self, tier: Tier, direction: _Direction) -> Iterator[NftRule]:
        for policy in tier.policies:
            yield NftRule((jump(self.policy(policy, direction)),))
            if self.passes(policy, direction) and policy != tier.policies[-1]:
                yield NftRule((MarkMatch(PASS_MARK, PASS_MARK), RETURN))

    def policy(self, policy: PolicyID, direction: _Direction) -> str:
        name = named(f"{direction.side}-", policy)
        if name not in self.chains:
            chain = self.dataplane.policies.get(policy)
            missing = (_drop(f"{policy} is missing"),)
            self.chains[name] = Chain(rules=self.rules(policy, chain, direction, _OF_POLICY) if chain else missing)
        return name

    def profile(self, profile: ProfileID, direction: _Direction) -> str:
        name = named(f"profile-{direction.side}-", profile)
        if name not in self.chains:
            chain = self.dataplane.profiles[profile]
            self.chains[name] = Chain(rules=self.rules(f"profile {profile}", chain, direction, _OF_PROFILE))
        return name

    def rules(
        self, owner: str, chain: PolicyChain, direction: _Direction, actions: Mapping[Action, tuple[Statement, ...]]
    ) -> tuple[NftRule, ...]:
        rendered: list[NftRule] = []
        for number, rule in enumerate(direction.rules(chain), start=1):
            then = actions.get(rule.action) or (Log(f"{self.options.log_prefix}: "),)
            about = comment(rule.comment or f"{owner} rule {number}")
            rendered += match.rules(rule, (Counter(), *then), sets=self.sets, comment=about)
        return tuple(rendered)


_OF_POLICY: Mapping[Action, tuple[Statement, ...]] = {
    Action.ALLOW: (ACCEPT,),
    Action.DENY: (DROP,),
    Action.PASS: (SetMark(PASS_MARK), RETURN),
}
_OF_PROFILE: Mapping[Action, tuple[Statement, ...]] = {
    Action.ALLOW: (ACCEPT,),
    Action.DENY: (DROP,),
    Action.PASS: (RETURN,),  # there is no next tier to go to: the next profile is asked
}
