"""rtnetlink: links, addresses, routes and neighbours of one network namespace, and sysctls.

pyroute2 has the messages (`netlink_wire`); the socket is a plain one, so that a batch of commands is one call and
may be sent from any thread: a namespace belongs to the thread that *opens* the socket, not to the one that uses it.
Commands are values, so that a plan can hold them; `netlink_memory.MemoryNetlink` takes the same ones with no kernel.

A batch is not a transaction: the kernel goes on after a refusal. Each command says what it forgives (an address that
is there already, a link that is gone already), so that a batch may be run again from any half-done state.
"""

import errno
import os
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path
from typing import Protocol, Self

from groundplane.errors import Failed
from groundplane.system import files, netns

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network


class Refused(Failed):
    """The kernel refused a command; `code` is its errno."""

    def __init__(self, happened: str, *, to: object, hint: str = "", code: int = 0) -> None:
        super().__init__(happened, to=to, hint=hint)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network device. `peer` is the index of the other end, in the namespace where that lives.

    `up` is what was asked for, `running` that packets pass: the kernel gets there a moment after both ends are up.
    """

    index: int
    name: str
    mac: str = ""
    up: bool = False
    running: bool = False
    mtu: int = 0
    peer: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route of the main table. `interface` "" and no gateway: a blackhole. `protocol` tells who made it.

    `on_link` holds the gateway to be a neighbour without asking whether an address of the interface says so.
    """

    destination: IPNetwork
    interface: str = ""
    gateway: IPAddress | None = None
    protocol: int = 4
    source: IPAddress | None = None
    on_link: bool = False
    priority: int = 0
    mtu: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AddVeth:
    """A pair, its peer born in the namespace of `peer_netns` (a descriptor) if one is given. Refused if it exists."""

    name: str
    peer: str
    mac: str = ""
    peer_mac: str = ""
    mtu: int = 0
    peer_netns: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetLink:
    """Up or down, hardware address, MTU; None and 0 leave as it is."""

    name: str
    up: bool | None = None
    mtu: int = 0
    mac: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteLink:
    """Gone already is fine."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAddress:
    """There already is fine."""

    interface: str
    address: IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteAddress:
    """Gone already is fine."""

    interface: str
    address: IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRoute:
    """Add it, or put it in the place of the route with this destination and priority."""

    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteRoute:
    """Gone already is fine."""

    route: Route


@dataclass(frozen=True, slots=True, kw_only=True)
class PutNeighbour:
    """A permanent neighbour entry."""

    interface: str
    address: IPAddress
    mac: str


Command = AddVeth | SetLink | DeleteLink | AddAddress | DeleteAddress | PutRoute | DeleteRoute | PutNeighbour

FORGIVEN: dict[type, frozenset[int]] = {
    DeleteLink: frozenset({errno.ENODEV}),
    AddAddress: frozenset({errno.EEXIST}),
    DeleteAddress: frozenset({errno.EADDRNOTAVAIL}),
    DeleteRoute: frozenset({errno.ESRCH}),
}


class Netlink(Protocol):
    """One network namespace's rtnetlink."""

    def link(self, name: str) -> Link | None:
        """The link, or None."""
        ...

    def links(self) -> tuple[Link, ...]:
        """All links."""
        ...

    def addresses(self, interface: str) -> frozenset[IPv4Interface | IPv6Interface]:
        """An interface's addresses; none where there is no such interface."""
        ...

    def routes(self) -> tuple[Route, ...]:
        """The main table's unicast and blackhole routes, both families."""
        ...

    def run(self, *commands: Command) -> None:
        """All of them, in order, in one system call. Raises Refused for the first that failed, having tried all."""
        ...

    def close(self) -> None:
        """Let the socket go."""
        ...


class KernelNetlink:
    """The kernel's. One caller at a time owns the socket. `open` belongs to the module's functions below."""

    def __init__(self, link: socket.socket) -> None:
        from groundplane.system import netlink_wire  # pyroute2 takes 0.1 s to import: only who opens a socket pays

        self._wire = netlink_wire
        self._socket = link
        self._socket.settimeout(10.0)  # the kernel answers at once; this only bounds the unforeseen
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def link(self, name: str) -> Link | None:
        """The link, or None."""
        try:
            return next(map(self._wire.parse_link, self._ask(self._wire.get_link(name))), None)
        except Refused as refused:
            if refused.code == errno.ENODEV:
                return None
            raise

    def links(self) -> tuple[Link, ...]:
        """All links."""
        return tuple(map(self._wire.parse_link, self._ask(self._wire.dump_links())))

    def addresses(self, interface: str) -> frozenset[IPv4Interface | IPv6Interface]:
        """An interface's addresses; none where there is no such interface."""
        link = self.link(interface)
        if link is None:
            return frozenset()
        found = map(self._wire.parse_address, self._ask(self._wire.dump_addresses()))
        return frozenset(address for index, address in found if index == link.index)

    def routes(self) -> tuple[Route, ...]:
        """The main table's unicast and blackhole routes, both families."""
        names = {link.index: link.name for link in self.links()}
        parsed = (self._wire.parse_route(raw, names) for raw in self._ask(self._wire.dump_routes()))
        return tuple(route for route in parsed if route is not None)

    def run(self, *commands: Command) -> None:
        """All of them, in order, in one system call. Raises Refused for the first that failed, having tried all.

        An interface must exist before the call; what a batch itself makes can only be named in a later one.
        """
        if not commands:
            return
        indices = {name: self._index(name) for name in interfaces(commands)}
        waiting: dict[int, Command] = {}
        batch: list[bytes] = []
        for command in commands:
            self._sequence += 1
            waiting[self._sequence] = command
            batch.append(self._wire.encode(command, indices).numbered(self._sequence))
        self._socket.send(b"".join(batch))
        failed: Refused | None = None
        while waiting:
            for kind, sequence, payload in self._wire.split(self._receive()):
                if kind != self._wire.ERROR or sequence not in waiting:
                    continue  # late words about an earlier, abandoned question
                command, code = waiting.pop(sequence), self._wire.error_code(payload)
                if code and code not in FORGIVEN.get(type(command), frozenset()) and failed is None:
                    failed = Refused(os.strerror(code).lower(), to=command, code=code)
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Let the socket go."""
        self._socket.close()

    def _index(self, name: str) -> int:
        link = self.link(name)
        if link is None:
            raise Refused("no such interface", to=name, code=errno.ENODEV)
        return link.index

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(1 << 18)
        except TimeoutError as silent:
            raise Refused("the kernel does not answer", to="rtnetlink", code=errno.ETIMEDOUT) from silent

    def _ask(self, question: "Message") -> Iterable[bytes]:
        self._sequence += 1
        asked, answers = self._sequence, list[bytes]()
        self._socket.send(question.numbered(asked))
        while True:
            for kind, sequence, payload in self._wire.split(self._receive()):
                if sequence != asked:
                    continue  # late words about an earlier, abandoned question
                if kind == self._wire.ERROR:
                    code = self._wire.error_code(payload)
                    raise Refused(os.strerror(code).lower(), to="rtnetlink", code=code)
                if kind == self._wire.DONE:
                    return answers
                answers.append(payload)
                if not question.dump:
                    return answers


class Message(Protocol):
    """One encoded question or command."""

    @property
    def dump(self) -> bool:
        """Whether many answers come, ended by a DONE."""
        ...

    def numbered(self, sequence: int) -> bytes:
        """The bytes to send."""
        ...


def interfaces(commands: Iterable[Command]) -> frozenset[str]:
    """The names that these commands need the indices of."""
    found: set[str] = set()
    for command in commands:
        match command:
            case AddAddress() | DeleteAddress() | PutNeighbour():
                found.add(command.interface)
            case PutRoute() | DeleteRoute() if command.route.interface:
                found.add(command.route.interface)
            case _:
                pass  # named in the message itself
    return frozenset(found)


def open_here() -> KernelNetlink:
    """In the calling thread's network namespace."""
    return KernelNetlink(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC))


def open_in(path: Path) -> KernelNetlink:
    """In the network namespace at `path`. Raises NamespaceGone."""
    return KernelNetlink(netns.open_socket(path, socket.AF_NETLINK, socket.SOCK_RAW))


def sysctl_path(name: str) -> Path:
    """`net/ipv4/ip_forward` below /proc/sys; slashes between parts, since interface names may hold dots."""
    return Path("/proc/sys") / name


def write_sysctls(wanted: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Write those that differ, in the calling thread's network namespace; the names written.

    One that this kernel does not have is left out: IPv6 may be off. Raises Refused where the write is not allowed.
    """
    written: list[str] = []
    for name, value in wanted:
        path = sysctl_path(name)
        now = files.read_optional(path)
        if now is None or now.decode().strip() == value:
            continue
        try:
            path.write_text(value)
        except OSError as refused:
            hint = "is /proc/sys read-only here?"
            raise Refused(f"cannot write {value}: {refused.strerror}", to=path, hint=hint) from refused
        written.append(name)
    return tuple(written)
