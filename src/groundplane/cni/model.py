"""The words of CNI: attachments, network configurations, results and their JSON form by specification version.

Result fields by version: `ips[].version` exists only before 1.0.0; `interfaces[].mtu`, `socketPath`, `pciID` and the
routes' `mtu`, `advmss`, `priority`, `table`, `scope` only from 1.1.0. Converting down drops what the older version
has no word for; converting up loses nothing. 0.1.0 and 0.2.0 (`ip4`/`ip6`) are refused.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from pathlib import Path
from typing import Any, Self

from groundplane.errors import Invalid

VERSIONS = ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
DEFAULT_SOCKET = Path("/run/groundplane/agent.sock")
POD_LABELS = "groundplane.dev/pod-labels"
"""The capability that carries a pod's labels: there is no Kubernetes API to ask for them."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


class InvalidConfig(Invalid):
    """A network configuration or a result breaks the specification."""


class VersionRefused(Invalid):
    """A `cniVersion` that is not spoken here (CNI code 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """One container's interface in one network. `netns` None: the namespace is gone (DEL only)."""

    container_id: str
    netns: Path | None
    ifname: str = "eth0"
    args: tuple[tuple[str, str], ...] = ()
    capabilities: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class IPConfig:
    """One address, with its mask. `interface` indexes the result's interfaces."""

    address: IPv4Interface | IPv6Interface
    gateway: IPv4Address | IPv6Address | None = None
    interface: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface that the attachment made; `sandbox` is the namespace's path, empty on the host."""

    name: str
    mac: str = ""
    sandbox: str = ""
    mtu: int = 0
    socket_path: str = ""
    pci_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route inside the container; 0 means the kernel's own choice."""

    dst: IPv4Network | IPv6Network
    gw: IPv4Address | IPv6Address | None = None
    mtu: int = 0
    advmss: int = 0
    priority: int = 0
    table: int | None = None
    scope: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DNS:
    """What the runtime may write into resolv.conf."""

    nameservers: tuple[str, ...] = ()
    domain: str = ""
    search: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What an ADD made."""

    ips: tuple[IPConfig, ...] = ()
    interfaces: tuple[Interface, ...] = ()
    routes: tuple[Route, ...] = ()
    dns: DNS = field(default_factory=DNS)

    def to_json(self, version: str) -> dict[str, Any]:
        """The document as `version` writes it. Raises VersionRefused."""
        at = version_key(version)
        dns = {
            "nameservers": list(self.dns.nameservers),
            "domain": self.dns.domain,
            "search": list(self.dns.search),
            "options": list(self.dns.options),
        }
        document: dict[str, Any] = {"cniVersion": version}
        if self.interfaces:
            document["interfaces"] = [_interface_json(one, at) for one in self.interfaces]
        if self.ips:
            document["ips"] = [_ip_json(one, at) for one in self.ips]
        if self.routes:
            document["routes"] = [_route_json(one, at) for one in self.routes]
        document["dns"] = {key: value for key, value in dns.items() if value}
        return document

    @classmethod
    def parse(cls, document: object, *, version: str = "") -> Self:
        """From a plugin's output or a cached result; `version` counts where the document names none.

        Raises InvalidConfig, naming the field, and VersionRefused.
        """
        where = "CNI result"
        known = mapping(document, where)
        version_key(str(known.get("cniVersion") or version or "0.3.0"))
        dns = part(known, "dns", where)
        return cls(
            ips=tuple(_parse_ip(one, f"{where}.ips[{n}]") for n, one in enumerate(items(known, "ips", where))),
            interfaces=tuple(
                _parse_interface(one, f"{where}.interfaces[{n}]")
                for n, one in enumerate(items(known, "interfaces", where))
            ),
            routes=tuple(
                _parse_route(one, f"{where}.routes[{n}]") for n, one in enumerate(items(known, "routes", where))
            ),
            dns=DNS(
                nameservers=tuple(map(str, items(dns, "nameservers", where))),
                domain=str(dns.get("domain") or ""),
                search=tuple(map(str, items(dns, "search", where))),
                options=tuple(map(str, items(dns, "options", where))),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConf:
    """What the groundplane plugin reads from its configuration. Empty pools: the cluster's selectors choose.

    `assign_ipv6` defaults to False, as calico-ipam's does. `mtu` 0: the agent's own choice.
    """

    name: str
    version: str
    socket: Path = DEFAULT_SOCKET
    mtu: int = 0
    assign_ipv4: bool = True
    assign_ipv6: bool = False
    ipv4_pools: tuple[str, ...] = ()
    ipv6_pools: tuple[str, ...] = ()
    allow_ip_forwarding: bool = False
    runtime_config: Mapping[str, object] = field(default_factory=dict)
    prev_result: Result | None = None
    valid_attachments: tuple[tuple[str, str], ...] | None = None

    @classmethod
    def parse(cls, document: object) -> Self:
        """From a plugin's standard input. Raises InvalidConfig and VersionRefused."""
        where = "network configuration"
        known = mapping(document, where)
        version = str(known.get("cniVersion") or "")
        version_key(version)
        ipam = part(known, "ipam", where)
        settings = part(known, "container_settings", where)
        previous = known.get("prevResult")
        valid = known.get("cni.dev/valid-attachments")
        return cls(
            name=network_name(known.get("name"), where),
            version=version,
            socket=Path(str(known.get("agentSocket") or DEFAULT_SOCKET)),
            mtu=number(known, "mtu", where),
            assign_ipv4=_flag(ipam.get("assign_ipv4"), default=True, at=f"{where}.ipam.assign_ipv4"),
            assign_ipv6=_flag(ipam.get("assign_ipv6"), default=False, at=f"{where}.ipam.assign_ipv6"),
            ipv4_pools=tuple(map(str, items(ipam, "ipv4_pools", where))),
            ipv6_pools=tuple(map(str, items(ipam, "ipv6_pools", where))),
            allow_ip_forwarding=bool(settings.get("allow_ip_forwarding")),
            runtime_config=part(known, "runtimeConfig", where),
            prev_result=None if previous is None else Result.parse(previous, version=version),
            valid_attachments=None if valid is None else _attachments(valid, f"{where}.cni.dev/valid-attachments"),
        )

    @property
    def pod_labels(self) -> dict[str, str]:
        """The labels that the runtime passed."""
        labels = mapping(self.runtime_config.get(POD_LABELS) or {}, f"runtimeConfig.{POD_LABELS}")
        return {key: str(value) for key, value in labels.items()}


def version_key(text: str) -> tuple[int, ...]:
    """For comparing versions. Raises VersionRefused for one that is not in VERSIONS."""
    if text not in VERSIONS:
        raise VersionRefused(f"CNI version {text!r} is not spoken", to="cniVersion", hint=f"use {', '.join(VERSIONS)}")
    return tuple(map(int, text.split(".")))


def network_name(value: object, where: str) -> str:
    """A network's name: a letter or digit, then those and `_.-`. It becomes part of file names and IPAM handles."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidConfig(
            f"{value!r} is not a network name", to=f"{where}.name", hint="use letters, digits, _, . and -"
        )
    return value


def mapping(value: object, where: str) -> Mapping[str, Any]:
    """`value`, if it is a JSON object."""
    if not isinstance(value, Mapping):
        raise InvalidConfig(f"is a {type(value).__name__}, not an object", to=where)
    return value


def part(known: Mapping[str, Any], key: str, where: str) -> Mapping[str, Any]:
    """The object at `key`, empty where it is absent or null."""
    value = known.get(key)
    return {} if value is None else mapping(value, f"{where}.{key}")


def items(known: Mapping[str, Any], key: str, where: str) -> list[Any]:
    """The list at `key`, empty where it is absent or null."""
    value = known.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidConfig(f"is a {type(value).__name__}, not a list", to=f"{where}.{key}")
    return value


def number(known: Mapping[str, Any], key: str, where: str) -> int:
    """The whole number at `key`, 0 where it is absent or null. Refuses booleans, fractions and negatives."""
    value = known.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidConfig(f"{value!r} is not a whole number", to=f"{where}.{key}")
    return value


def _flag(value: object, *, default: bool, at: str) -> bool:
    # calico-ipam writes these as the strings "true" and "false"
    if value is None:
        return default
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise InvalidConfig(f"{value!r} is neither true nor false", to=at)


def _attachments(value: object, where: str) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list):
        raise InvalidConfig(f"is a {type(value).__name__}, not a list", to=where)
    found = [mapping(one, f"{where}[{n}]") for n, one in enumerate(value)]
    return tuple((str(one.get("containerID", "")), str(one.get("ifname", ""))) for one in found)


def _parse_ip(value: object, where: str) -> IPConfig:
    known = mapping(value, where)
    index = known.get("interface")
    if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
        raise InvalidConfig(f"{index!r} is not an index", to=f"{where}.interface")
    return IPConfig(
        address=_address(ip_interface, known.get("address"), f"{where}.address"),
        gateway=_address(ip_address, known["gateway"], f"{where}.gateway") if known.get("gateway") else None,
        interface=index,
    )


def _parse_interface(value: object, where: str) -> Interface:
    known = mapping(value, where)
    return Interface(
        name=str(known.get("name") or ""),
        mac=str(known.get("mac") or ""),
        sandbox=str(known.get("sandbox") or ""),
        mtu=number(known, "mtu", where),
        socket_path=str(known.get("socketPath") or ""),
        pci_id=str(known.get("pciID") or ""),
    )


def _parse_route(value: object, where: str) -> Route:
    known = mapping(value, where)
    return Route(
        dst=_address(ip_network, known.get("dst"), f"{where}.dst"),
        gw=_address(ip_address, known["gw"], f"{where}.gw") if known.get("gw") else None,
        mtu=number(known, "mtu", where),
        advmss=number(known, "advmss", where),
        priority=number(known, "priority", where),
        table=None if known.get("table") is None else number(known, "table", where),
        scope=None if known.get("scope") is None else number(known, "scope", where),
    )


def _address(parse: Any, value: object, where: str) -> Any:
    try:
        return parse(value if isinstance(value, str) else "")
    except ValueError as bad:
        raise InvalidConfig(f"{value!r} is not an address", to=where) from bad


_V1_0, _V1_1 = (1, 0, 0), (1, 1, 0)


def _interface_json(one: Interface, at: tuple[int, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {"name": one.name, "mac": one.mac, "sandbox": one.sandbox}
    if at >= _V1_1:
        document |= {"mtu": one.mtu, "socketPath": one.socket_path, "pciID": one.pci_id}
    return {key: value for key, value in document.items() if value or key == "name"}


def _ip_json(one: IPConfig, at: tuple[int, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {} if at >= _V1_0 else {"version": str(one.address.version)}
    document["address"] = str(one.address)
    if one.gateway is not None:
        document["gateway"] = str(one.gateway)
    if one.interface is not None:
        document["interface"] = one.interface
    return document


def _route_json(one: Route, at: tuple[int, ...]) -> dict[str, Any]:
    document: dict[str, Any] = {"dst": str(one.dst)}
    if one.gw is not None:
        document["gw"] = str(one.gw)
    if at >= _V1_1:
        document |= {
            key: value for key, value in (("mtu", one.mtu), ("advmss", one.advmss), ("priority", one.priority)) if value
        }
        document |= {key: value for key, value in (("table", one.table), ("scope", one.scope)) if value is not None}
    return document
