"""rtnetlink without a kernel: what tests of plans and loops use in its place.

`fail` holds the types of commands whose next run the "kernel" refuses, once each.
"""

import errno
from dataclasses import replace
from ipaddress import IPv4Interface, IPv6Interface

from groundplane.system.netlink import (
    AddAddress,
    AddVeth,
    Command,
    DeleteAddress,
    DeleteLink,
    DeleteRoute,
    Link,
    PutNeighbour,
    PutRoute,
    Refused,
    Route,
    SetLink,
)


class MemoryNetlink:
    """One namespace. The peer of a veth that is born elsewhere is not kept."""

    def __init__(self) -> None:
        self.fail: set[type] = set()
        self.neighbours: dict[tuple[str, str], str] = {}
        self._links: dict[str, Link] = {"lo": Link(index=1, name="lo", up=True)}
        self._addresses: dict[str, set[IPv4Interface | IPv6Interface]] = {}
        self._routes: dict[tuple[object, int], Route] = {}
        self._last = 1

    def link(self, name: str) -> Link | None:
        """The link, or None."""
        return self._links.get(name)

    def links(self) -> tuple[Link, ...]:
        """All links."""
        return tuple(self._links.values())

    def addresses(self, interface: str) -> frozenset[IPv4Interface | IPv6Interface]:
        """An interface's addresses; none where there is no such interface."""
        return frozenset(self._addresses.get(interface, ()))

    def routes(self) -> tuple[Route, ...]:
        """All routes."""
        return tuple(self._routes.values())

    def run(self, *commands: Command) -> None:
        """As the kernel: every command is tried; the first failure is raised at the end."""
        failed: Refused | None = None
        for command in commands:
            try:
                self._run(command)
            except Refused as refused:
                failed = failed or refused
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Nothing to let go."""

    def _run(self, command: Command) -> None:  # noqa: C901 - one case a command
        if type(command) in self.fail:
            self.fail.discard(type(command))
            raise Refused("told to fail", to=command, code=errno.EIO)
        match command:
            case AddVeth():
                self._add_link(command.name, command.mac, command.mtu)
                if command.peer_netns is None:
                    self._add_link(command.peer, command.peer_mac, command.mtu)
            case SetLink():
                link = self._must(command.name)
                up = link.up if command.up is None else command.up
                self._links[link.name] = replace(
                    link, up=up, running=up, mtu=command.mtu or link.mtu, mac=command.mac or link.mac
                )
            case DeleteLink():
                if self._links.pop(command.name, None) is not None:
                    self._addresses.pop(command.name, None)
                    self._routes = {k: r for k, r in self._routes.items() if r.interface != command.name}
            case AddAddress():
                self._addresses.setdefault(self._must(command.interface).name, set()).add(command.address)
            case DeleteAddress():
                self._addresses.setdefault(self._must(command.interface).name, set()).discard(command.address)
            case PutRoute():
                if command.route.interface and not self._must(command.route.interface).up:
                    raise Refused("network is down", to=command, code=errno.ENETDOWN)
                self._routes[command.route.destination, command.route.priority] = command.route
            case DeleteRoute():
                self._routes.pop((command.route.destination, command.route.priority), None)
            case PutNeighbour():
                self.neighbours[self._must(command.interface).name, str(command.address)] = command.mac

    def _add_link(self, name: str, mac: str, mtu: int) -> None:
        if name in self._links:
            raise Refused("file exists", to=name, code=errno.EEXIST)
        self._last += 1
        self._links[name] = Link(index=self._last, name=name, mac=mac, mtu=mtu or 1500)

    def _must(self, name: str) -> Link:
        link = self._links.get(name)
        if link is None:
            raise Refused("no such interface", to=name, code=errno.ENODEV)
        return link
