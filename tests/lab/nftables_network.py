"""A host, two pods and the outside world, as four network namespaces joined by veths; nothing touches the machine's."""

import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pyroute2 import IPRoute

from groundplane.system import netns

POD_A, POD_B, OUTSIDE = "10.9.1.1", "10.9.2.1", "192.0.2.1"
HOST_OUTSIDE = "192.0.2.254"
HOST_AT_A = "10.9.1.254"
_PEERS = {"a": ("calia", POD_A), "b": ("calib", POD_B), "out": ("eth-out", OUTSIDE)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Where each namespace is pinned."""

    host: Path
    a: Path
    b: Path
    out: Path


@contextmanager
def network(under: Path) -> Iterator[Network]:
    """All up and forwarding, without any packet filter; gone at the end."""
    made = Network(host=under / "host", a=under / "a", b=under / "b", out=under / "out")
    pins = [made.host, made.a, made.b, made.out]
    done: list[Path] = []
    try:
        for pin in pins:
            netns.create(pin)
            done.append(pin)
        netns.run_in(made.host, partial(_host, made))
        for name, (_, address) in _PEERS.items():
            netns.run_in(getattr(made, name), partial(_peer, address))
        yield made
    finally:
        for pin in done:
            netns.unpin(pin)


def _gateway(address: str) -> str:
    return address.rpartition(".")[0] + ".254"


def _host(made: Network) -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    with IPRoute() as ip:
        for name, (interface, address) in _PEERS.items():
            fd = os.open(getattr(made, name), os.O_RDONLY)
            try:
                ip.link("add", ifname=interface, kind="veth", peer={"ifname": "eth0", "net_ns_fd": fd})
            finally:
                os.close(fd)
            (index,) = ip.link_lookup(ifname=interface)
            ip.addr("add", index=index, address=_gateway(address), prefixlen=24)
            ip.link("set", index=index, state="up")
        ip.link("set", index=1, state="up")


def _peer(address: str) -> None:
    with IPRoute() as ip:
        (index,) = ip.link_lookup(ifname="eth0")
        ip.addr("add", index=index, address=address, prefixlen=24)
        ip.link("set", index=index, state="up")
        ip.link("set", index=1, state="up")
        ip.route("add", dst="default", gateway=_gateway(address))


@dataclass(slots=True, kw_only=True)
class Receiver:
    """Keeps what arrives at a UDP port: (monotonic nanoseconds when it was sent, from which address)."""

    at: Path
    port: int
    seen: list[tuple[int, str]] = field(default_factory=list)
    _socket: socket.socket = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._socket = netns.open_socket(self.at, kind=socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("0.0.0.0", self.port))
        self._socket.settimeout(0.05)
        self._thread = threading.Thread(target=self._listen, name=f"receiver:{self.port}")
        self._stop = threading.Event()
        self._thread.start()

    _stop: threading.Event = field(init=False)

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                data, (source, _) = self._socket.recvfrom(64)
            except TimeoutError:
                continue
            self.seen.append((struct.unpack("!q", data)[0], source))

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


def sender(at: Path, *, source: str = "") -> socket.socket:
    """A UDP socket in a namespace; `source` may be an address that is not its own."""
    made = netns.open_socket(at, kind=socket.SOCK_DGRAM)
    if source:
        made.setsockopt(socket.SOL_IP, 19, 1)  # IP_TRANSPARENT
        made.bind((source, 0))
    return made


def send(through: socket.socket, to: str, port: int) -> int:
    """One packet, whose content is the time (answered, too)."""
    now = time.monotonic_ns()
    through.sendto(struct.pack("!q", now), (to, port))
    return now


def arrives(receiver: Receiver, stamp: int, *, within: float = 1.0) -> str | None:
    """The source that a packet arrived from; None if it does not. Loopback and veths deliver before sendto returns."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        for seen, source in list(receiver.seen):
            if seen == stamp:
                return source
        time.sleep(0.002)  # the receiver is a thread of ours; it has no event for "will not come"
    return None
