"""From a CNI request to an endpoint: names, handles, labels, addresses, links. Pure.

The names are Calico's, so that its tools find what is made here: `cali` and 11 hex digits of the SHA-1 of
`<namespace>.<pod>` for the host's side of a veth, `<network>.<container id>` for the handle of its addresses. A pod has
its host's hardware address as a permanent neighbour: the first packet needs no ARP, and no proxy has to answer it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from pathlib import Path

from groundplane.cni.model import Interface, IPConfig, NetConf, Result
from groundplane.cni.request import Request
from groundplane.errors import Invalid
from groundplane.network.calc.model import Action, IPAddress
from groundplane.network.resources import (
    Metadata,
    Profile,
    WorkloadEndpoint,
    container_interface,
    namespace_profile,
    pod_interface,
    workload_endpoint_name,
)
from groundplane.network.resources.metadata import dns_label, subdomain
from groundplane.network.resources.rule import Peer, PolicyRule
from groundplane.system.netlink import AddAddress, Command, PutNeighbour, PutRoute, Route, SetLink

HOST_MAC = "ee:ee:ee:ee:ee:ee"
GATEWAY = ip_address("169.254.1.1")
GATEWAY6 = ip_address("fe80::ecee:eeff:feee:eeee")  # the link-local address that HOST_MAC makes
DEFAULT_NAMESPACE = "default"
_DEFAULT4, _DEFAULT6 = ip_network("0.0.0.0/0"), ip_network("::/0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """What an ADD makes, less its addresses."""

    network: str
    container_id: str
    namespace: str
    name: str
    orchestrator: str
    node: str
    pod: str = ""
    netns: Path | None = None
    ifname: str
    interface: str
    profile: Profile
    labels: Mapping[str, str]
    conf: NetConf

    @property
    def handle(self) -> str:
        """Under which its addresses are taken."""
        return handle(self.network, self.container_id)

    @property
    def attributes(self) -> dict[str, str]:
        """What is noted beside each address."""
        pod = {"pod": self.pod, "namespace": self.namespace} if self.pod else {}
        return {"node": self.node, **pod}

    def endpoint(self, addresses: Iterable[IPAddress]) -> WorkloadEndpoint:
        """The record of it."""
        return WorkloadEndpoint(
            metadata=Metadata(name=self.name, namespace=self.namespace, labels=dict(self.labels)),
            orchestrator=self.orchestrator,
            node=self.node,
            endpoint=self.ifname,
            workload="",
            container_id=self.container_id,
            pod=self.pod,
            ip_networks=tuple(ip_network(address) for address in addresses),
            profiles=(self.profile.name,),
            interface_name=self.interface,
        )


def plan(request: Request, *, node: str) -> Attach:
    """Name everything. Raises Invalid for a pod or container whose name cannot be part of an endpoint's."""
    pod = request.pod
    namespace, pod_name = pod or (DEFAULT_NAMESPACE, "")
    orchestrator = "k8s" if pod else "cni"
    name = workload_endpoint_name(
        node=node,
        orchestrator=orchestrator,
        endpoint=request.ifname,
        pod=pod_name,
        container_id=request.container_id,
    )
    labels = {
        **request.conf.pod_labels,
        "projectcalico.org/namespace": namespace,
        "projectcalico.org/orchestrator": orchestrator,
    }
    return Attach(
        network=request.conf.name,
        container_id=request.container_id,
        namespace=namespace,
        name=name,
        orchestrator=orchestrator,
        node=node,
        pod=pod_name,
        netns=request.netns,
        ifname=request.ifname,
        interface=_interface(request, pod),
        profile=namespace_profile(namespace) if pod else network_profile(request.conf.name),
        labels=labels,
        conf=request.conf,
    )


def check_storable(attach: Attach) -> None:
    """Raise Invalid for an endpoint that the store would take and nobody could read: checked before anything is made.

    Kubernetes' own names always pass; a runtime used by hand may be given others.
    """
    for text, rule in ((attach.namespace, dns_label), (attach.name, subdomain)):
        try:
            rule(text)
        except ValueError as bad:
            what = f"{attach.namespace}/{attach.pod or attach.container_id}"
            raise Invalid(str(bad), to=what, hint="name the pod in lower case") from bad


def _interface(request: Request, pod: tuple[str, str] | None) -> str:
    # A second interface of the same pod must not take the first one's name.
    second = "" if request.ifname == "eth0" else f".{request.ifname}"
    if pod:
        return pod_interface(pod[0], pod[1] + second)
    return container_interface(request.container_id) if not second else pod_interface(request.container_id, second)


def handle(network: str, container_id: str) -> str:
    """Of a container's addresses in a network."""
    return f"{network}.{container_id}"


def network_profile(network: str) -> Profile:
    """For containers that are no pods: those of one network reach each other, and everything else outside."""
    return Profile(
        metadata=Metadata(name=network),
        ingress=(PolicyRule(action=Action.ALLOW, source=Peer(selector=f"has({network})")),),
        egress=(PolicyRule(action=Action.ALLOW),),
        labels_to_apply={network: ""},
    )


def pod_side(ifname: str, addresses: Iterable[IPAddress], *, mtu: int = 0) -> tuple[Command, ...]:
    """Everything inside the pod's namespace, in order; may be run again."""
    commands: list[Command] = [SetLink(name=ifname, up=True, mtu=mtu)]
    families = set[int]()
    for address in addresses:
        commands.append(AddAddress(interface=ifname, address=_single(address)))
        families.add(address.version)
    if 4 in families:  # noqa: PLR2004 - a version of IP
        commands += [
            PutNeighbour(interface=ifname, address=GATEWAY, mac=HOST_MAC),
            PutRoute(route=Route(destination=ip_network(GATEWAY), interface=ifname)),
            PutRoute(route=Route(destination=_DEFAULT4, interface=ifname, gateway=GATEWAY)),
        ]
    if 6 in families:  # noqa: PLR2004 - a version of IP
        commands += [
            PutNeighbour(interface=ifname, address=GATEWAY6, mac=HOST_MAC),
            PutRoute(route=Route(destination=_DEFAULT6, interface=ifname, gateway=GATEWAY6)),
        ]
    return tuple(commands)


def pod_sysctls(ifname: str, *, forwarding: bool, ipv6: bool) -> tuple[tuple[str, str], ...]:
    """Inside the pod's namespace."""
    v6 = (("net/ipv6/conf/all/disable_ipv6", "0"), (f"net/ipv6/conf/{ifname}/accept_dad", "0")) if ipv6 else ()
    return (("net/ipv4/ip_forward", "1" if forwarding else "0"), *v6)


def result(attach: Attach, addresses: Iterable[IPAddress], *, mac: str, mtu: int) -> Result:
    """What ADD answers: the host's interface, the container's, and addresses of the latter."""
    return Result(
        interfaces=(
            Interface(name=attach.interface, mac=HOST_MAC, mtu=mtu),
            Interface(name=attach.ifname, mac=mac, sandbox=str(attach.netns or ""), mtu=mtu),
        ),
        ips=tuple(IPConfig(address=_single(address), interface=1) for address in addresses),
    )


def _single(address: IPAddress) -> IPv4Interface | IPv6Interface:
    return ip_interface(f"{address}/{address.max_prefixlen}")


def same_sandbox(found: WorkloadEndpoint | None, attach: Attach) -> bool:
    """Whether the record is this very container's: an ADD that is repeated, a DEL that may remove it."""
    return found is not None and found.container_id == attach.container_id
