"""What BIRD's file is made from, and what BIRD reports."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

DEFAULT_AS = 64512
DEFAULT_PORT = 179


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another node of the mesh."""

    node: str
    address: IPv4Address
    as_number: int = DEFAULT_AS


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """An address pool, as BIRD sees it. `tunnelled`: the agent makes the routes to other nodes' blocks, not BIRD."""

    cidr: IPv4Network
    tunnelled: bool = False
    exported: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class BirdView:
    """One node's place in the mesh. `blocks` are the node's own, confirmed ones."""

    node: str
    address: IPv4Interface
    as_number: int = DEFAULT_AS
    port: int = DEFAULT_PORT
    peers: tuple[Peer, ...] = ()
    blocks: tuple[IPv4Network, ...] = ()
    pools: tuple[Pool, ...] = ()
    ignored_interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One BGP protocol. `state` is BIRD's of the protocol (up, start, down), `bgp` that of the session."""

    name: str
    peer: IPv4Address
    state: str
    bgp: str
    since: str
    info: str = ""

    @property
    def established(self) -> bool:
        """Whether routes are exchanged."""
        return self.bgp == "Established"
