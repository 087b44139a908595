"""The lab's cables: a network namespace with a bridge for each network that hosts stand in.

Nothing joins the fabric to the machine's own network, so no packet of a lab can leave it. The operator's commands enter
the fabric to reach the hosts; their address is the last free one of each network, which also routes between the
networks where there are several. Pods reach it as something outside the cluster.
"""

import errno
import hashlib
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv4Network
from pathlib import Path

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from groundplane.errors import Failed
from groundplane.names import HostName
from groundplane.system import netns

UPLINK = "eth0"


class CableFailed(Failed):
    """The kernel refused a link, an address or a route."""


def operator_address(network: IPv4Network, taken: Iterable[IPv4Interface]) -> IPv4Interface:
    """The highest address of `network` that no host has."""
    used = {address.ip for address in taken}
    free = next(ip for ip in reversed(list(network.hosts())) if ip not in used)
    return IPv4Interface((free, network.prefixlen))


def bridge_name(network: IPv4Network) -> str:
    """At most 15 characters, one name a network."""
    return "br-" + hashlib.sha256(str(network).encode()).hexdigest()[:8]


def port_name(host: HostName) -> str:
    """The fabric's end of a host's cable; readable where the name is short enough."""
    return f"h-{host}" if len(host) <= 13 else "h-" + hashlib.sha256(host.encode()).hexdigest()[:12]  # noqa: PLR2004


def ensure(pin: Path, networks: Iterable[IPv4Network], hosts: Iterable[IPv4Interface]) -> bool:
    """Make the namespace and what is missing in it; True if anything was."""
    changed = False
    if not netns.pinned(pin):
        netns.create(pin)
        changed = True
    taken, wanted = tuple(hosts), tuple(networks)

    def inside() -> bool:
        with IPRoute() as ip:
            made = [_bridge(ip, network, operator_address(network, taken)) for network in wanted]
            _up(ip, "lo")
        # The thread's own namespace: the fabric routes between its networks, as a router between racks would.
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
        return any(made)

    try:
        return netns.run_in(pin, inside) or changed
    except NetlinkError as refused:
        raise CableFailed(str(refused), to=pin) from refused


def _bridge(ip: IPRoute, network: IPv4Network, address: IPv4Interface) -> bool:
    name = bridge_name(network)
    if ip.link_lookup(ifname=name):
        return False
    ip.link("add", ifname=name, kind="bridge")
    index = ip.link_lookup(ifname=name)[0]
    ip.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
    ip.link("set", index=index, state="up")
    return True


def _up(ip: IPRoute, name: str) -> None:
    ip.link("set", index=ip.link_lookup(ifname=name)[0], state="up")


def connect(fabric: Path, here: Path, host: HostName, address: IPv4Interface, others: Iterable[IPv4Network]) -> None:
    """Plug the calling thread's network namespace (`here`) into the fabric, as `eth0` with `address`.

    `others` are reached through the operator's address. Leaves the thread in `here`.
    """
    port, gateway = port_name(host), None
    try:
        with open(here, "rb") as own:  # noqa: PTH123 - a descriptor of the namespace is what is wanted
            netns.enter(fabric, netns.CLONE_NEWNET)
            with IPRoute() as ip:
                bridge = ip.link_lookup(ifname=bridge_name(address.network))[0]
                gateway = next(str(a.get_attr("IFA_ADDRESS")) for a in ip.get_addr(index=bridge, family=2))
                for stale in ip.link_lookup(ifname=port):
                    ip.link("del", index=stale)
                ip.link("add", ifname=port, kind="veth", peer={"ifname": UPLINK, "net_ns_fd": own.fileno()})
                ip.link("set", index=ip.link_lookup(ifname=port)[0], master=bridge, state="up")
            netns.enter(Path(f"/proc/self/fd/{own.fileno()}"), netns.CLONE_NEWNET)
        with IPRoute() as ip:
            _up(ip, "lo")
            index = ip.link_lookup(ifname=UPLINK)[0]
            ip.addr("add", index=index, address=str(address.ip), prefixlen=address.network.prefixlen)
            ip.link("set", index=index, state="up")
            for network in others:
                ip.route("add", dst=str(network), gateway=gateway)
    except NetlinkError as refused:
        name = errno.errorcode.get(refused.code, "?")
        raise CableFailed(f"cannot be plugged into the fabric: {name} {refused}", to=host) from refused
