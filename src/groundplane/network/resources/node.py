"""Node, and the two kinds that speak of the whole cluster: ClusterInformation and BGPConfiguration."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import ClassVar

from groundplane.network.resources.fields import Fields
from groundplane.network.resources.metadata import Meta, Metadata
from groundplane.network.resources.values import IPAddress, address, as_number, interface4, interface6, ipv4

DEFAULT_AS_NUMBER = 64512
DEFAULT_BGP_PORT = 179


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeBGP:
    """A node's addresses on the fabric, with their masks, and its part in BGP."""

    as_number: int | None = None
    ipv4_address: IPv4Interface | None = None
    ipv6_address: IPv6Interface | None = None
    ipv4_ipip_tunnel_addr: IPv4Address | None = None
    route_reflector_cluster_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeAddress:
    """One of `spec.addresses`; `type` is CalicoNodeIP, InternalIP or ExternalIP."""

    address: str
    type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrchRef:
    """What an orchestrator calls this node."""

    orchestrator: str
    node_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node(Meta):
    """A host of the pod network. `bgp` is None for one that takes no part in routing."""

    kind: ClassVar[str] = "Node"
    metadata: Metadata
    bgp: NodeBGP | None = None
    orch_refs: tuple[OrchRef, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    ipv4_vxlan_tunnel_addr: IPv4Address | None = None
    vxlan_tunnel_mac_addr: str = ""

    def address(self, version: int) -> IPAddress | None:
        """Give the address on the fabric, of one family."""
        found = self.interface(version)
        return found.ip if found else None

    def interface(self, version: int) -> IPv4Interface | IPv6Interface | None:
        """Give the address on the fabric with its mask, of one family."""
        if self.bgp is None:
            return None
        return self.bgp.ipv4_address if version == 4 else self.bgp.ipv6_address  # noqa: PLR2004 - the IP version


def read_node(metadata: Metadata, spec: Fields) -> Node:
    """Read the spec; an empty `bgp` is refused, as Calico does."""
    node = Node(
        metadata=metadata,
        bgp=_read_bgp(spec.sub("bgp")) if spec.has("bgp") else None,
        orch_refs=tuple(_read_ref(ref) for ref in spec.subs("orchRefs")),
        addresses=tuple(_read_address(each) for each in spec.subs("addresses")),
        ipv4_vxlan_tunnel_addr=spec.parsed("ipv4VXLANTunnelAddr", ipv4),
        vxlan_tunnel_mac_addr=spec.text("vxlanTunnelMACAddr"),
    )
    spec.done()
    return node


def _read_bgp(bgp: Fields) -> NodeBGP:
    found = NodeBGP(
        as_number=as_number(bgp, "asNumber"),
        ipv4_address=bgp.parsed("ipv4Address", interface4),
        ipv6_address=bgp.parsed("ipv6Address", interface6),
        ipv4_ipip_tunnel_addr=bgp.parsed("ipv4IPIPTunnelAddr", ipv4),
        route_reflector_cluster_id=str(bgp.parsed("routeReflectorClusterID", ipv4) or ""),
    )
    bgp.done()
    if found == NodeBGP():
        bgp.refuse("is empty", hint="give it ipv4Address, or leave it out")
    return found


def _read_ref(ref: Fields) -> OrchRef:
    found = OrchRef(orchestrator=ref.needed("orchestrator"), node_name=ref.text("nodeName"))
    ref.done()
    return found


def _read_address(fields: Fields) -> NodeAddress:
    found = NodeAddress(address=str(fields.required("address", _any_address)), type=fields.text("type"))
    fields.done()
    return found


def _any_address(text: str) -> IPAddress | IPv4Interface | IPv6Interface:
    """Parse an address with or without its mask."""
    if "/" not in text:
        return address(text)
    return interface6(text) if ":" in text else interface4(text)


def write_node(node: Node) -> dict[str, object]:
    """Write the spec as it is stored."""
    spec: dict[str, object] = {}
    if node.addresses:
        spec["addresses"] = [_without_empty({"address": a.address, "type": a.type}) for a in node.addresses]
    if node.orch_refs:
        spec["orchRefs"] = [
            _without_empty({"nodeName": r.node_name, "orchestrator": r.orchestrator}) for r in node.orch_refs
        ]
    if node.bgp is not None:
        spec["bgp"] = _without_empty(
            {
                "asNumber": node.bgp.as_number,
                "ipv4Address": _text(node.bgp.ipv4_address),
                "ipv6Address": _text(node.bgp.ipv6_address),
                "ipv4IPIPTunnelAddr": _text(node.bgp.ipv4_ipip_tunnel_addr),
                "routeReflectorClusterID": node.bgp.route_reflector_cluster_id,
            }
        )
    vxlan: dict[str, object] = {
        "ipv4VXLANTunnelAddr": _text(node.ipv4_vxlan_tunnel_addr),
        "vxlanTunnelMACAddr": node.vxlan_tunnel_mac_addr,
    }
    return spec | _without_empty(vxlan)


def _text(value: IPv4Address | IPv6Address | None) -> str:
    return "" if value is None else str(value)


def _without_empty(values: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value not in (None, "")}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInformation(Meta):
    """The cluster's identity; while `datastore_ready` is false, no agent may act on what it reads."""

    kind: ClassVar[str] = "ClusterInformation"
    metadata: Metadata
    cluster_guid: str = ""
    cluster_type: str = ""
    calico_version: str = ""
    datastore_ready: bool | None = None
    variant: str = ""


def read_cluster_information(metadata: Metadata, spec: Fields) -> ClusterInformation:
    """Read the spec; there is one, called `default`."""
    if metadata.name != "default":
        spec.refuse(f"there is one ClusterInformation, called default, not {metadata.name!r}")
    found = ClusterInformation(
        metadata=metadata,
        cluster_guid=spec.text("clusterGUID"),
        cluster_type=spec.text("clusterType"),
        calico_version=spec.text("calicoVersion"),
        datastore_ready=spec.boolean("datastoreReady") if spec.has("datastoreReady") else None,
        variant=spec.text("variant"),
    )
    spec.done()
    return found


def write_cluster_information(found: ClusterInformation) -> dict[str, object]:
    """Write the spec as it is stored."""
    return _without_empty(
        {
            "clusterGUID": found.cluster_guid,
            "clusterType": found.cluster_type,
            "calicoVersion": found.calico_version,
            "datastoreReady": found.datastore_ready,
            "variant": found.variant,
        }
    )


class LogSeverity(Enum):
    """How much BIRD says."""

    TRACE = "Trace"
    DEBUG = "Debug"
    INFO = "Info"
    WARNING = "Warning"
    ERROR = "Error"
    FATAL = "Fatal"


class BindMode(Enum):
    """Where BIRD listens: everywhere, or on the node's address only."""

    NONE = "None"
    NODE_IP = "NodeIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class BGPConfiguration(Meta):
    """`default` speaks for all nodes, `node.<name>` for one; None leaves a value to the other, or to its default."""

    kind: ClassVar[str] = "BGPConfiguration"
    metadata: Metadata
    log_severity: LogSeverity = LogSeverity.INFO
    node_to_node_mesh: bool | None = None
    as_number: int | None = None
    listen_port: int | None = None
    bind_mode: BindMode = BindMode.NONE


def read_bgp_configuration(metadata: Metadata, spec: Fields) -> BGPConfiguration:
    """Read the spec. Communities, service advertisement and mesh passwords are not built, and so refused as unknown."""
    if metadata.name != "default" and not metadata.name.startswith("node."):
        spec.refuse(f"{metadata.name!r} configures nothing", hint="name it default, or node.<node>")
    found = BGPConfiguration(
        metadata=metadata,
        log_severity=spec.choice("logSeverityScreen", LogSeverity, LogSeverity.INFO),
        node_to_node_mesh=spec.boolean("nodeToNodeMeshEnabled") if spec.has("nodeToNodeMeshEnabled") else None,
        as_number=as_number(spec, "asNumber"),
        listen_port=spec.integer("listenPort", low=1, high=65535),
        bind_mode=spec.choice("bindMode", BindMode, BindMode.NONE),
    )
    spec.done()
    if metadata.name != "default" and (found.node_to_node_mesh is not None or found.as_number is not None):
        spec.refuse("nodeToNodeMeshEnabled and asNumber are for all nodes", hint="set them in the one named default")
    return found


def write_bgp_configuration(found: BGPConfiguration) -> dict[str, object]:
    """Write the spec as it is stored."""
    return _without_empty(
        {
            "logSeverityScreen": found.log_severity.value,
            "nodeToNodeMeshEnabled": found.node_to_node_mesh,
            "asNumber": found.as_number,
            "listenPort": found.listen_port,
            "bindMode": "" if found.bind_mode is BindMode.NONE else found.bind_mode.value,
        }
    )
