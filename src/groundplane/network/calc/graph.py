"""All resources -> one host's dataplane. Pure and deterministic: equal states give equal dataplanes.

It is a full calculation each time, made of steps that each depend on little: labels of each item, order of policies,
which policies select which local endpoint, rules of the active ones, members of the sets that these name. An
incremental calculation would keep the answers of each step and redo those that an event touches.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from groundplane.names import HostName
from groundplane.network.calc.index import Index, Labelled, endpoint_labels, set_labels
from groundplane.network.calc.model import (
    Action,
    Chain,
    Dataplane,
    Endpoint,
    IPNetwork,
    PolicyID,
    ProfileID,
    Rule,
)
from groundplane.network.calc.policy import AnyPolicy, OrderedTier, applied, ordered
from groundplane.network.calc.rules import Bearers, Compiler, NamedPort, SetSource
from groundplane.network.calc.state import State
from groundplane.network.resources import (
    Direction,
    GlobalNetworkPolicy,
    GlobalNetworkSet,
    IPPool,
    NetworkPolicy,
    NetworkSet,
    Profile,
    Tier,
    Use,
    WorkloadEndpoint,
    default_allow_profile,
)
from groundplane.network.selector import Selector

_MISSING = Chain(
    ingress=(Rule(action=Action.DENY, comment="missing profile"),),
    egress=(Rule(action=Action.DENY, comment="missing profile"),),
)
"""What stands for a profile that an endpoint names and nobody has made: Calico denies, too."""


def compute(state: State, *, node: HostName) -> Dataplane:
    """Calculate what the host's packet filter must be."""
    profiles = {each.name: each for each in (default_allow_profile(), *state.all(Profile))}
    items = _labelled(state, profiles)
    index = Index(items)
    local = [item for item in items if item.endpoint and item.endpoint.node == node and item.endpoint.interface_name]
    local = _one_per_interface(local)
    tiers = ordered(state.all(Tier), (*state.all(NetworkPolicy), *state.all(GlobalNetworkPolicy)))
    selecting = _selecting(tiers, Index(local))
    compiler = Compiler(_bearers_in(index))
    policies = _chains(tiers, frozenset().union(*selecting.values()), compiler)
    endpoints = tuple(_endpoint(item, tiers, selecting[item]) for item in local)
    used = sorted({name for endpoint in endpoints for name in endpoint.profiles})
    chains = {name: _profile(profiles.get(name), compiler) for name in used}
    pools = [pool for pool in state.all(IPPool) if pool.allowed_uses != (Use.LOAD_BALANCER,)]
    return Dataplane(
        endpoints=endpoints,
        policies=policies,
        profiles=chains,
        sets={name: _members(source, index) for name, source in sorted(compiler.sets.items())},
        pools=frozenset(pool.cidr for pool in pools),
        masquerade=frozenset(pool.cidr for pool in pools if pool.nat_outgoing),
    )


def _labelled(state: State, profiles: Mapping[str, Profile]) -> list[Labelled]:
    """Give labels to all that selectors can find; an endpoint without addresses is not there yet."""
    items = [
        Labelled(endpoint_labels(each, profiles), each.ip_networks, each.ports, each)
        for each in state.all(WorkloadEndpoint)
        if each.ip_networks
    ]
    items += [Labelled(set_labels(each, profiles), each.nets) for each in state.all(NetworkSet)]
    items += [Labelled(set_labels(each, profiles), each.nets) for each in state.all(GlobalNetworkSet)]
    return items


def _one_per_interface(items: Iterable[Labelled]) -> list[Labelled]:
    """Let the younger record win where two claim one interface: the older is a leftover."""
    found: dict[str, Labelled] = {}
    for item in sorted(items, key=_age):
        assert item.endpoint
        found[item.endpoint.interface_name] = item
    return [found[name] for name in sorted(found)]


def _age(item: Labelled) -> tuple[str, str, str]:
    assert item.endpoint
    return item.endpoint.metadata.creation_timestamp, item.endpoint.namespace, item.endpoint.name


def _selecting(tiers: Sequence[OrderedTier], local: Index) -> Mapping[Labelled, frozenset[PolicyID]]:
    found: defaultdict[Labelled, set[PolicyID]] = defaultdict(set)
    for tier in tiers:
        for policy in tier.policies:
            for item in local.select(policy.selector):
                found[item].add(policy.id)
    return defaultdict(frozenset, {item: frozenset(names) for item, names in found.items()})


def _endpoint(item: Labelled, tiers: Sequence[OrderedTier], selecting: frozenset[PolicyID]) -> Endpoint:
    assert item.endpoint
    return Endpoint(
        interface=item.endpoint.interface_name,
        addresses=item.endpoint.addresses,
        ingress=applied(tiers, selecting, Direction.INGRESS),
        egress=applied(tiers, selecting, Direction.EGRESS),
        profiles=tuple(ProfileID(name) for name in item.endpoint.profiles),
    )


def _chains(tiers: Sequence[OrderedTier], active: frozenset[PolicyID], compiler: Compiler) -> Mapping[PolicyID, Chain]:
    return {
        each.id: _policy(each.policy, each.id, compiler)
        for tier in tiers
        for each in tier.policies
        if each.id in active
    }


def _policy(policy: AnyPolicy, name: PolicyID, compiler: Compiler) -> Chain:
    return Chain(
        ingress=compiler.rules(policy.ingress, namespace=policy.namespace, comment=name),
        egress=compiler.rules(policy.egress, namespace=policy.namespace, comment=name),
    )


def _profile(profile: Profile | None, compiler: Compiler) -> Chain:
    if profile is None:
        return _MISSING
    comment = f"pro/{profile.name}"
    return Chain(
        ingress=compiler.rules(profile.ingress, namespace="", comment=comment),
        egress=compiler.rules(profile.egress, namespace="", comment=comment),
    )


def _bearers_in(index: Index) -> Bearers:
    """Answer what a port's name stands for; each question is looked up once."""

    @cache
    def ask(selector: Selector, name: str) -> frozenset[tuple[int, int]]:
        return frozenset(
            (port.protocol, port.port) for item in index.select(selector) for port in item.ports if port.name == name
        )

    return ask


def _members(source: SetSource, index: Index) -> frozenset[IPNetwork]:
    if not isinstance(source, NamedPort):
        return frozenset(net for item in index.select(source) for net in item.nets)
    wanted = (source.name, source.protocol, source.number)
    return frozenset(
        net
        for item in index.select(source.selector)
        if any((port.name, port.protocol, port.port) == wanted for port in item.ports)
        for net in item.nets
    )
