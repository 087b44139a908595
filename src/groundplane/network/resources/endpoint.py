"""WorkloadEndpoint: a pod's place in the network. Also how it and the host's side of its veth are named."""

import hashlib
import re
from dataclasses import dataclass
from typing import ClassVar

from groundplane.errors import Invalid
from groundplane.network.resources.fields import Fields
from groundplane.network.resources.metadata import Meta, Metadata
from groundplane.network.resources.values import PROTOCOLS, IPAddress, IPNetwork, address, net, port_name, protocol

_INTERFACE = re.compile(r"[a-zA-Z0-9_.-]{1,15}")
_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointPort:
    """A port that rules may call by its name."""

    name: str
    protocol: int
    port: int
    host_port: int | None = None
    host_ip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadEndpoint(Meta):
    """One interface of one workload; `ip_networks` hold one address each."""

    kind: ClassVar[str] = "WorkloadEndpoint"
    metadata: Metadata
    orchestrator: str
    node: str
    endpoint: str
    workload: str = ""
    container_id: str = ""
    pod: str = ""
    service_account_name: str = ""
    ip_networks: tuple[IPNetwork, ...] = ()
    ipv4_gateway: IPAddress | None = None
    ipv6_gateway: IPAddress | None = None
    profiles: tuple[str, ...] = ()
    interface_name: str = ""
    mac: str = ""
    ports: tuple[EndpointPort, ...] = ()

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """The addresses of `ip_networks`."""
        return tuple(each.network_address for each in self.ip_networks)


def workload_endpoint_name(
    *, node: str, orchestrator: str, endpoint: str, pod: str = "", container_id: str = "", workload: str = ""
) -> str:
    """Join the segments that tell an endpoint apart, by orchestrator, with `-`; a `-` inside a segment is doubled."""
    middle = {"k8s": pod, "cni": container_id, "libnetwork": "libnetwork"}.get(orchestrator, workload)
    segments = (node, orchestrator, middle, endpoint)
    for segment in segments:
        if not segment or segment.startswith("-") or segment.endswith("-"):
            raise Invalid(
                f"{segment!r} cannot be part of a workload endpoint's name",
                to="-".join(segments),
                hint="each part must be there, and neither begin nor end with -",
            )
    return "-".join(segment.replace("-", "--") for segment in segments)


def pod_interface(namespace: str, pod: str) -> str:
    """Name the host's side of a pod's veth: `cali` and 11 hex digits of a SHA-1, as Calico does."""
    return "cali" + hashlib.sha1(f"{namespace}.{pod}".encode(), usedforsecurity=False).hexdigest()[:11]


def container_interface(container_id: str) -> str:
    """Name it for a container that is no pod."""
    return "cali" + container_id[:11]


def read_workload_endpoint(metadata: Metadata, spec: Fields) -> WorkloadEndpoint:
    """Read the spec, and refuse a name that does not follow from it."""
    found = WorkloadEndpoint(
        metadata=metadata,
        orchestrator=spec.needed("orchestrator"),
        node=spec.needed("node"),
        endpoint=spec.needed("endpoint"),
        workload=spec.text("workload"),
        container_id=spec.text("containerID"),
        pod=spec.text("pod"),
        service_account_name=spec.text("serviceAccountName"),
        ip_networks=spec.each("ipNetworks", _single),
        ipv4_gateway=spec.parsed("ipv4Gateway", address),
        ipv6_gateway=spec.parsed("ipv6Gateway", address),
        profiles=spec.texts("profiles"),
        interface_name=spec.parsed("interfaceName", _interface) or "",
        mac=spec.parsed("mac", _mac) or "",
        ports=tuple(_read_port(each) for each in spec.subs("ports")),
    )
    spec.done()
    expected = workload_endpoint_name(
        node=found.node,
        orchestrator=found.orchestrator,
        endpoint=found.endpoint,
        pod=found.pod,
        container_id=found.container_id,
        workload=found.workload,
    )
    if metadata.name != expected:
        spec.refuse(f"the name {metadata.name!r} does not follow from the spec", hint=f"name it {expected}")
    return found


def _read_port(fields: Fields) -> EndpointPort:
    name = fields.required("name", port_name)
    number = fields.integer("port", low=1, high=_MAX_PORT)
    kind = protocol(fields, "protocol")
    if number is None or kind is None:
        fields.refuse("a port needs its number and its protocol")
    found = EndpointPort(
        name=name,
        protocol=kind,
        port=number,
        host_port=fields.integer("hostPort", low=0, high=_MAX_PORT) or None,
        host_ip=fields.text("hostIP"),
    )
    fields.done()
    return found


def _single(text: str) -> IPNetwork:
    found = net(text)
    if found.num_addresses != 1:
        raise ValueError(f"{text} is more than one address; write {found.network_address}/{found.max_prefixlen}")
    return found


def _interface(text: str) -> str:
    if not _INTERFACE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not the name of an interface: use 1 to 15 of A-Za-z0-9_.-")
    return text


def _mac(text: str) -> str:
    lower = text.lower()
    if not _MAC.fullmatch(lower):
        raise ValueError(f"{text[:40]!r} is not a hardware address, such as 02:00:00:00:00:01")
    return lower


def write_workload_endpoint(found: WorkloadEndpoint) -> dict[str, object]:
    """Write the spec as it is stored."""
    spec: dict[str, object] = {
        "orchestrator": found.orchestrator,
        "workload": found.workload,
        "node": found.node,
        "containerID": found.container_id,
        "pod": found.pod,
        "endpoint": found.endpoint,
        "serviceAccountName": found.service_account_name,
        "ipNetworks": [str(each) for each in found.ip_networks],
        "ipv4Gateway": str(found.ipv4_gateway or ""),
        "ipv6Gateway": str(found.ipv6_gateway or ""),
        "profiles": list(found.profiles),
        "interfaceName": found.interface_name,
        "mac": found.mac,
        "ports": [_write_port(each) for each in found.ports],
    }
    return {name: value for name, value in spec.items() if value}


def _write_port(found: EndpointPort) -> dict[str, object]:
    spec: dict[str, object] = {
        "name": found.name,
        "protocol": PROTOCOLS.get(found.protocol, found.protocol),
        "port": found.port,
        "hostPort": found.host_port,
        "hostIP": found.host_ip,
    }
    return {name: value for name, value in spec.items() if value}
