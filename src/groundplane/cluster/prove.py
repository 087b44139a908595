"""Send packets, to see that every pod reaches every other, across hosts.

The packets are sent by this process from inside each pod's network namespace, so nothing is asked of the image: an ICMP
echo, whose answer proves the path in both directions.
"""

import os
import select
import socket
import struct
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from groundplane.errors import GroundplaneError
from groundplane.system import netns

_ECHO_REQUEST, _ECHO_REPLY = 8, 0
_RESEND = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class PodAddress:
    """A pod, where its network namespace can be opened from here, and its address."""

    name: str
    host: str
    namespace: Path
    ip: IPv4Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Echo:
    """What one pod saw of another: the round trip in milliseconds, or None if no answer came."""

    source: str
    destination: str
    milliseconds: float | None
    error: str = ""


def reach(pods: Sequence[PodAddress], pairs: Collection[tuple[str, str]], *, within: float) -> list[Echo]:
    """An echo for each of `pairs` (names: from, to), each source on a thread of its own.

    Blocks until all have answered, or for about `within` seconds.
    """
    to = {pod.name: [other for other in pods if (pod.name, other.name) in pairs] for pod in pods}
    sources = [pod for pod in pods if to[pod.name]]
    with ThreadPoolExecutor(max_workers=max(1, len(sources)), thread_name_prefix="prove") as pool:
        found = pool.map(lambda pod: _from(pod, to[pod.name], within), sources)
        return [echo for echoes in found for echo in echoes]


def _from(pod: PodAddress, others: Sequence[PodAddress], within: float) -> list[Echo]:
    try:
        sender = netns.run_in(pod.namespace, _raw_socket)
    except (GroundplaneError, OSError) as failed:
        return [Echo(source=pod.name, destination=o.name, milliseconds=None, error=str(failed)) for o in others]
    with sender:
        return _exchange(sender, pod, others, within)


def _raw_socket() -> socket.socket:
    return socket.socket(
        socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP
    )


def _exchange(sender: socket.socket, pod: PodAddress, others: Sequence[PodAddress], within: float) -> list[Echo]:
    identity = int.from_bytes(os.urandom(2))
    waiting = {str(other.ip): other for other in others}
    sent: dict[str, float] = {}
    errors: dict[str, str] = {}
    seen: dict[str, float] = {}
    end, due = time.monotonic() + within, 0.0
    while waiting and (now := time.monotonic()) < end:
        if now >= due:
            # A first packet may be lost while a neighbour is resolved or a route arrives: ask again.
            for address in waiting:
                sent[address] = time.monotonic()
                errors.pop(address, None)
                try:
                    sender.sendto(_echo_request(identity), (address, 0))
                except OSError as refused:
                    errors[address] = refused.strerror or str(refused)
            due = now + _RESEND
        ready, _, _ = select.select([sender], [], [], max(0.0, min(due, end) - time.monotonic()))
        if not ready:
            continue
        packet, (address, _) = sender.recvfrom(2048)
        if address in waiting and _is_reply(packet, identity):
            seen[address] = (time.monotonic() - sent[address]) * 1000
            del waiting[address]
    return [
        Echo(
            source=pod.name,
            destination=other.name,
            milliseconds=seen.get(str(other.ip)),
            error="" if str(other.ip) in seen else errors.get(str(other.ip), "no answer"),
        )
        for other in others
    ]


def _echo_request(identity: int) -> bytes:
    """RFC 792: type, code, checksum, identifier, sequence number, data."""
    body = b"groundplane"
    header = struct.pack("!BBHHH", _ECHO_REQUEST, 0, 0, identity, 1)
    return struct.pack("!BBHHH", _ECHO_REQUEST, 0, _checksum(header + body), identity, 1) + body


def _is_reply(packet: bytes, identity: int) -> bool:
    message = packet[(packet[0] & 0x0F) * 4 :]
    return len(message) >= 8 and message[0] == _ECHO_REPLY and struct.unpack("!H", message[4:6])[0] == identity  # noqa: PLR2004


def _checksum(data: bytes) -> int:
    """RFC 1071: the one's complement of the one's complement sum of 16-bit words."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
