"""The calculation's model, read as its documentation says: what becomes of a packet, without any nftables.

Written for being obviously right, not for speed: the rendered table must agree with it for every packet.
"""

from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Network

from groundplane.network.calc.model import (
    Action,
    Chain,
    Dataplane,
    Endpoint,
    IPAddress,
    PortRange,
    Rule,
    Side,
    Tier,
)
from groundplane.network.dataplane.policy import EndpointToHost, Options
from groundplane.nftables.evaluate import Packet

NEIGHBOURS = {130, 131, 132, 133, 135, 136}
HAS_PORTS = {6, 17, 132}


def accepts(dataplane: Dataplane, packet: Packet, options: Options) -> bool:  # noqa: PLR0911 - a reason per return
    """Whether the host lets the packet through."""
    if not packet.iif:
        return True  # the node's own processes
    sender, receiver = _endpoint(dataplane, packet.iif), _endpoint(dataplane, packet.oif)
    from_workload = sender is not None or packet.iif.startswith(options.host_prefix)
    to_workload = receiver is not None or packet.oif.startswith(options.host_prefix)
    if from_workload and not _source_is_own(sender, packet):
        return False
    if not packet.oif and is_neighbour_discovery(packet):
        return True
    if from_workload and (sender is None or not _endpoint_allows(dataplane, sender, packet, options, to=False)):
        return False
    if to_workload and (receiver is None or not _endpoint_allows(dataplane, receiver, packet, options, to=True)):
        return False
    if from_workload and not packet.oif:
        return options.endpoint_to_host is EndpointToHost.ACCEPT or packet.state in ("established", "related")
    return True


def masquerades(dataplane: Dataplane, packet: Packet) -> bool:
    """Whether an accepted packet leaves under the host's address."""
    pools = dataplane.pools | dataplane.masquerade
    inside = any(packet.source in net for net in dataplane.masquerade if net.version == packet.source.version)
    stays = any(packet.destination in net for net in pools if net.version == packet.source.version)
    leaves_by_an_interface = bool(packet.oif)
    return leaves_by_an_interface and packet.state == "new" and inside and not stays


def is_neighbour_discovery(packet: Packet) -> bool:
    return packet.source.version == 6 and packet.protocol == 58 and packet.icmp_type in NEIGHBOURS


def _endpoint(dataplane: Dataplane, interface: str) -> Endpoint | None:
    return next((each for each in dataplane.endpoints if each.interface == interface), None)


def _source_is_own(sender: Endpoint | None, packet: Packet) -> bool:
    if sender is not None and packet.source in sender.addresses:
        return True
    if packet.source.version == 4:
        return False
    if packet.source in IPv6Network("fe80::/10"):
        return True
    return packet.source == IPv6Address("::") and is_neighbour_discovery(packet)


def _endpoint_allows(  # noqa: C901, PLR0911 - in the order of the reference, a return for each
    dataplane: Dataplane, endpoint: Endpoint, packet: Packet, options: Options, *, to: bool
) -> bool:
    if not endpoint.admin_up:
        return False
    if packet.state in ("established", "related"):
        return True
    if packet.state == "invalid":
        return False
    if not to and not options.tunnels_from_workloads:
        is_vxlan = packet.protocol == 17 and packet.destination_port == options.vxlan_port
        if packet.protocol == 4 or is_vxlan:
            return False
    for tier in endpoint.ingress if to else endpoint.egress:
        decided = _tier(dataplane, tier, packet, to=to)
        if decided is not Action.PASS:
            return decided is Action.ALLOW
    for profile in endpoint.profiles:
        if profile not in dataplane.profiles:
            return False
        decided_by_profile = _chain(dataplane, dataplane.profiles[profile], packet, to=to)
        if decided_by_profile in (Action.ALLOW, Action.DENY):
            return decided_by_profile is Action.ALLOW
    return False


def _tier(dataplane: Dataplane, tier: Tier, packet: Packet, *, to: bool) -> Action:
    for policy in tier.policies:
        if policy not in dataplane.policies:
            return Action.DENY
        decided = _chain(dataplane, dataplane.policies[policy], packet, to=to)
        if decided is not None:
            return decided
    return Action.PASS if tier.default_pass else Action.DENY


def _chain(dataplane: Dataplane, chain: Chain, packet: Packet, *, to: bool) -> Action | None:
    for rule in chain.ingress if to else chain.egress:
        if rule.action is not Action.LOG and matches(dataplane, rule, packet):
            return rule.action
    return None


def matches(dataplane: Dataplane, rule: Rule, packet: Packet) -> bool:
    """Whether a rule is about this packet."""
    version = packet.source.version
    if rule.ip_version not in (None, version):
        return False
    if rule.protocol not in (None, packet.protocol) or rule.not_protocol == packet.protocol:
        return False
    if (rule.icmp or rule.not_icmp) and packet.protocol != (1 if version == 4 else 58):
        return False
    if rule.icmp and not _is_icmp(packet, rule.icmp.type, rule.icmp.code):
        return False
    if rule.not_icmp and _is_icmp(packet, rule.not_icmp.type, rule.not_icmp.code):
        return False
    sides = (
        (rule.source, packet.source, packet.source_port),
        (rule.destination, packet.destination, packet.destination_port),
    )
    return all(_side(dataplane, side, address, port, packet) for side, address, port in sides)


def _is_icmp(packet: Packet, type_: int, code: int | None) -> bool:
    return packet.icmp_type == type_ and code in (None, packet.icmp_code)


def _side(  # noqa: PLR0911 - a return per field
    dataplane: Dataplane, side: Side, address: IPAddress, port: int, packet: Packet
) -> bool:
    def in_nets(nets: Iterable[object]) -> bool:
        return any(address in net for net in nets if net.version == address.version)  # type: ignore[attr-defined, operator]

    if side.nets and not in_nets(side.nets):
        return False
    if side.not_nets:
        of_family = [net for net in side.not_nets if net.version == address.version]
        if not of_family or in_nets(of_family):
            return False
    if any(not in_nets(dataplane.sets.get(name, ())) for name in side.sets):
        return False
    if any(in_nets(dataplane.sets.get(name, ())) for name in side.not_sets):
        return False
    if (side.ports or side.not_ports) and packet.protocol not in HAS_PORTS:
        return False
    if side.ports and not _in_ranges(port, side.ports):
        return False
    return not _in_ranges(port, side.not_ports)


def _in_ranges(port: int, ranges: Iterable[PortRange]) -> bool:
    return any(each.first <= port <= each.last for each in ranges)
