"""Two hosts, each with a pod, and a stranger on one bridge: IP-in-IP made by eBPF, seen from the wire."""

import array
import contextlib
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import TypeVar

import pytest
from pyroute2 import IPRoute

from groundplane.errors import NotFound, WrongState
from groundplane.network.bpf import DEVICE, EncapRoute, Encapsulation, kernel_has_ipip
from groundplane.system import netns
from groundplane.system.process import run_now

HOSTS = (IPv4Address("10.200.0.1"), IPv4Address("10.200.0.2"))
STRANGER = IPv4Address("10.200.0.9")
BLOCKS = (IPv4Network("10.244.1.0/26"), IPv4Network("10.244.2.0/26"))
PODS = (IPv4Address("10.244.1.2"), IPv4Address("10.244.2.2"))
TUNNELS = (IPv4Address("10.244.1.1"), IPv4Address("10.244.2.1"))
PEERS = frozenset(HOSTS)
PORT = 7000
SECONDS = timedelta(seconds=10)

T = TypeVar("T")


@dataclass(frozen=True)
class Ground:
    """Namespaces fabric, host0, host1, pod0, pod1 and stranger."""

    at: Path

    def run(self, name: str, work: Callable[[], T]) -> T:
        return netns.run_in(self.at / name, work)

    def sh(self, name: str, *argv: str, stdin: bytes = b"") -> str:
        done = run_now(["nsenter", f"--net={self.at / name}", *argv], within=SECONDS, stdin=stdin, check=False)
        return (done.stdout + done.stderr).decode()

    def socket(self, name: str, kind: int = socket.SOCK_DGRAM, protocol: int = 0) -> socket.socket:
        made = self.run(name, lambda: socket.socket(socket.AF_INET, kind | socket.SOCK_CLOEXEC, protocol))
        made.settimeout(3)
        return made

    @contextlib.contextmanager
    def capture(self, packets: int) -> Iterator[list[str]]:
        """What tcpdump, with checksums verified, says of the next `packets` IP packets that cross the bridge."""
        lines: list[str] = []
        argv = [
            "nsenter",
            f"--net={self.at / 'fabric'}",
            "tcpdump",
            "-nvvli",
            "br0",
            "-c",
            str(packets),
            "ip",
            "proto",
            "4",
        ]
        with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            assert process.stderr is not None
            while "listening on" not in process.stderr.readline():
                pass
            try:
                yield lines
                out, _ = process.communicate(timeout=10)
                lines.extend(out.splitlines())
            finally:
                process.kill()


def tunnel(end: int) -> Encapsulation:
    return Encapsulation(uplink="eth0", local=HOSTS[end])


def connect(ground: Ground) -> None:
    for end in (0, 1):
        ground.run(f"host{end}", lambda end=end: both_ensured(end))  # type: ignore[misc]


def both_ensured(end: int) -> tuple[bool, bool]:
    other = 1 - end
    made = tunnel(end).ensure_decapsulation(PEERS, address=TUNNELS[end])
    return made, tunnel(end).ensure_route(BLOCKS[other], HOSTS[other])


def _cable(ip: IPRoute, here: str, there: Path, name: str) -> None:
    fd = os.open(there, os.O_RDONLY)
    try:
        ip.link("add", ifname=here, kind="veth", peer={"ifname": name, "net_ns_fd": fd})
    finally:
        os.close(fd)
    ip.link("set", index=ip.link_lookup(ifname=here)[0], state="up")


def _address(name: str, address: str, *, gateway: str = "") -> None:
    at, prefix = address.split("/")
    with IPRoute() as ip:
        ip.link("set", index=ip.link_lookup(ifname="lo")[0], state="up")
        index = ip.link_lookup(ifname=name)[0]
        ip.addr("add", index=index, address=at, prefixlen=int(prefix))
        ip.link("set", index=index, state="up")
        if gateway:
            ip.route("add", dst="169.254.1.1/32", oif=index, scope=253)
            ip.route("add", dst="default", gateway=gateway, oif=index)


@pytest.fixture
def ground() -> Iterator[Ground]:
    at = Path(tempfile.mkdtemp(prefix="bpf-ipip-"))
    made = Ground(at=at)
    names = ("fabric", "host0", "host1", "pod0", "pod1", "stranger")
    try:
        for name in names:
            netns.create(at / name)
        made.run("fabric", lambda: _fabric(at))
        made.run("stranger", lambda: _address("eth0", f"{STRANGER}/24"))
        for end in (0, 1):
            made.run(f"host{end}", lambda end=end: _host(at, end))  # type: ignore[misc]
            made.run(f"pod{end}", lambda end=end: _address("eth0", f"{PODS[end]}/32", gateway="169.254.1.1"))  # type: ignore[misc]
        yield made
    finally:
        for name in names:
            netns.unpin(at / name)
        shutil.rmtree(at)


def _fabric(at: Path) -> None:
    with IPRoute() as ip:
        ip.link("add", ifname="br0", kind="bridge")
        bridge = ip.link_lookup(ifname="br0")[0]
        ip.link("set", index=bridge, state="up")
        for name in ("host0", "host1", "stranger"):
            _cable(ip, f"to-{name}", at / name, "eth0")
            ip.link("set", index=ip.link_lookup(ifname=f"to-{name}")[0], master=bridge)


def _host(at: Path, end: int) -> None:
    _address("eth0", f"{HOSTS[end]}/24")
    with IPRoute() as ip:
        _cable(ip, "cali0", at / f"pod{end}", "eth0")
        index = ip.link_lookup(ifname="cali0")[0]
        ip.route("add", dst=f"{PODS[end]}/32", oif=index, scope=253)
        # What the agent gives a pod's side: an answer for its gateway.
        ip.addr("add", index=index, address="169.254.1.1", prefixlen=32)
    for name in ("ip_forward", "conf/all/rp_filter", "conf/cali0/proxy_arp"):
        Path(f"/proc/sys/net/ipv4/{name}").write_text("1")


def datagram(source: IPv4Address, destination: IPv4Address, payload: bytes) -> bytes:
    """An IPv4 packet with UDP (checksum left out, as it may be), written by hand."""
    udp = struct.pack("!4H", PORT, PORT, 8 + len(payload), 0) + payload
    return ipv4(source, destination, socket.IPPROTO_UDP, udp)


def ipv4(
    source: IPv4Address,
    destination: IPv4Address,
    protocol: int,
    body: bytes,
    *,
    options: bytes = b"",
    fragment: int = 0,
) -> bytes:
    words = 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH", 0x40 | words, 0, words * 4 + len(body), 0x1234, fragment, 64, protocol, 0)
    head += source.packed + destination.packed + options
    total = sum(struct.unpack(f"!{len(head) // 2}H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:10] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[12:] + body


def echo(ground: Ground, client: str, server: str, address: IPv4Address, *, size: int = 5) -> tuple[bytes, str]:
    """What comes back over TCP, and the address the server saw."""
    with ground.socket(server, socket.SOCK_STREAM) as listening, ground.socket(client, socket.SOCK_STREAM) as asking:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("", PORT))
        listening.listen()
        seen: list[str] = []

        def serve() -> None:
            connection, peer = listening.accept()
            seen.append(peer[0])
            with connection:
                connection.settimeout(20)
                left = size
                while left and (chunk := connection.recv(1 << 20)):
                    left -= len(chunk)
                connection.sendall(b"%d" % (size - left))

        serving = threading.Thread(target=serve)
        serving.start()
        try:
            asking.connect((str(address), PORT))
            asking.settimeout(20)
            block, left = bytes(1 << 20), size
            while left:
                left -= asking.send(block[:left])
            return asking.recv(99), seen[0]
        finally:
            serving.join()


def test_pods_and_hosts_reach_each_other_and_the_wire_shows_protocol_4_with_good_checksums(ground: Ground) -> None:
    connect(ground)
    with ground.capture(12) as seen:
        assert "2 packets received" in ground.sh("pod0", "busybox", "ping", "-c2", "-i0.2", "-W2", str(PODS[1]))
        assert "2 packets received" in ground.sh("host0", "busybox", "ping", "-c2", "-i0.2", "-W2", str(PODS[1]))
        assert "2 packets received" in ground.sh("pod1", "busybox", "ping", "-c2", "-i0.2", "-W2", str(PODS[0]))
    text = "\n".join(seen)
    assert text.count("proto IPIP (4), length 104") == 12
    assert "bad cksum" not in text
    assert f"{HOSTS[0]} > {HOSTS[1]}: IP" in text
    assert f"{TUNNELS[0]} > {PODS[1]}: ICMP echo request" in text  # the host's own packets carry the tunnel's address


def test_a_hundred_megabytes_cross_in_segments_that_fit_the_wire(ground: Ground) -> None:
    connect(ground)
    began = time.perf_counter()
    assert echo(ground, "pod0", "pod1", PODS[1], size=100_000_000)[0] == b"100000000"
    rate = 100 / (time.perf_counter() - began)
    assert rate > 20, f"{rate:.0f} MB/s"


def test_segments_are_cut_right_where_no_device_on_the_way_can_cut_them(ground: Ground) -> None:
    connect(ground)
    for end in (0, 1):
        switch_off(ground, f"host{end}", "eth0")
    with ground.capture(60) as seen:
        assert echo(ground, "pod0", "pod1", PODS[1], size=3_000_000)[0] == b"3000000"
    lengths = [int(found) for found in re.findall(r"proto IPIP \(4\), length (\d+)\)", "\n".join(seen))]
    assert max(lengths) == 1500
    assert "bad cksum" not in "\n".join(seen)


def switch_off(ground: Ground, name: str, link: str) -> None:
    """TSO and GSO of a device, by ETHTOOL_STSO and ETHTOOL_SGSO: packets are cut before they reach it."""
    with ground.socket(name) as control:
        for command in (0x1F, 0x24):
            value = array.array("I", [command, 0])
            fcntl.ioctl(control, 0x8946, struct.pack("16sP16x", link.encode(), value.buffer_info()[0]))


def test_source_nat_on_the_way_into_the_tunnel_leaves_the_outer_header_alone(ground: Ground) -> None:
    connect(ground)
    rules = (
        "table ip n { chain post { type nat hook postrouting priority srcnat; "
        f"ip saddr {PODS[0]} snat to {TUNNELS[0]}\n}}\n}}"
    )
    assert ground.sh("host0", "nft", "-f", "-", stdin=rules.encode()) == ""
    assert echo(ground, "pod0", "pod1", PODS[1]) == (b"5", str(TUNNELS[0]))


def test_a_packet_too_big_for_the_tunnel_is_answered_with_the_size_that_fits(ground: Ground) -> None:
    connect(ground)
    with ground.socket("pod0") as sending:
        sending.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: DF always
        sending.connect((str(PODS[1]), PORT))
        sending.setsockopt(socket.IPPROTO_IP, 11, 1)  # IP_RECVERR: the answer arrives as an event
        sending.send(bytes(1472))
        with pytest.raises(OSError, match="Message too long"):
            sending.recv(1)
        assert sending.getsockopt(socket.IPPROTO_IP, 14) == 1480


def received(ground: Ground, packets: list[tuple[str, bytes]]) -> list[bytes]:
    """What pod1 gets of the raw packets, each sent from its namespace; the last is always a good one."""
    got: list[bytes] = []
    with ground.socket("pod1") as listening:
        listening.bind(("", PORT))
        for name, packet in packets:
            with ground.socket(name, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
                raw.sendto(packet, (str(IPv4Address(packet[16:20])), 0))
        while not got or got[-1] != b"last":
            got.append(listening.recv(100))
    return got


def test_packets_as_a_kernel_tunnel_writes_them_are_taken_and_all_others_dropped(ground: Ground) -> None:
    connect(ground)
    ipip = 4

    def inner(payload: bytes) -> bytes:
        return datagram(PODS[0], PODS[1], payload)

    hop = (HOSTS[0], HOSTS[1], ipip)
    assert received(
        ground,
        [
            ("host0", ipv4(*hop, inner(b"kernel-like"), fragment=0x4000)),
            ("stranger", ipv4(STRANGER, HOSTS[1], ipip, inner(b"stranger"))),
            ("stranger", ipv4(STRANGER, HOSTS[1], ipip, inner(b"stranger again"))),
            ("host0", ipv4(*hop, inner(b"options"), options=b"\x01" * 4)),
            ("host0", ipv4(*hop, inner(b"fragment"), fragment=0x2000)),
            ("host0", ipv4(*hop, b"\x60" + inner(b"not four")[1:])),
            ("host0", ipv4(*hop, b"\x45short")),
            ("host0", ipv4(*hop, inner(b"last"))),
        ],
    ) == [b"kernel-like", b"last"]


def test_a_node_that_leaves_the_cluster_is_not_heard_any_more(ground: Ground) -> None:
    connect(ground)
    assert ground.run("host1", lambda: tunnel(1).ensure_decapsulation(frozenset(HOSTS[1:]), address=TUNNELS[1]))
    assert "0 packets received" in ground.sh("pod0", "busybox", "ping", "-c1", "-W1", str(PODS[1]))


def test_the_second_ensure_does_nothing_and_a_new_one_takes_over_what_the_last_left(ground: Ground) -> None:
    assert ground.run("host0", lambda: both_ensured(0)) == (True, True)
    before = ground.sh("host0", "tc", "filter", "show", "dev", "eth0", "ingress")
    assert "direct-action" in before
    assert ground.run("host0", lambda: both_ensured(0)) == (False, False)
    assert ground.sh("host0", "tc", "filter", "show", "dev", "eth0", "ingress") == before
    assert ground.run("host0", lambda: tunnel(0).observed()) == {BLOCKS[1]: HOSTS[1]}


def test_another_local_address_swaps_the_programs_and_keeps_peers_and_routes(ground: Ground) -> None:
    connect(ground)
    other = Encapsulation(uplink="eth0", local=IPv4Address("10.200.0.7"))
    assert ground.run("host0", lambda: other.ensure_decapsulation(PEERS, address=TUNNELS[0]))
    assert ground.run("host0", other.observed) == {BLOCKS[1]: HOSTS[1]}
    assert not ground.run("host0", lambda: other.ensure_decapsulation(PEERS, address=TUNNELS[0]))
    filters = ground.sh("host0", "tc", "filter", "show", "dev", "eth0", "ingress")
    assert filters.count("direct-action") == 1


def test_swapping_programs_while_packets_flow_loses_none(ground: Ground) -> None:
    connect(ground)
    sent = 3000
    with ground.socket("pod0") as sending, ground.socket("pod1") as listening:
        listening.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)  # SO_RCVBUFFORCE
        listening.bind(("", PORT))
        stop = threading.Event()
        swaps = [0]

        def swap() -> None:
            while not stop.is_set():
                # The stranger's address comes and goes in the outer header; the peers know both.
                for local in (STRANGER, HOSTS[0]):
                    Encapsulation(uplink="eth0", local=local).ensure_decapsulation(PEERS, address=TUNNELS[0])
                    swaps[0] += 1

        ground.run("host1", lambda: tunnel(1).ensure_decapsulation(PEERS | {STRANGER}, address=TUNNELS[1]))
        swapping = threading.Thread(target=lambda: ground.run("host0", swap))
        swapping.start()
        try:
            for number in range(sent):
                sending.sendto(b"%d" % number, (str(PODS[1]), PORT))
                if number % 50 == 0:
                    time.sleep(0.01)
        finally:
            stop.set()
            swapping.join()
        assert [int(listening.recv(100)) for _ in range(sent)] == list(range(sent))
        assert swaps[0] >= 4


def test_a_route_moves_to_another_node_and_goes(ground: Ground) -> None:
    connect(ground)
    assert ground.run("host0", lambda: tunnel(0).ensure_route(BLOCKS[1], STRANGER, source=HOSTS[0]))
    assert not ground.run("host0", lambda: tunnel(0).ensure_route(BLOCKS[1], STRANGER, source=HOSTS[0]))
    assert f"src {HOSTS[0]}" in ground.sh("host0", "ip", "route", "show", str(BLOCKS[1]))
    assert ground.run("host0", lambda: tunnel(0).observed()) == {BLOCKS[1]: STRANGER}
    assert ground.run("host0", lambda: tunnel(0).remove_route(BLOCKS[1]))
    assert not ground.run("host0", lambda: tunnel(0).remove_route(BLOCKS[1]))
    assert ground.run("host0", lambda: tunnel(0).observed()) == {}


def test_many_routes_converge_in_one_go_nested_ones_included(ground: Ground) -> None:
    connect(ground)
    wide, narrow = IPv4Network("10.50.0.0/16"), IPv4Network("10.50.1.0/26")
    wanted = [EncapRoute(cidr=cidr, remote=HOSTS[1]) for cidr in (wide, narrow)]
    assert ground.run("host0", lambda: tunnel(0).ensure_routes(wanted))
    assert not ground.run("host0", lambda: tunnel(0).ensure_routes(wanted))
    assert ground.run("host0", lambda: tunnel(0).observed()) == {wide: HOSTS[1], narrow: HOSTS[1]}
    assert ground.run("host0", lambda: tunnel(0).ensure_routes(wanted[1:]))
    assert ground.run("host0", lambda: tunnel(0).observed()) == {narrow: HOSTS[1]}


def test_a_route_that_lost_its_half_in_the_program_is_mended(ground: Ground) -> None:
    connect(ground)
    assert ground.sh("host0", "tc", "qdisc", "del", "dev", DEVICE, "clsact") == ""
    assert ground.run("host0", lambda: tunnel(0).observed()) == {}
    assert ground.run("host0", lambda: both_ensured(0)) == (True, True)
    assert echo(ground, "pod0", "pod1", PODS[1])[0] == b"5"


def test_udp_segmentation_of_a_pod_crosses_too(ground: Ground) -> None:
    connect(ground)
    with ground.socket("pod1") as listening, ground.socket("pod0") as sending:
        listening.bind(("", PORT))
        sending.setsockopt(socket.IPPROTO_UDP, 103, 1000)  # UDP_SEGMENT
        sending.sendto(bytes(10000), (str(PODS[1]), PORT))
        assert [len(listening.recv(2000)) for _ in range(10)] == [1000] * 10


def test_remove_all_leaves_nothing_and_says_when_there_was_nothing(ground: Ground) -> None:
    connect(ground)
    assert ground.run("host0", lambda: tunnel(0).remove_all())
    assert ground.sh("host0", "tc", "filter", "show", "dev", "eth0", "ingress") == ""
    assert "clsact" not in ground.sh("host0", "tc", "qdisc", "show", "dev", "eth0")
    assert "proto 80" not in ground.sh("host0", "ip", "route")
    assert DEVICE not in ground.sh("host0", "ip", "link")
    assert not ground.run("host0", lambda: tunnel(0).remove_all())
    assert ground.run("host0", lambda: tunnel(0).observed()) == {}


def test_another_programs_filter_on_the_uplink_stays(ground: Ground) -> None:
    for argv in (
        ("qdisc", "add", "dev", "eth0", "clsact"),
        ("filter", "add", "dev", "eth0", "ingress", "bpf", "bytecode", "1,6 0 0 0"),
    ):
        assert ground.sh("host0", "tc", *argv) == ""
    assert ground.run("host0", lambda: both_ensured(0)) == (True, True)
    assert ground.run("host0", lambda: tunnel(0).remove_all())
    assert "bytecode" in ground.sh("host0", "tc", "filter", "show", "dev", "eth0", "ingress")


def test_a_route_before_the_device_and_a_foreign_device_are_told_apart(ground: Ground) -> None:
    with pytest.raises(NotFound, match="the tunnel device is not there"):
        ground.run("host0", lambda: tunnel(0).ensure_route(BLOCKS[1], HOSTS[1]))
    ground.sh("host0", "ip", "link", "add", DEVICE, "type", "bridge")
    with pytest.raises(WrongState, match="another device has the tunnel's name"):
        ground.run("host0", lambda: tunnel(0).ensure_decapsulation(PEERS))


def test_the_probe_agrees_with_a_hand_made_attempt(ground: Ground) -> None:
    refused = ground.sh("fabric", "ip", "link", "add", "t", "type", "ipip", "local", "10.0.0.1", "remote", "10.0.0.2")
    assert kernel_has_ipip() == (refused == "")
