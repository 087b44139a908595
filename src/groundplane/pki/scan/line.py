"""One server, as one scan reaches it: where it is, what it is called, and how much time is left.

Connections fail in Go's words, which are what CFSSL's clients read.
"""

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from groundplane.errors import GroundplaneError
from groundplane.pki.chain.peer import split_address
from groundplane.pki.scan.model import OutOfTime, Unreachable

if TYPE_CHECKING:
    from groundplane.pki.chain.build import Pool
    from groundplane.pki.chain.link import Link

PORT = 443
DIAL_WITHIN = 1.0  # CFSSL's
_HERE = ("127.0.0.1", "::1")  # what Go dials for no host at all
ANSWER_WITHIN = 5.0  # a hello that gets no answer by then gets none


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a scan knows besides the server: whom to believe, how to find out whether a certificate is revoked.

    `roots` and `strangers` are asked for when they are needed: the former are what a strict client trusts; the latter
    tells which CA certificates of a chain nobody here knows. `ranges`: Cloudflare's networks, as text.
    """

    roots: "Callable[[], Pool]"
    is_revoked: "Callable[[Link], bool | None]"
    strangers: "Callable[[tuple[Link, ...]], tuple[Link, ...]]"
    ranges: Callable[[], tuple[str, ...]]
    clock: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`host` is dialled, `name` is whom to ask for there; both without brackets. `ends`: on the monotonic clock."""

    host: str
    port: str
    name: str
    site: Site
    ends: float

    @property
    def place(self) -> str:
        """Address and port, as Go joins them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def server_name(self) -> str:
        """For the hello; an address is none (RFC 6066, 3)."""
        return "" if is_address(self.name) else self.name

    def at(self, host: str) -> "Line":
        """The same, at another address."""
        return replace(self, host=host)

    def within(self, limit: float) -> float:
        """Seconds that the next step may take. Raises OutOfTime."""
        left = self.ends - time.monotonic()
        if left <= 0:
            raise OutOfTime("the scan has no time left", to=self.place)
        return min(limit, left)

    def addresses(self, host: str) -> tuple[str, ...]:
        """Those of a name; an address is its own. Raises Unreachable."""
        self.within(DIAL_WITHIN)
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as unknown:
            raise Unreachable(f"lookup {host}: no such host", to=host) from unknown
        return tuple(dict.fromkeys(str(each[4][0]) for each in found))

    def connect(self) -> socket.socket:
        """A connection. Raises Unreachable."""
        port = self._number()
        if any(odd in self.host for odd in "[]"):
            found_odd = "[" if "[" in self.host else "]"
            raise Unreachable(f"dial tcp: address {self.place}: unexpected '{found_odd}' in address", to=self.place)
        try:
            found = self.addresses(self.host) if self.host else _HERE
        except Unreachable as unknown:
            raise Unreachable(f"dial tcp: {unknown.happened}", to=self.place) from unknown
        first: OSError | None = None
        # Go tries all, and tells of the first; IPv4 is what it takes first of a name that has both and is here.
        ordered = sorted(found, key=lambda address: ":" in address)
        for address in ordered:
            try:
                return socket.create_connection((address, port), timeout=self.within(DIAL_WITHIN))
            except OSError as bad:
                first = first or bad
        words = "no such host" if first is None else _words(first)
        tried = ordered[0] if self.host else ""
        shown = f"[{tried}]:{port}" if ":" in tried else f"{tried}:{port}"
        raise Unreachable(f"dial tcp {shown}: {words}", to=self.place) from first

    def _number(self) -> int:
        """A port may have a service's name; without any it is 0."""
        if not self.port:
            return 0
        try:
            return socket.getservbyname(self.port, "tcp")
        except (OSError, ValueError):
            pass  # a number, as a rule
        try:
            return split_address(f"h:{self.port}", default=PORT)[1]
        except GroundplaneError as bad:
            raise Unreachable(bad.happened, to=self.place) from bad


def open_line(host: str, address: str, *, site: Site, within: timedelta) -> Line:
    """HOST, HOST:PORT or [ADDRESS]:PORT; `address` is where it is, if that is not where its name says."""
    name, port = split_host(host)
    return Line(
        host=address if is_address(address) else name,
        port=port,
        name=name,
        site=site,
        ends=time.monotonic() + within.total_seconds(),
    )


def split_host(text: str) -> tuple[str, str]:
    """Host and port, by the rules of Go's net.SplitHostPort; 443 if it cannot be split. A port may be anything."""
    host, colon, port = text.rpartition(":")
    if not colon:
        return text, str(PORT)
    if host.startswith("[") and host.endswith("]") and "]" not in host[1:-1]:
        return host[1:-1], port
    if any(odd in host for odd in ":[]") or any(odd in port for odd in "[]"):
        return text, str(PORT)
    return host, port


def is_address(text: str) -> bool:
    """Whether it is an IP address, without a zone."""
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _words(bad: OSError) -> str:
    """As Go says it."""
    return "i/o timeout" if isinstance(bad, TimeoutError) else f"connect: {(bad.strerror or str(bad)).lower()}"
