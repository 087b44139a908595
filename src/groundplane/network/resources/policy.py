"""NetworkPolicy and GlobalNetworkPolicy, the tiers that they stand in, and the profiles behind them all."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar

from groundplane.network.calc.model import Action
from groundplane.network.resources.fields import Fields
from groundplane.network.resources.metadata import Meta, Metadata, dns_label
from groundplane.network.resources.rule import PolicyRule, read_rules, write_rule
from groundplane.network.resources.values import selector_text

TIER_LABEL = "projectcalico.org/tier"
DEFAULT_TIER = "default"
ALLOW_ALL_PROFILE = "projectcalico-default-allow"
"""Always there, never stored."""

_EXACT = 2**53

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAMESPACED = re.compile(rf"{_LABEL}(?:\.{_LABEL})?|(?:knp|ossg)\.default\..+")
_GLOBAL = re.compile(rf"{_LABEL}(?:\.{_LABEL})?")


class Direction(Enum):
    """Of traffic, as the endpoint sees it."""

    INGRESS = "Ingress"
    EGRESS = "Egress"


class DefaultAction(Enum):
    """What a tier does with traffic that its policies select and no rule decides."""

    DENY = "Deny"
    PASS = "Pass"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy(Meta):
    """What both kinds share. `order` None is last. `types` are filled in: they are never empty."""

    metadata: Metadata
    tier: str = DEFAULT_TIER
    order: float | None = None
    selector: str = ""
    service_account_selector: str = ""
    types: tuple[Direction, ...]
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    performance_hints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPolicy(Policy):
    """Polices the endpoints of its own namespace."""

    kind: ClassVar[str] = "NetworkPolicy"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalNetworkPolicy(Policy):
    """Polices endpoints of any namespace, or of those that `namespace_selector` selects."""

    kind: ClassVar[str] = "GlobalNetworkPolicy"
    namespace_selector: str = ""
    apply_on_forward: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier(Meta):
    """A place in the order of policies. `order` None is last."""

    kind: ClassVar[str] = "Tier"
    metadata: Metadata
    order: float | None = None
    default_action: DefaultAction = DefaultAction.DENY


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(Meta):
    """What decides when no policy has, and labels that all who carry it inherit."""

    kind: ClassVar[str] = "Profile"
    metadata: Metadata
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    labels_to_apply: Mapping[str, str] = field(default_factory=dict)


BUILT_IN_TIERS: Mapping[str, tuple[float, DefaultAction]] = {
    "kube-admin": (1_000, DefaultAction.PASS),
    DEFAULT_TIER: (1_000_000, DefaultAction.DENY),
    "kube-baseline": (10_000_000, DefaultAction.PASS),
}


def built_in_tier(name: str) -> Tier:
    """Make one of the tiers that are always there."""
    order, action = BUILT_IN_TIERS[name]
    return Tier(metadata=Metadata(name=name), order=order, default_action=action)


def namespace_profile(namespace: str) -> Profile:
    """Make the profile that pods of a namespace carry, as Kubernetes' own rule has it: all is allowed."""
    allow = (PolicyRule(action=Action.ALLOW),)
    return Profile(
        metadata=Metadata(name=f"kns.{namespace}"),
        ingress=allow,
        egress=allow,
        labels_to_apply={"pcns.projectcalico.org/name": namespace},
    )


def default_allow_profile() -> Profile:
    """Make the profile `projectcalico-default-allow`."""
    allow = (PolicyRule(action=Action.ALLOW),)
    return Profile(metadata=Metadata(name=ALLOW_ALL_PROFILE), ingress=allow, egress=allow)


def read_network_policy(metadata: Metadata, spec: Fields) -> NetworkPolicy:
    """Read the spec, and fill in tier, types and the tier's label."""
    _check_name(metadata, spec, _NAMESPACED)
    common = _read_common(metadata, spec)
    spec.done()
    return NetworkPolicy(**common)


def read_global_network_policy(metadata: Metadata, spec: Fields) -> GlobalNetworkPolicy:
    """Read the spec likewise. Untracked and pre-DNAT policies police host endpoints, which are not built: refused."""
    _check_name(metadata, spec, _GLOBAL)
    for name in ("doNotTrack", "preDNAT"):
        if spec.boolean(name):
            spec.refuse("polices host endpoints, which are not enforced here", name, hint="remove it")
    namespaces = spec.parsed("namespaceSelector", selector_text) or ""
    if "global()" in namespaces and namespaces.strip() != "global()":
        spec.refuse("global() must stand alone", "namespaceSelector")
    forward = spec.boolean("applyOnForward")
    common = _read_common(metadata, spec)
    spec.done()
    return GlobalNetworkPolicy(namespace_selector=namespaces, apply_on_forward=forward, **common)


def _check_name(metadata: Metadata, spec: Fields, rule: re.Pattern[str]) -> None:
    if not rule.fullmatch(metadata.name):
        spec.refuse(
            f"{metadata.name!r} is not the name of a policy", hint="use one label, or <tier>.<label>: a-z, 0-9 and -"
        )


def _read_common(metadata: Metadata, spec: Fields) -> dict[str, Any]:
    tier = spec.parsed("tier", dns_label) or DEFAULT_TIER
    selector = spec.parsed("selector", selector_text) or ""
    if "global()" in selector:
        spec.refuse("global() is for namespaceSelector", "selector")
    ingress, egress = read_rules(spec, "ingress"), read_rules(spec, "egress")
    types = spec.choices("types", Direction)
    if not types:
        types = (Direction.INGRESS,) if ingress or not egress else ()
        types += (Direction.EGRESS,) if egress else ()
    for direction, rules in ((Direction.INGRESS, ingress), (Direction.EGRESS, egress)):
        if rules and direction not in types:
            name = direction.value.lower()
            spec.refuse(
                f"has rules, but types leaves {direction.value} out", name, hint=f"add {direction.value} to types"
            )
    return {
        "metadata": replace(metadata, labels={**metadata.labels, TIER_LABEL: tier}),
        "tier": tier,
        "order": spec.number("order"),
        "selector": selector,
        "service_account_selector": spec.parsed("serviceAccountSelector", selector_text) or "",
        "types": types,
        "ingress": ingress,
        "egress": egress,
        "performance_hints": spec.texts("performanceHints"),
    }


def write_policy(policy: NetworkPolicy | GlobalNetworkPolicy) -> dict[str, object]:
    """Write the spec as it is stored."""
    spec: dict[str, object] = {
        "tier": policy.tier,
        "order": _number(policy.order),
        "ingress": [write_rule(rule) for rule in policy.ingress] or None,
        "egress": [write_rule(rule) for rule in policy.egress] or None,
        "selector": policy.selector or None,
        "types": [direction.value for direction in policy.types],
        "serviceAccountSelector": policy.service_account_selector or None,
        "performanceHints": list(policy.performance_hints) or None,
    }
    if isinstance(policy, GlobalNetworkPolicy):
        spec["namespaceSelector"] = policy.namespace_selector or None
        spec["applyOnForward"] = policy.apply_on_forward or None
    return {name: value for name, value in spec.items() if value is not None}


def _number(value: float | None) -> float | int | None:
    """Write whole numbers as such, as Go does (and as long as a float counts them one by one)."""
    return int(value) if value is not None and abs(value) < _EXACT and value == int(value) else value


def read_tier(metadata: Metadata, spec: Fields) -> Tier:
    """Read the spec; those built in have fixed values."""
    try:
        dns_label(metadata.name)
    except ValueError as failed:
        spec.refuse(str(failed))
    tier = Tier(
        metadata=metadata,
        order=spec.number("order"),
        default_action=spec.choice("defaultAction", DefaultAction, DefaultAction.DENY),
    )
    spec.done()
    if tier.name in BUILT_IN_TIERS and (tier.order, tier.default_action) != BUILT_IN_TIERS[tier.name]:
        order, action = BUILT_IN_TIERS[tier.name]
        spec.refuse(f"tier {tier.name} is built in", hint=f"its order is {order:g}, its defaultAction {action.value}")
    return tier


def write_tier(tier: Tier) -> dict[str, object]:
    """Write the spec as it is stored."""
    spec = {"order": _number(tier.order), "defaultAction": tier.default_action.value}
    return {name: value for name, value in spec.items() if value is not None}


def read_profile(metadata: Metadata, spec: Fields) -> Profile:
    """Read the spec."""
    profile = Profile(
        metadata=metadata,
        ingress=read_rules(spec, "ingress"),
        egress=read_rules(spec, "egress"),
        labels_to_apply=spec.table("labelsToApply"),
    )
    spec.done()
    if any(rule.action is Action.PASS for rule in (*profile.ingress, *profile.egress)):
        spec.refuse("nothing comes after a profile for Pass to go on to", hint="use Allow, Deny or Log")
    return profile


def write_profile(profile: Profile) -> dict[str, object]:
    """Write the spec as it is stored."""
    spec: dict[str, object] = {
        "ingress": [write_rule(rule) for rule in profile.ingress],
        "egress": [write_rule(rule) for rule in profile.egress],
        "labelsToApply": dict(profile.labels_to_apply),
    }
    return {name: value for name, value in spec.items() if value}
