"""projectcalico.org/v3 resources: strict parsing with defaults, and Calico's stored form. Pure.

- `document`: `parse`, `to_json`, and the etcd key and value of a resource; the table of kinds
- `pool`, `node`, `endpoint`, `policy`, `netset`: the kinds; `rule`: what policies and profiles are made of
- `metadata`, `values`, `fields`: what all of them read with
"""

from groundplane.network.resources.document import (
    API_VERSION,
    KINDS,
    Kind,
    Resource,
    ResourceKey,
    decode,
    encode,
    etcd_key,
    etcd_prefix,
    key_of,
    kind_named,
    parse,
    parse_etcd_key,
    to_json,
)
from groundplane.network.resources.endpoint import (
    EndpointPort,
    WorkloadEndpoint,
    container_interface,
    pod_interface,
    workload_endpoint_name,
)
from groundplane.network.resources.metadata import Metadata
from groundplane.network.resources.netset import GlobalNetworkSet, NetworkSet
from groundplane.network.resources.node import BGPConfiguration, ClusterInformation, Node, NodeBGP
from groundplane.network.resources.policy import (
    BUILT_IN_TIERS,
    Direction,
    GlobalNetworkPolicy,
    NetworkPolicy,
    Profile,
    Tier,
    built_in_tier,
    default_allow_profile,
    namespace_profile,
)
from groundplane.network.resources.pool import AssignmentMode, Encapsulation, IPPool, Use
from groundplane.network.resources.rule import Peer, PolicyRule

__all__ = [
    "API_VERSION",
    "BUILT_IN_TIERS",
    "KINDS",
    "AssignmentMode",
    "BGPConfiguration",
    "ClusterInformation",
    "Direction",
    "Encapsulation",
    "EndpointPort",
    "GlobalNetworkPolicy",
    "GlobalNetworkSet",
    "IPPool",
    "Kind",
    "Metadata",
    "NetworkPolicy",
    "NetworkSet",
    "Node",
    "NodeBGP",
    "Peer",
    "PolicyRule",
    "Profile",
    "Resource",
    "ResourceKey",
    "Tier",
    "Use",
    "WorkloadEndpoint",
    "built_in_tier",
    "container_interface",
    "decode",
    "default_allow_profile",
    "encode",
    "etcd_key",
    "etcd_prefix",
    "key_of",
    "kind_named",
    "namespace_profile",
    "parse",
    "parse_etcd_key",
    "pod_interface",
    "to_json",
    "workload_endpoint_name",
]
