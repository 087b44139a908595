"""One projectcalico.org/v3 document: mapping -> resource, resource -> mapping, resource <-> etcd key and value.

Stored values differ from documents in one thing: a policy's name is kept in an annotation, since older Calico wrote it
with its tier in front. Policies are read strictly even from the store: a condition that is not understood must not
silently widen a rule. Of other kinds, fields that only newer writers know are passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid
from groundplane.network.resources import endpoint, netset, node, policy, pool
from groundplane.network.resources.endpoint import WorkloadEndpoint
from groundplane.network.resources.fields import Fields
from groundplane.network.resources.metadata import Metadata, read_metadata, write_metadata
from groundplane.network.resources.netset import GlobalNetworkSet, NetworkSet
from groundplane.network.resources.node import BGPConfiguration, ClusterInformation, Node
from groundplane.network.resources.policy import GlobalNetworkPolicy, NetworkPolicy, Profile, Tier
from groundplane.network.resources.pool import IPPool

API_VERSION = "projectcalico.org/v3"
PREFIX = "/calico/resources/v3/projectcalico.org/"
_NAME_ANNOTATION = "projectcalico.org/metadata"

Resource = (
    IPPool
    | Node
    | WorkloadEndpoint
    | NetworkPolicy
    | GlobalNetworkPolicy
    | Profile
    | Tier
    | NetworkSet
    | GlobalNetworkSet
    | ClusterInformation
    | BGPConfiguration
)


@dataclass(frozen=True, slots=True)
class Kind:
    """How a kind is called in documents and keys, and how its spec is read and written."""

    name: str
    plural: str
    namespaced: bool
    read: Callable[[Metadata, Fields], Resource]
    write: Callable[[Any], dict[str, object]]


@dataclass(frozen=True, slots=True, order=True)
class ResourceKey:
    """What tells a resource from all others. `namespace` is empty for a kind that has none."""

    kind: str
    name: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


KINDS: Mapping[str, Kind] = {
    each.name: each
    for each in (
        Kind("IPPool", "ippools", False, pool.read_pool, pool.write_pool),
        Kind("Node", "nodes", False, node.read_node, node.write_node),
        Kind(
            "WorkloadEndpoint",
            "workloadendpoints",
            True,
            endpoint.read_workload_endpoint,
            endpoint.write_workload_endpoint,
        ),
        Kind("NetworkPolicy", "networkpolicies", True, policy.read_network_policy, policy.write_policy),
        Kind(
            "GlobalNetworkPolicy",
            "globalnetworkpolicies",
            False,
            policy.read_global_network_policy,
            policy.write_policy,
        ),
        Kind("Profile", "profiles", False, policy.read_profile, policy.write_profile),
        Kind("Tier", "tiers", False, policy.read_tier, policy.write_tier),
        Kind("NetworkSet", "networksets", True, netset.read_network_set, netset.write_nets),
        Kind("GlobalNetworkSet", "globalnetworksets", False, netset.read_global_network_set, netset.write_nets),
        Kind(
            "ClusterInformation",
            "clusterinformations",
            False,
            node.read_cluster_information,
            node.write_cluster_information,
        ),
        Kind("BGPConfiguration", "bgpconfigurations", False, node.read_bgp_configuration, node.write_bgp_configuration),
    )
}
_BY_PLURAL = {kind.plural: kind for kind in KINDS.values()}
_POLICIES = ("NetworkPolicy", "GlobalNetworkPolicy", "Profile", "Tier")

R = TypeVar("R", bound=Resource)


def kind_named(text: str, *, at: str = "kind") -> Kind:
    """Find a kind by its name or plural, in any case (`ippool`, `IPPools`)."""
    lower = text.lower()
    for kind in KINDS.values():
        if lower in (kind.name.lower(), kind.plural):
            return kind
    fields = Fields({text: None}, at=at)
    fields.passed_over(*KINDS)
    hint = ""
    try:
        fields.done()
    except Invalid as nearest:
        hint = nearest.hint
    raise Invalid(f"{text!r} is not a kind of resource known here", to=at, hint=hint)


def parse(document: Mapping[str, object], *, at: str) -> Resource:
    """Read one document as a user wrote it: strictly, with defaults filled in. Nothing but `Invalid` is raised."""
    return _parse(document, at=at, strict=True)


def _parse(document: object, *, at: str, strict: bool) -> Resource:
    fields = Fields(document, at=at, strict=strict)
    version = fields.needed("apiVersion")
    if version != API_VERSION:
        fields.refuse(f"{version!r} is not understood", "apiVersion", hint=f"use {API_VERSION}")
    kind = kind_named(fields.needed("kind"), at=fields.where("kind"))
    metadata = read_metadata(fields, namespaced=kind.namespaced)
    fields.passed_over("status")
    spec = fields.sub("spec")
    fields.done()
    return kind.read(metadata, spec)


def to_json(resource: Resource) -> dict[str, object]:
    """Write the whole document, as `parse` reads it."""
    return {
        "kind": resource.kind,
        "apiVersion": API_VERSION,
        "metadata": write_metadata(resource.metadata),
        "spec": KINDS[resource.kind].write(resource),
    }


def key_of(resource: Resource) -> ResourceKey:
    """Tell which one it is."""
    return ResourceKey(resource.kind, resource.name, resource.namespace)


def etcd_prefix(kind: str, namespace: str = "") -> bytes:
    """Give the prefix of a kind's keys, or of those in one namespace."""
    return f"{PREFIX}{KINDS[kind].plural}/{namespace}{'/' if namespace else ''}".encode()


def etcd_key(key: ResourceKey) -> bytes:
    """Give the key of one resource."""
    return etcd_prefix(key.kind, key.namespace) + key.name.encode()


def parse_etcd_key(key: bytes) -> ResourceKey | None:
    """Tell what is stored under a key; None for kinds not known here, and for keys of another form."""
    text = key.decode(errors="replace")
    if not text.startswith(PREFIX):
        return None
    plural, *rest = text.removeprefix(PREFIX).split("/")
    kind = _BY_PLURAL.get(plural)
    if kind is None or len(rest) != (2 if kind.namespaced else 1) or not all(rest):
        return None
    name = rest[-1]
    return ResourceKey(kind.name, name, rest[0] if kind.namespaced else "")


def encode(resource: Resource) -> bytes:
    """Write the value that is stored."""
    if isinstance(resource, NetworkPolicy | GlobalNetworkPolicy):
        kept = msgspec.json.encode({"name": resource.name}).decode()
        annotations = {**resource.metadata.annotations, _NAME_ANNOTATION: kept}
        resource = replace(resource, metadata=replace(resource.metadata, annotations=annotations))
    return msgspec.json.encode(to_json(resource))


def decode(key: ResourceKey, value: bytes, *, revision: int) -> Resource:
    """Read a stored value. Raises `Invalid` if it is none, or says it is another resource than its key does."""
    at = str(key)
    try:
        document = msgspec.json.decode(value)
    except UNREADABLE as failed:
        raise Invalid(f"the stored value is not JSON: {failed}", to=at) from failed
    found = _parse(_renamed(document), at=at, strict=key.kind in _POLICIES)
    if found.kind != key.kind or found.namespace != key.namespace:
        raise Invalid(f"the stored value is of {key_of(found)}", to=at)
    metadata = replace(found.metadata, resource_version=str(revision))
    return replace(found, metadata=metadata)


def _renamed(document: object) -> object:
    """Give a policy the name that its user gave it."""
    if not isinstance(document, dict) or document.get("kind") not in ("NetworkPolicy", "GlobalNetworkPolicy"):
        return document
    meta, spec = document.get("metadata"), document.get("spec")
    if not isinstance(meta, dict):
        return document
    annotations = meta.get("annotations")
    tier = spec.get("tier") if isinstance(spec, dict) else None
    if isinstance(annotations, dict) and _NAME_ANNOTATION in annotations:
        name = _kept_name(annotations[_NAME_ANNOTATION]) or meta.get("name")
        others = {key: value for key, value in annotations.items() if key != _NAME_ANNOTATION}
        return {**document, "metadata": {**meta, "name": name, "annotations": others}}
    name = meta.get("name")
    if tier in (None, "", policy.DEFAULT_TIER) and isinstance(name, str):
        return {**document, "metadata": {**meta, "name": name.removeprefix(f"{policy.DEFAULT_TIER}.")}}
    return document


def _kept_name(text: object) -> str | None:
    try:
        kept = msgspec.json.decode(text if isinstance(text, str) else "null")
    except UNREADABLE:
        return None
    name = kept.get("name") if isinstance(kept, dict) else None
    return name if isinstance(name, str) else None
