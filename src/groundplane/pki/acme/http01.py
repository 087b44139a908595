"""http-01 (RFC 8555, 8.3): a file under /.well-known/acme-challenge/ holds the key authorization.

Bounds: one deadline for all of it, headers of 16 KiB, a body of 4 KiB, ten redirects, which lead only to http or https
at the ports of the configuration, and each through the same fence as the first address.
"""

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import h11

from groundplane.pki.acme.identifiers import parse_identifier
from groundplane.pki.acme.model import Identifier, IdentifierType
from groundplane.pki.acme.problem import Problem, Type
from groundplane.pki.acme.reach import Reach, Streams, any_certificate

PATH = "/.well-known/acme-challenge/"
_REDIRECTS = 10
_LARGEST_HEAD, _LARGEST_BODY, _LONGEST_URL = 16 << 10, 4 << 10, 2048
_MOVED = frozenset({301, 302, 303, 307, 308})
_OK = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """Where http and https are asked; the standard ones, but in a lab."""

    http: int
    https: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A URL that is safe to ask for."""

    tls: bool
    target: Identifier
    port: int
    path: str

    def url(self) -> str:
        """As text."""
        host = f"[{self.target.value}]" if ":" in self.target.value else self.target.value
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}{self.path}"


async def validate(target: Identifier, *, token: str, key_authorization: str, reach: Reach, ports: Ports) -> None:
    """Raises Problem unless `target` serves the key authorization."""
    place = Place(tls=False, target=target, port=ports.http, path=PATH + token)
    for _ in range(_REDIRECTS + 1):
        answer = await _get(place, reach, ports)
        if isinstance(answer, bytes):
            return _compare(answer, key_authorization, place)
        place = answer
    raise Problem(Type.CONNECTION, f"{target.value} redirects more than {_REDIRECTS} times")


def _compare(body: bytes, key_authorization: str, place: Place) -> None:
    if body.rstrip(b" \t\r\n") != key_authorization.encode():
        shown = body[:100].decode("utf-8", "replace")
        raise Problem(Type.UNAUTHORIZED, f"{place.url()} holds {shown!r}, not the key authorization")


async def _get(place: Place, reach: Reach, ports: Ports) -> bytes | Place:
    """The body of a 200, or where a redirect leads."""
    name = place.target.value if place.target.type is IdentifierType.DNS else None
    tls = any_certificate() if place.tls else None
    try:
        async with reach.connect(place.target, place.port, tls=tls, server_name=name or "") as streams:
            return await _exchange(place, streams, ports)
    except (OSError, h11.RemoteProtocolError) as failed:
        raise Problem(Type.CONNECTION, f"{place.url()} does not answer in HTTP") from failed


async def _exchange(place: Place, streams: Streams, ports: Ports) -> bytes | Place:
    reader, writer = streams
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
    host = f"[{place.target.value}]" if ":" in place.target.value else place.target.value
    host = host if place.port in {80, 443} else f"{host}:{place.port}"
    request = h11.Request(
        method="GET",
        target=place.path,
        headers=[
            *(("Host", host), ("User-Agent", "groundplane-acme"), ("Accept", "*/*")),
            *(("Accept-Encoding", "identity"), ("Connection", "close")),
        ],
    )
    writer.write((connection.send(request) or b"") + (connection.send(h11.EndOfMessage()) or b""))
    await writer.drain()
    body = b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_LARGEST_HEAD))
        elif isinstance(event, h11.Response):
            if event.status_code in _MOVED:
                return _redirect(place, event, ports)
            if event.status_code != _OK:
                raise Problem(Type.UNAUTHORIZED, f"{place.url()} answers with status {event.status_code}")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _LARGEST_BODY:
                raise Problem(Type.UNAUTHORIZED, f"{place.url()} holds more than any key authorization")
        elif isinstance(event, h11.EndOfMessage):
            return body
        elif isinstance(event, (h11.ConnectionClosed, type(h11.PAUSED))):
            raise Problem(Type.CONNECTION, f"{place.url()} ends before its answer does")


def _redirect(place: Place, response: h11.Response, ports: Ports) -> Place:
    location = next((value for name, value in response.headers if name == b"location"), b"")
    return place_of(urljoin(place.url(), location.decode("latin-1")), ports)


def place_of(url: str, ports: Ports) -> Place:
    """Where a redirect may lead. Raises Problem for another scheme, port or kind of host."""
    refused = Problem(Type.CONNECTION, "it redirects to a place that this server does not go to")
    if len(url) > _LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
        raise refused
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as bad:
        raise refused from bad
    tls = parts.scheme == "https"
    allowed, usual = (ports.https, 443) if tls else (ports.http, 80)
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise refused
    if port is not None and port not in {allowed, usual}:
        raise refused
    try:
        kind = "ip" if ":" in host or host.rpartition(".")[2].isdigit() else "dns"
        target = parse_identifier(kind, host.removesuffix("."))
    except Problem as bad:
        raise refused from bad
    if target.wildcard:
        raise refused
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Place(tls=tls, target=target, port=allowed, path=path)
