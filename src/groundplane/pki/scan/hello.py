"""A client's hello, from what it shall offer to the record on the wire (RFC 8446, 4.1.2; RFC 5246, 7.4.1.2).

TLS 1.3 is offered alone, with the key shares that are given; without any, a server that speaks it answers which group
it would rather have, and that is all a scan wants to know.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from groundplane.pki.scan.registry import TLS10, TLS12, TLS13

_HANDSHAKE, _CLIENT_HELLO = 22, 1
_RANDOM_LENGTH = 32
_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What to offer. `name` empty: no server name. `shares`: group and public key, for TLS 1.3."""

    version: int
    suites: Sequence[int]
    groups: Sequence[int] = ()
    schemes: Sequence[int] = ()
    name: str = ""
    shares: Sequence[tuple[int, bytes]] = field(default=(), repr=False)


def hello_message(offer: Offer, random: bytes) -> bytes:
    """The handshake message; `random` is 32 bytes of it, and for TLS 1.3 32 more for the session's name."""
    is_new = offer.version >= TLS13
    body = (
        min(offer.version, TLS12).to_bytes(2)
        + random[:_RANDOM_LENGTH]
        + _short(random[_RANDOM_LENGTH : 2 * _RANDOM_LENGTH] if is_new else b"")
        + _long(_numbers(offer.suites))
        + _short(b"\x00")  # no compression
        + _long(b"".join(_extensions(offer)))
    )
    return bytes((_CLIENT_HELLO,)) + len(body).to_bytes(3) + body


def hello_record(message: bytes, version: int) -> bytes:
    """The record of that message. Old servers want their own version on it, none wants more than TLS 1.0."""
    return bytes((_HANDSHAKE,)) + min(version, TLS10).to_bytes(2) + _long(message)


def _extensions(offer: Offer) -> Iterable[bytes]:
    name = offer.name.encode("ascii", "ignore")[:_LONGEST_NAME]
    if name:
        yield _extension(0, _long(b"\x00" + _long(name)))
    if offer.groups:
        yield _extension(10, _long(_numbers(offer.groups)))
        yield _extension(11, _short(b"\x00"))  # points are not compressed
    if offer.schemes and offer.version >= TLS12:
        yield _extension(13, _long(_numbers(offer.schemes)))
    if offer.version >= TLS13:
        yield _extension(43, _short(TLS13.to_bytes(2)))
        yield _extension(51, _long(b"".join(group.to_bytes(2) + _long(key) for group, key in offer.shares)))
    else:
        yield _extension(5, b"\x01\x00\x00\x00\x00")  # a stapled OCSP response is welcome
        yield _extension(0xFF01, _short(b""))  # RFC 5746


def _extension(number: int, content: bytes) -> bytes:
    return number.to_bytes(2) + _long(content)


def _numbers(numbers: Iterable[int]) -> bytes:
    return b"".join(number.to_bytes(2) for number in numbers)


def _short(content: bytes) -> bytes:
    return len(content).to_bytes(1) + content


def _long(content: bytes) -> bytes:
    return len(content).to_bytes(2) + content
