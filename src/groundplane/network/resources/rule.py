"""A rule of a policy or a profile: what it matches, and what happens then."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from groundplane.network.calc.model import Action, ICMPMatch, PortRange
from groundplane.network.resources.fields import Fields
from groundplane.network.resources.values import (
    IPNetwork,
    net,
    port,
    port_json,
    protocol,
    protocol_json,
    selector_text,
)

TCP, UDP, SCTP, ICMP, ICMPV6 = 6, 17, 132, 1, 58
_HAVE_PORTS = (TCP, UDP, SCTP)
_MAX_NETS = 256
_MAX_PORTS = 50
MAX_RULES = 1024
"""Per direction of a policy."""

Port = PortRange | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Source or destination. Fields are ANDed, items of a list ORed, `not_` ones negated; texts are selectors."""

    nets: tuple[IPNetwork, ...] = ()
    not_nets: tuple[IPNetwork, ...] = ()
    selector: str = ""
    not_selector: str = ""
    namespace_selector: str = ""
    service_account_names: tuple[str, ...] = ()
    service_account_selector: str = ""
    ports: tuple[Port, ...] = ()
    not_ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """As the user wrote it; `protocol` by number. Without conditions it matches everything."""

    action: Action
    ip_version: int | None = None
    protocol: int | None = None
    not_protocol: int | None = None
    icmp: ICMPMatch | None = None
    not_icmp: ICMPMatch | None = None
    source: Peer = field(default_factory=Peer)
    destination: Peer = field(default_factory=Peer)
    annotations: Mapping[str, str] = field(default_factory=dict)


_ACTIONS = {action.value.capitalize(): action for action in Action}


def read_rules(spec: Fields, name: str) -> tuple[PolicyRule, ...]:
    """Read `ingress` or `egress`."""
    rules = spec.subs(name)
    if len(rules) > MAX_RULES:
        spec.refuse(f"{len(rules)} rules, at most {MAX_RULES} are allowed", name)
    return tuple(_read_rule(rule) for rule in rules)


def _read_rule(fields: Fields) -> PolicyRule:
    if fields.has("http"):
        fields.refuse("rules on HTTP are not enforced here", "http", hint="match ports instead")
    meta = fields.sub("metadata")
    rule = PolicyRule(
        action=fields.required("action", _action),
        ip_version=fields.integer("ipVersion", low=4, high=6),
        protocol=protocol(fields, "protocol"),
        not_protocol=protocol(fields, "notProtocol"),
        icmp=_read_icmp(fields.sub("icmp")),
        not_icmp=_read_icmp(fields.sub("notICMP")),
        source=_read_peer(fields.sub("source")),
        destination=_read_peer(fields.sub("destination")),
        annotations=meta.table("annotations"),
    )
    meta.done()
    fields.done()
    _check(rule, fields)
    return rule


def _action(text: str) -> Action:
    if text not in _ACTIONS:
        raise ValueError(f"{text!r} is not one of {', '.join(_ACTIONS)}")
    return _ACTIONS[text]


def _read_icmp(fields: Fields) -> ICMPMatch | None:
    kind = fields.integer("type", low=0, high=254)
    code = fields.integer("code", low=0, high=255)
    fields.done()
    if kind is None:
        if code is not None:
            fields.refuse("a code needs its type", "code")
        return None
    return ICMPMatch(type=kind, code=code)


def _read_peer(fields: Fields) -> Peer:
    if fields.has("services"):
        fields.refuse("services are not known here", "services", hint="use a selector")
    accounts = fields.sub("serviceAccounts")
    peer = Peer(
        nets=fields.each("nets", net, most=_MAX_NETS),
        not_nets=fields.each("notNets", net, most=_MAX_NETS),
        selector=fields.parsed("selector", selector_text) or "",
        not_selector=fields.parsed("notSelector", selector_text) or "",
        namespace_selector=fields.parsed("namespaceSelector", selector_text) or "",
        service_account_names=accounts.texts("names"),
        service_account_selector=accounts.parsed("selector", selector_text) or "",
        ports=_read_ports(fields, "ports"),
        not_ports=_read_ports(fields, "notPorts"),
    )
    accounts.done()
    fields.done()
    for name, text in (("selector", peer.selector), ("notSelector", peer.not_selector)):
        if "global()" in text:
            fields.refuse("global() is for namespaceSelector", name)
    if "global()" in peer.namespace_selector and peer.namespace_selector.strip() != "global()":
        fields.refuse("global() must stand alone", "namespaceSelector")
    return peer


def _read_ports(fields: Fields, name: str) -> tuple[Port, ...]:
    values = fields.values(name)
    if len(values) > _MAX_PORTS:
        fields.refuse(f"{len(values)} ports, at most {_MAX_PORTS} are allowed", name, hint="merge them into ranges")
    return tuple(port(fields, value, f"{name}[{n}]") for n, value in enumerate(values))


def _check(rule: PolicyRule, fields: Fields) -> None:
    if rule.ip_version == 5:  # noqa: PLR2004 - what lies between 4 and 6
        fields.refuse("5 is not 4 or 6", "ipVersion")
    if (rule.icmp or rule.not_icmp) and rule.protocol not in (ICMP, ICMPV6):
        fields.refuse("icmp needs protocol ICMP or ICMPv6", "protocol")
    if (rule.protocol, rule.ip_version) in ((ICMP, 6), (ICMPV6, 4)):
        fields.refuse(f"this protocol is not of IPv{rule.ip_version}", "ipVersion")
    peers = (rule.source, rule.destination)
    versions: set[int] = {each.version for peer in peers for each in (*peer.nets, *peer.not_nets)}
    if rule.ip_version:
        versions.add(rule.ip_version)
    if len(versions) > 1:
        fields.refuse("IPv4 and IPv6 are mixed in one rule", hint="write a rule for each")
    for name, peer in zip(("source", "destination"), peers, strict=True):
        _check_peer(peer, rule.protocol, fields, name)


def _check_peer(peer: Peer, number: int | None, fields: Fields, name: str) -> None:
    if any(each.prefixlen == 0 for each in peer.not_nets):
        fields.refuse("excludes every address", f"{name}.notNets", hint="remove 0.0.0.0/0 or ::/0")
    if any(isinstance(each, PortRange) for each in (*peer.ports, *peer.not_ports)):
        if number not in _HAVE_PORTS:
            fields.refuse("ports need protocol TCP, UDP or SCTP", f"{name}.ports", hint="add protocol: TCP")
    elif (peer.ports or peer.not_ports) and number not in (None, *_HAVE_PORTS):
        fields.refuse("this protocol has no ports", f"{name}.ports", hint="use TCP, UDP or SCTP")


def write_rule(rule: PolicyRule) -> dict[str, object]:
    """Write it as it is stored."""
    found: dict[str, object] = {
        "action": rule.action.value.capitalize(),
        "ipVersion": rule.ip_version,
        "protocol": None if rule.protocol is None else protocol_json(rule.protocol),
        "icmp": _write_icmp(rule.icmp),
        "notProtocol": None if rule.not_protocol is None else protocol_json(rule.not_protocol),
        "notICMP": _write_icmp(rule.not_icmp),
        "source": _write_peer(rule.source),
        "destination": _write_peer(rule.destination),
        "metadata": {"annotations": dict(rule.annotations)} if rule.annotations else None,
    }
    # Calico always writes source and destination, empty or not.
    return {name: value for name, value in found.items() if value is not None}


def _write_icmp(match: ICMPMatch | None) -> dict[str, object] | None:
    if match is None:
        return None
    return {"type": match.type} if match.code is None else {"type": match.type, "code": match.code}


def _write_peer(peer: Peer) -> dict[str, object]:
    accounts = {"names": list(peer.service_account_names), "selector": peer.service_account_selector}
    found: dict[str, object] = {
        "nets": [str(each) for each in peer.nets],
        "selector": peer.selector,
        "namespaceSelector": peer.namespace_selector,
        "ports": [port_json(each) for each in peer.ports],
        "notNets": [str(each) for each in peer.not_nets],
        "notSelector": peer.not_selector,
        "notPorts": [port_json(each) for each in peer.not_ports],
        "serviceAccounts": {name: value for name, value in accounts.items() if value},
    }
    return {name: value for name, value in found.items() if value}
