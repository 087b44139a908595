"""Fetching over HTTP from addresses that a certificate names, which may be anyone's: bounded in every direction.

Only http and https; no credentials, cookies or proxies; a few redirects, each held to the same rules; so many bytes
and so many seconds. Hosts can be limited to a list. Link-local addresses, where clouds answer
with a machine's secrets, are never asked.
"""

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from threading import Timer
from urllib.parse import SplitResult, urljoin, urlsplit

from groundplane.errors import Denied, Exhausted, Invalid, Unavailable

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_CHUNK = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a fetch may cost. `hosts` empty: any host."""

    hosts: frozenset[str] = frozenset()
    most_bytes: int = 8 << 20
    within: float = 10.0  # seconds for one answer, redirects included
    most_redirects: int = 3


@dataclass(slots=True)
class Fetcher:
    """Asks, for any number of threads. How often, is its callers' to bound."""

    limits: Limits = field(default_factory=Limits)

    def get(self, url: str) -> bytes:
        """The body at `url`. Raises Denied, Invalid, Exhausted or Unavailable."""
        return self._ask("GET", url, None, {})

    def post(self, url: str, body: bytes, *, kind: str) -> bytes:
        """The answer to `body`, of media type `kind`. Raises as `get` does."""
        return self._ask("POST", url, body, {"Content-Type": kind})

    def _ask(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        until = time.monotonic() + self.limits.within
        for _ in range(self.limits.most_redirects + 1):
            answer = self._once(method, url, body, headers, until)
            if isinstance(answer, bytes):
                return answer
            url = urljoin(url, answer)
        raise Unavailable(f"more than {self.limits.most_redirects} redirects", to=url)

    def _once(self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], until: float) -> bytes | str:
        """The body, or where it has moved."""
        parts = self._checked(url)
        connection = self._connection(parts, until)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        # A time-out of the socket is for one read: headers that drip would outlast any number of them.
        watch = Timer(max(until - time.monotonic(), 0), _hang_up, (connection.sock,))
        watch.daemon = True
        watch.start()
        try:
            connection.request(method, path, body, {"User-Agent": "groundplane", "Connection": "close", **headers})
            answer = connection.getresponse()
            if answer.status in _REDIRECTS and (place := answer.getheader("Location")):
                return place
            if answer.status != _OK:
                raise Unavailable(f"it answers {answer.status}", to=url)
            return self._body(answer, connection, url, until)
        except (OSError, http.client.HTTPException, ValueError) as bad:
            raise Unavailable(f"it cannot be fetched: {bad}", to=url) from bad
        finally:
            watch.cancel()
            connection.close()

    def _body(
        self, answer: http.client.HTTPResponse, connection: http.client.HTTPConnection, url: str, until: float
    ) -> bytes:
        found = bytearray()
        while True:
            left = until - time.monotonic()
            if left <= 0:
                raise Unavailable(f"it takes longer than {self.limits.within:g} s", to=url)
            if connection.sock is not None:
                connection.sock.settimeout(left)
            # read1 returns what one answer of the socket holds: a body that drips cannot outlast the deadline.
            chunk = answer.read1(_CHUNK)
            if not chunk:
                break
            found += chunk
            if len(found) > self.limits.most_bytes:
                raise Exhausted(f"it is longer than {self.limits.most_bytes} bytes", to=url)
        if time.monotonic() >= until:
            raise Unavailable(f"it takes longer than {self.limits.within:g} s", to=url)
        if answer.length:
            raise Unavailable(f"it ends {answer.length} bytes too soon", to=url)
        return bytes(found)

    def _checked(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError as bad:
            raise Invalid("this is no address", to=repr(url)) from bad
        if parts.scheme not in {"http", "https"} or not host or not url.isascii() or any(c <= " " for c in url):
            raise Invalid("only http and https addresses are fetched", to=repr(url))
        if self.limits.hosts and host.lower() not in self.limits.hosts:
            hint = f"allowed are: {', '.join(sorted(self.limits.hosts))}"
            raise Denied(f"nothing may be fetched from {host}", to=url, hint=hint)
        return parts

    def _connection(self, parts: SplitResult, until: float) -> http.client.HTTPConnection:
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        left = max(until - time.monotonic(), 0.001)
        try:
            connected = socket.create_connection((host, port), timeout=left)
        except (OSError, UnicodeError) as bad:
            raise Unavailable(f"it cannot be fetched: {bad}", to=parts.geturl()) from bad
        connection = http.client.HTTPConnection(host, port, timeout=left)
        connection.sock = connected
        try:
            _refuse_link_local(connected, parts)
            if parts.scheme == "https":
                connection.sock = ssl.create_default_context().wrap_socket(connected, server_hostname=host)
        except OSError as bad:
            connection.close()
            raise Unavailable(f"it cannot be fetched: {bad}", to=parts.geturl()) from bad
        except Denied:
            connection.close()
            raise
        return connection


def _hang_up(connected: socket.socket) -> None:
    """Wakes whoever reads from it."""
    try:
        connected.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it was over already


def _refuse_link_local(connected: socket.socket, parts: SplitResult) -> None:
    peer = ip_address(connected.getpeername()[0].partition("%")[0])
    if peer.is_link_local or (isinstance(peer, IPv6Address) and peer.ipv4_mapped and peer.ipv4_mapped.is_link_local):
        raise Denied("link-local addresses are not asked", to=parts.geturl())
