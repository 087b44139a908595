"""IPPool: a range that pods' (and tunnels') addresses come from, and how packets reach them."""

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import ClassVar

from groundplane.network.resources.fields import Fields
from groundplane.network.resources.metadata import Meta, Metadata
from groundplane.network.resources.values import IPNetwork, net, selector_text

LINK_LOCAL = (IPv4Network("169.254.0.0/16"), IPv6Network("fe80::/10"))
_BLOCK_SIZES = {4: (20, 32, 26), 6: (116, 128, 122)}


class Encapsulation(Enum):
    """When packets between nodes are wrapped: CrossSubnet only if the nodes are in different subnets."""

    NEVER = "Never"
    ALWAYS = "Always"
    CROSS_SUBNET = "CrossSubnet"


class Use(Enum):
    """What addresses are handed out for."""

    WORKLOAD = "Workload"
    TUNNEL = "Tunnel"
    LOAD_BALANCER = "LoadBalancer"


class AssignmentMode(Enum):
    """Manual pools serve only requests that name them."""

    AUTOMATIC = "Automatic"
    MANUAL = "Manual"


@dataclass(frozen=True, slots=True, kw_only=True)
class IPPool(Meta):
    """`block_size` is a prefix length. A disabled pool assigns nothing new; its routes and NAT stay."""

    kind: ClassVar[str] = "IPPool"
    metadata: Metadata
    cidr: IPNetwork
    block_size: int
    ipip_mode: Encapsulation = Encapsulation.NEVER
    vxlan_mode: Encapsulation = Encapsulation.NEVER
    nat_outgoing: bool = False
    disabled: bool = False
    disable_bgp_export: bool = False
    node_selector: str = "all()"
    namespace_selector: str = ""
    allowed_uses: tuple[Use, ...] = (Use.WORKLOAD, Use.TUNNEL)
    assignment_mode: AssignmentMode = AssignmentMode.AUTOMATIC


def read_pool(metadata: Metadata, spec: Fields) -> IPPool:
    """Read the spec, fill in defaults, and refuse what contradicts itself."""
    cidr = spec.required("cidr", net)
    low, high, default = _BLOCK_SIZES[cidr.version]
    size = spec.integer("blockSize", low=low, high=high)
    pool = IPPool(
        metadata=metadata,
        cidr=cidr,
        block_size=default if size is None else size,
        ipip_mode=spec.choice("ipipMode", Encapsulation, Encapsulation.NEVER),
        vxlan_mode=spec.choice("vxlanMode", Encapsulation, Encapsulation.NEVER),
        nat_outgoing=spec.boolean("natOutgoing"),
        disabled=spec.boolean("disabled"),
        disable_bgp_export=spec.boolean("disableBGPExport"),
        node_selector=spec.parsed("nodeSelector", selector_text) or "all()",
        namespace_selector=spec.parsed("namespaceSelector", selector_text) or "",
        allowed_uses=spec.choices("allowedUses", Use) or (Use.WORKLOAD, Use.TUNNEL),
        assignment_mode=spec.choice("assignmentMode", AssignmentMode, AssignmentMode.AUTOMATIC),
    )
    spec.done()
    _check(pool, spec)
    return pool


def _check(pool: IPPool, spec: Fields) -> None:
    cidr = pool.cidr
    if any(cidr.version == local.version and cidr.overlaps(local) for local in LINK_LOCAL):
        spec.refuse(f"{cidr} touches link-local addresses", "cidr", hint="choose a range such as 10.244.0.0/16")
    if cidr.prefixlen > pool.block_size and not pool.disabled:
        spec.refuse(
            f"{cidr} is smaller than one block of /{pool.block_size}",
            "blockSize",
            hint=f"use /{cidr.prefixlen} or more",
        )
    if pool.ipip_mode is not Encapsulation.NEVER and pool.vxlan_mode is not Encapsulation.NEVER:
        spec.refuse("a pool is encapsulated one way only", "vxlanMode", hint="set ipipMode or vxlanMode to Never")
    if pool.ipip_mode is not Encapsulation.NEVER and cidr.version == 6:  # noqa: PLR2004 - the IP version
        spec.refuse("IP-in-IP carries IPv4 only", "ipipMode", hint="set it to Never")
    if "global()" in pool.node_selector:
        spec.refuse("global() says nothing about nodes", "nodeSelector", hint="use all()")
    if pool.namespace_selector and Use.TUNNEL in pool.allowed_uses:
        spec.refuse("tunnels are in no namespace", "namespaceSelector", hint="set allowedUses to [Workload]")
    if Use.LOAD_BALANCER in pool.allowed_uses:
        _check_load_balancer(pool, spec)


def _check_load_balancer(pool: IPPool, spec: Fields) -> None:
    if pool.allowed_uses != (Use.LOAD_BALANCER,):
        spec.refuse("LoadBalancer cannot be combined with another use", "allowedUses")
    if pool.node_selector != "all()":
        spec.refuse("must be all() for LoadBalancer", "nodeSelector")
    if {pool.ipip_mode, pool.vxlan_mode} != {Encapsulation.NEVER}:
        spec.refuse("must be Never for LoadBalancer", "ipipMode")
    if pool.disable_bgp_export:
        spec.refuse("must be false for LoadBalancer", "disableBGPExport")


def write_pool(pool: IPPool) -> dict[str, object]:
    """Write the spec as it is stored."""
    spec: dict[str, object] = {
        "cidr": str(pool.cidr),
        "vxlanMode": pool.vxlan_mode.value,
        "ipipMode": pool.ipip_mode.value,
        "natOutgoing": pool.nat_outgoing,
        "disabled": pool.disabled,
        "disableBGPExport": pool.disable_bgp_export,
        "blockSize": pool.block_size,
        "nodeSelector": pool.node_selector,
        "namespaceSelector": pool.namespace_selector,
        "allowedUses": [use.value for use in pool.allowed_uses],
        "assignmentMode": pool.assignment_mode.value,
    }
    return {name: value for name, value in spec.items() if value not in (False, "")}
