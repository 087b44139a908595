"""One call over HTTP: a body goes there, a status and a body come back, within a time and a size.

No redirection is followed: a request may have a token in it, which is for the server that was named. The time counts
for the whole call; a server that sends a byte now and then gains nothing.
"""

import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from time import monotonic
from typing import TYPE_CHECKING, Any

from groundplane.pki.remote.trouble import Late, dial_words, lookup_words, words_of

if TYPE_CHECKING:
    from collections.abc import Iterator

DIAL, HANDSHAKE, WHOLE = 30.0, 10.0, 60.0  # seconds; the first two are CFSSL's
LARGEST = 4 << 20  # bytes of an answer; one with a certificate has some two thousand
_READ_AT_ONCE = 64 << 10


class Failed(Exception):
    """There is no answer; `str` says why in Go's words."""


class Cut(Exception):
    """The answer's head came, and not the whole of its body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A path at a server. `host_header` is its name as the URL has it; `tls` None: HTTP."""

    host: str
    port: int
    host_header: str
    path: str
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came back. Header names are in lower case."""

    status: int
    body: bytes
    headers: Mapping[str, str]


def post(target: Target, body: bytes, *, within: float = WHOLE, largest: int = LARGEST) -> Reply:
    """POST JSON. Raises Failed, Cut."""
    end = monotonic() + within
    with _connect(target, end) as connected, _deadline(connected, end) as late, ExitStack() as opened:
        ends = _ends(connected)
        try:
            secured = opened.enter_context(_secure(connected, target, end))
            reply = opened.enter_context(_ask(secured, target, body))
            headers = {name.lower(): value for name, value in reply.getheaders()}
        except (OSError, HTTPException, ValueError) as bad:
            raise Failed(words_of(Late() if late.is_set() else bad, host=target.host, ends=ends)) from bad
        try:
            return Reply(status=reply.status, headers=headers, body=_read(reply, largest))
        except (OSError, HTTPException, ValueError) as bad:
            words = words_of(Late() if late.is_set() else bad, host=target.host, ends=ends)
            raise Cut("unexpected EOF" if isinstance(bad, HTTPException) else words) from bad


def _ends(connected: socket.socket) -> str:
    try:
        return f"{_shown(connected.getsockname())}->{_shown(connected.getpeername())}"
    except OSError:
        return "->"  # it is gone already, and whoever uses it next will say so


def _shown(address: Any) -> str:
    """A socket's address, as Go writes it."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _connect(target: Target, end: float) -> socket.socket:
    """The first of its addresses that answers. Raises Failed with the words of the first that did not."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as unknown:
        bad = unknown if isinstance(unknown, OSError) else OSError()
        raise Failed(lookup_words(target.host, bad)) from unknown
    # As Go: the family of the first address, then the other. `localhost` is IPv4 first there.
    found.sort(key=lambda one: one[0] != socket.AF_INET)
    first = ""
    for family, kind, protocol, _, address in found:
        tried = socket.socket(family, kind, protocol)
        try:
            tried.settimeout(max(0.001, min(DIAL / len(found), end - monotonic())))
            tried.connect(address)
            tried.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as bad:
            tried.close()
            first = first or dial_words(_shown(address), bad)
        else:
            return tried
    raise Failed(first)


@contextmanager
def _deadline(connected: socket.socket, end: float) -> "Iterator[threading.Event]":
    """Cuts the connection when the time is over; the event says that it did."""
    late = threading.Event()
    # The descriptor of a copy: TLS takes over the original, and closing is up to others.
    copy = connected.dup()

    def cut() -> None:
        late.set()
        try:
            copy.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was quicker

    timer = threading.Timer(max(0.0, end - monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        timer.join()
        copy.close()


def _secure(connected: socket.socket, target: Target, end: float) -> socket.socket:
    if target.tls is None:
        connected.settimeout(None)  # the deadline watches
        return connected
    connected.settimeout(max(0.001, min(HANDSHAKE, end - monotonic())))
    secured = target.tls.wrap_socket(connected, server_hostname=target.host.partition("%")[0])
    secured.settimeout(None)
    return secured


def _ask(secured: socket.socket, target: Target, body: bytes) -> HTTPResponse:
    connection = HTTPConnection(target.host, target.port)
    connection.sock = secured
    headers = {
        "Host": target.host_header,
        "User-Agent": "groundplane",
        "Content-Type": "application/json",
        "Connection": "close",
    }
    connection.request("POST", target.path, body, headers)
    return connection.getresponse()


def _read(reply: HTTPResponse, largest: int) -> bytes:
    parts, size = [], 0
    while part := reply.read(_READ_AT_ONCE):
        size += len(part)
        if size > largest:
            raise Cut(f"the answer is larger than {largest} bytes")
        parts.append(part)
    if reply.length:
        raise Cut("unexpected EOF")
    return b"".join(parts)
