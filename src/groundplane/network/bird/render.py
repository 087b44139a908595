"""BIRD's file, from a view of the mesh. The same view gives the same bytes.

Only what this node owns leaves it: its blocks, whole, and the /32 of a workload whose address was borrowed from another
node's block. Into the kernel go the node's blocks as blackholes (an address that nobody has is unreachable, not
somebody's default route) and what peers tell, but for tunnelled pools, whose routes the agent makes.

Timers, for BGP between neighbours of one data centre: a peer that was not up yet is asked again after a second (BIRD's
own wait, 120 s, is for the Internet). Graceful restart keeps what a killed BIRD had told its peers, and `persist` with
`bird -R` what it had told the kernel; `graceful restart wait` bounds how long a restarted BIRD with a dead peer keeps
stale routes: long enough for every live peer, who comes back within two seconds.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address

from groundplane.network.bird.model import DEFAULT_PORT, BirdView, Peer

KERNEL_PROTOCOL = 12
"""RTPROT_BIRD: what BIRD's own routes carry in the kernel."""

_METRIC = 1024  # Calico's normal route priority
_RESTART_WAIT = 10
_HOST_PREFIX = 32


def initial(address: IPv4Address, node: str) -> str:
    """A file without BGP, for BIRD's first start, before the agent knows anybody."""
    return "\n".join([*_head(address, node), "protocol device {", "\tscan time 2;", "}", ""])


def render(view: BirdView) -> str:
    """The whole file."""
    lines = [
        *_head(view.address.ip, view.node),
        *_devices(view),
        *_blocks(view),
        *_kernel(view),
        *_export(view),
        *_template(view),
    ]
    for peer in sorted(view.peers, key=lambda one: one.address):
        lines += _peer(view, peer)
    return "\n".join([*lines, ""])


def protocol_name(address: IPv4Address) -> str:
    """`Mesh_10_0_0_2`."""
    return f"Mesh_{address}".replace(".", "_")


def peer_of(protocol: str) -> IPv4Address | None:
    """The address in a name that `protocol_name` made."""
    kind, _, rest = protocol.partition("_")
    try:
        return IPv4Address(rest.replace("_", ".")) if kind == "Mesh" else None
    except ValueError:
        return None


def _head(address: IPv4Address, node: str) -> Iterator[str]:
    yield f"# Written by groundplane-agent for node {node}: changes here are lost."
    yield "log stderr { warning, error, fatal, bug };"
    yield "timeformat protocol iso long;"
    yield f"graceful restart wait {_RESTART_WAIT};"
    yield f"router id {address};"
    yield ""


def _devices(view: BirdView) -> Iterator[str]:
    hidden = ["cali*", "kube-ipvs*", *view.ignored_interfaces]
    yield "protocol device {"
    yield "\tscan time 2;"
    yield "}"
    yield ""
    yield "protocol direct {"
    yield "\tipv4;"
    yield "\tinterface " + ", ".join([*(f'-"{_quotable(one)}"' for one in hidden), '"*"']) + ";"
    yield "}"
    yield ""


def _blocks(view: BirdView) -> Iterator[str]:
    yield "protocol static own_blocks {"
    yield "\tipv4;"
    for block in sorted(view.blocks):
        if block.prefixlen < _HOST_PREFIX:
            yield f"\troute {block} blackhole;"
    yield "}"
    yield ""


def _kernel(view: BirdView) -> Iterator[str]:
    yield "filter to_kernel {"
    yield "\tif source = RTS_STATIC then accept;"
    yield "\tif source != RTS_BGP then reject;"
    for pool in sorted(view.pools, key=lambda one: one.cidr):
        if pool.tunnelled:
            yield f"\tif net ~ {pool.cidr} then reject; # the agent's: BIRD cannot say which tunnel"
    yield "\taccept;"
    yield "}"
    yield ""
    yield "protocol kernel {"
    yield "\tlearn;"
    yield "\tpersist;"
    yield "\tscan time 2;"
    yield "\tmerge paths on;"
    yield "\tgraceful restart;"
    yield f"\tmetric {_METRIC};"
    yield "\tipv4 {"
    yield "\t\timport all;"
    yield "\t\texport filter to_kernel;"
    yield "\t};"
    yield "}"
    yield ""


def _export(view: BirdView) -> Iterator[str]:
    yield "filter to_peers {"
    for pool in sorted(view.pools, key=lambda one: str(one.cidr)):
        if not pool.exported:
            yield f"\tif net ~ {pool.cidr} then reject;"
    for block in sorted(view.blocks):
        yield f"\tif net = {block} then accept;"
        yield f"\tif net ~ {block} then reject;"
    # what is left that is a workload's own: an address borrowed from another node's block
    yield '\tif source != RTS_INHERIT || ifname !~ "cali*" then reject;'
    for pool in sorted(view.pools, key=lambda one: str(one.cidr)):
        if pool.exported:
            yield f"\tif net ~ {pool.cidr} then accept;"
    yield "\treject;"
    yield "}"
    yield ""


def _template(view: BirdView) -> Iterator[str]:
    yield "template bgp mesh {"
    port = f" port {view.port}" if view.port != DEFAULT_PORT else ""
    yield f"\tlocal {view.address.ip}{port} as {view.as_number};"
    yield "\tmultihop;"
    yield "\tconnect delay time 0;"
    yield "\tconnect retry time 1;"
    yield "\terror wait time 1, 2;"
    yield "\terror forget time 5;"
    yield "\tgraceful restart on;"
    yield "\tgraceful restart time 120;"
    yield "\tipv4 {"
    yield "\t\timport all;"
    yield "\t\texport filter to_peers;"
    yield "\t\tadd paths on;"
    yield "\t\tgateway recursive;"
    yield "\t};"
    yield "}"
    yield ""


def _peer(view: BirdView, peer: Peer) -> Iterator[str]:
    port = f" port {view.port}" if view.port != DEFAULT_PORT else ""
    yield f"protocol bgp {protocol_name(peer.address)} from mesh {{"
    yield f"\tneighbor {peer.address}{port} as {peer.as_number};"
    # One side calls, so that two calls never collide; compared as text, as Calico's nodes of the same mesh do.
    if str(peer.address) > str(view.address.ip):
        yield "\tpassive on;"
    yield "}"
    yield ""


def _quotable(pattern: str) -> str:
    return "".join(character for character in pattern if character not in '"\\\n')
