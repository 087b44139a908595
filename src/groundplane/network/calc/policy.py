"""Which policies police an endpoint, per direction, and in what order. Pure, and apart from what their rules say.

Tiers go by order, unset last, then name; policies likewise, ties by `name/namespace/kind`. A policy polices a direction
if its `types` name it. A policy whose tier does not exist polices nothing, as in Calico.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from groundplane.network.calc.model import PolicyID
from groundplane.network.calc.model import Tier as AppliedTier
from groundplane.network.resources import (
    BUILT_IN_TIERS,
    Direction,
    GlobalNetworkPolicy,
    NetworkPolicy,
    Tier,
    built_in_tier,
)
from groundplane.network.resources.policy import DefaultAction
from groundplane.network.selector import NAMESPACE, Selector, both, equals, of_namespaces, of_service_accounts, parse

AnyPolicy = NetworkPolicy | GlobalNetworkPolicy


@dataclass(frozen=True, slots=True)
class OrderedPolicy:
    """A policy in its place: `selector` says of whom, in one."""

    id: PolicyID
    policy: AnyPolicy
    selector: Selector


@dataclass(frozen=True, slots=True)
class OrderedTier:
    """A tier in its place, with its policies in theirs."""

    name: str
    default_pass: bool
    policies: tuple[OrderedPolicy, ...]


def policy_id(policy: AnyPolicy) -> PolicyID:
    """Name a policy apart from all others: `np/<namespace>/<name>` or `gnp/<name>`."""
    if isinstance(policy, NetworkPolicy):
        return PolicyID(f"np/{policy.namespace}/{policy.name}")
    return PolicyID(f"gnp/{policy.name}")


def policy_selector(policy: AnyPolicy) -> Selector:
    """Say in one selector whom a policy polices."""
    terms = [parse(policy.selector)]
    if isinstance(policy, NetworkPolicy):
        terms.append(equals(NAMESPACE, policy.namespace))
    elif policy.namespace_selector:
        terms.append(of_namespaces(parse(policy.namespace_selector)))
    if policy.service_account_selector:
        terms.append(of_service_accounts(parse(policy.service_account_selector)))
    return both(*terms)


def ordered(tiers: Iterable[Tier], policies: Iterable[AnyPolicy]) -> tuple[OrderedTier, ...]:
    """Put everything in its order. The tiers that are built in are there even if nobody stored them."""
    by_name: Mapping[str, Tier] = {
        **{name: built_in_tier(name) for name in BUILT_IN_TIERS},
        **{tier.name: tier for tier in tiers},
    }
    in_tier: dict[str, list[AnyPolicy]] = {}
    for policy in policies:
        in_tier.setdefault(policy.tier, []).append(policy)
    return tuple(
        OrderedTier(
            tier.name,
            tier.default_action is DefaultAction.PASS,
            tuple(
                OrderedPolicy(policy_id(policy), policy, policy_selector(policy))
                for policy in sorted(in_tier[tier.name], key=_policy_order)
            ),
        )
        for tier in sorted(by_name.values(), key=lambda tier: (_order(tier.order), tier.name))
        if tier.name in in_tier
    )


def _policy_order(policy: AnyPolicy) -> tuple[float, str]:
    return _order(policy.order), f"{policy.name}/{policy.namespace}/{policy.kind}"


def _order(order: float | None) -> float:
    return inf if order is None else order


def applied(
    tiers: Sequence[OrderedTier], selecting: frozenset[PolicyID], direction: Direction
) -> tuple[AppliedTier, ...]:
    """List the tiers that police a direction of an endpoint which the policies `selecting` select."""
    found = []
    for tier in tiers:
        names = tuple(each.id for each in tier.policies if each.id in selecting and direction in each.policy.types)
        if names:
            found.append(AppliedTier(name=tier.name, policies=names, default_pass=tier.default_pass))
    return tuple(found)
