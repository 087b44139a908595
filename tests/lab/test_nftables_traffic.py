"""Real packets between two pods, their host and the outside, while the kernel's rules change under them."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from ipaddress import ip_address, ip_network

import pytest

from groundplane.network.calc.model import (
    Action,
    Chain,
    Dataplane,
    Endpoint,
    PolicyID,
    PortRange,
    ProfileID,
    Rule,
    SetName,
    Side,
    Tier,
)
from groundplane.network.dataplane.policy import render, render_closed
from groundplane.nftables import Applier, Netfilter
from groundplane.system import netns
from tests.lab.nftables_network import (
    HOST_AT_A,
    HOST_OUTSIDE,
    OUTSIDE,
    POD_A,
    POD_B,
    Network,
    Receiver,
    arrives,
    network,
    send,
    sender,
)

POLICY, OTHER = PolicyID("gnp/to-b"), PolicyID("np/ns/other")
OPEN = ProfileID("kns.ns")
GONE = 0.15  # seconds after which a packet over a veth is not coming any more


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    with network(tmp_path_factory.mktemp("net")) as made:
        yield made


@pytest.fixture
def applier(net: Network) -> Iterator[Applier]:
    filters = netns.run_in(net.host, Netfilter)
    made = Applier(filters, name="groundplane")
    yield made
    made.apply(None)
    filters.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def receiver(stack: ExitStack, at: object, port: int) -> Receiver:
    made = Receiver(at=at, port=port)  # type: ignore[arg-type]
    stack.callback(made.close)
    return made


def udp(action: Action, port: int, *, sets: tuple[SetName, ...] = ()) -> Rule:
    ports = (PortRange(first=port, last=port),)
    return Rule(action=action, protocol=17, source=Side(sets=sets), destination=Side(ports=ports))


def dataplane(*rules: Rule, policy: PolicyID = POLICY, sets: dict[SetName, tuple[str, ...]] | None = None) -> Dataplane:
    """Both pods are open but for what `rules` say of traffic to B."""
    tier = Tier(name="default", policies=(policy,))
    return Dataplane(
        endpoints=(
            Endpoint(interface="calia", addresses=(ip_address(POD_A),), profiles=(OPEN,)),
            Endpoint(interface="calib", addresses=(ip_address(POD_B),), ingress=(tier,), profiles=(OPEN,)),
        ),
        policies={policy: Chain(ingress=rules)},
        profiles={OPEN: Chain(ingress=(Rule(action=Action.ALLOW),), egress=(Rule(action=Action.ALLOW),))},
        sets={name: frozenset(map(ip_network, nets)) for name, nets in (sets or {}).items()},
        pools=frozenset({ip_network("10.9.0.0/16")}),
        masquerade=frozenset({ip_network("10.9.0.0/16")}),
    )


def test_policy_decides_between_pods_and_a_set_member_at_a_time(
    net: Network, applier: Applier, stack: ExitStack
) -> None:
    at_b = receiver(stack, net.b, 7000)
    from_a = stack.enter_context(sender(net.a))
    name = SetName("s:clients")
    allowed = udp(Action.ALLOW, 7000, sets=(name,))
    applier.apply(render(dataplane(allowed, sets={name: (POD_A, "10.9.3.3")})))
    assert arrives(at_b, send(from_a, POD_B, 7000)) == POD_A
    changes = applier.apply(render(dataplane(allowed, sets={name: ("10.9.3.3",)})))
    assert len(changes.commands) == 1
    assert arrives(at_b, send(from_a, POD_B, 7000), within=GONE) is None
    assert len(applier.apply(render(dataplane(allowed, sets={name: ("10.9.3.3", POD_A)}))).commands) == 1
    assert arrives(at_b, send(from_a, POD_B, 7000)) == POD_A


def test_what_leaves_the_pools_is_masqueraded_and_what_stays_is_not(
    net: Network, applier: Applier, stack: ExitStack
) -> None:
    outside, at_b = receiver(stack, net.out, 7000), receiver(stack, net.b, 7000)
    from_a = stack.enter_context(sender(net.a))
    applier.apply(render(dataplane(udp(Action.ALLOW, 7000))))
    assert arrives(outside, send(from_a, OUTSIDE, 7000)) == HOST_OUTSIDE
    assert arrives(at_b, send(from_a, POD_B, 7000)) == POD_A


def test_a_pod_cannot_send_as_another(net: Network, applier: Applier, stack: ExitStack) -> None:
    at_b = receiver(stack, net.b, 7000)
    applier.apply(render(dataplane(udp(Action.ALLOW, 7000))))
    for source in ("10.9.1.7", OUTSIDE, POD_B):
        spoofed = stack.enter_context(sender(net.a, source=source))
        assert arrives(at_b, send(spoofed, POD_B, 7000), within=GONE) is None


def test_the_node_reaches_its_pods_and_hears_their_answers_but_not_their_calls(
    net: Network, applier: Applier, stack: ExitStack
) -> None:
    at_b, at_host = receiver(stack, net.b, 7000), receiver(stack, net.host, 7001)
    from_a = stack.enter_context(sender(net.a))
    applier.apply(render(dataplane(udp(Action.DENY, 7000))))
    from_host = stack.enter_context(netns.open_socket(net.host, kind=socket.SOCK_DGRAM))
    assert arrives(at_b, send(from_host, POD_B, 7000)) == "10.9.2.254"
    assert arrives(at_host, send(from_a, HOST_AT_A, 7001), within=GONE) is None
    # An answer: from B's port, to the port that the host called from.
    calling = stack.enter_context(netns.open_socket(net.host, kind=socket.SOCK_DGRAM))
    answering = stack.enter_context(netns.open_socket(net.b, kind=socket.SOCK_DGRAM))
    answering.bind((POD_B, 7005))
    for each in (calling, answering):
        each.settimeout(1)
    calling.sendto(b"question", (POD_B, 7005))
    question, caller = answering.recvfrom(64)
    answering.sendto(b"answer", caller)
    assert (question, calling.recvfrom(64)[0]) == (b"question", b"answer")


def test_before_the_first_policy_nothing_reaches_or_leaves_a_pod(
    net: Network, applier: Applier, stack: ExitStack
) -> None:
    at_b, outside = receiver(stack, net.b, 7000), receiver(stack, net.out, 7000)
    senders = [stack.enter_context(sender(at)) for at in (net.a, net.out)]
    applier.apply(render_closed())
    stamps = [send(each, POD_B, 7000) for each in senders]
    stamps.append(send(senders[0], OUTSIDE, 7000))
    with stack.enter_context(sender(net.host)) as from_host, pytest.raises(PermissionError):
        send(from_host, POD_B, 7000)  # a drop on output is told to the process
    time.sleep(GONE)
    assert not {stamp for stamp, _ in (*at_b.seen, *outside.seen)} & set(stamps)
    applier.apply(render(dataplane(udp(Action.ALLOW, 7000))))
    assert arrives(at_b, send(senders[0], POD_B, 7000)) == POD_A


def stream(through: socket.socket, ports: tuple[int, ...], sent: dict[int, list[int]], stop: threading.Event) -> None:
    while not stop.is_set():
        for port in ports:
            sent[port].append(send(through, POD_B, port))
        time.sleep(0.0005)


def test_no_packet_passes_against_policy_while_it_is_flipped(net: Network, applier: Applier, stack: ExitStack) -> None:
    """7000 is opened and closed; 7001 is open and 7002 closed by every policy that ever applies."""
    always = (udp(Action.ALLOW, 7001), udp(Action.DENY, 7002))
    padding = tuple(udp(Action.DENY, port) for port in range(8000, 8100))
    opened = render(dataplane(*always, *padding, udp(Action.ALLOW, 7000), Rule(action=Action.DENY)))
    closed = render(dataplane(*padding, udp(Action.DENY, 7000), *always, policy=OTHER))
    receivers = {port: receiver(stack, net.b, port) for port in (7000, 7001, 7002)}
    through = stack.enter_context(sender(net.a))
    sent: dict[int, list[int]] = {port: [] for port in receivers}
    windows: list[tuple[int, int]] = []
    applier.apply(closed)
    stop = threading.Event()
    streaming = threading.Thread(target=partial(stream, through, tuple(receivers), sent, stop), name="stream")
    streaming.start()
    try:
        for _ in range(40):
            began = time.monotonic_ns()
            time.sleep(0.004)
            windows.append((began, time.monotonic_ns()))
            applier.apply(opened)
            time.sleep(0.004)
            applier.apply(closed)
    finally:
        stop.set()
        streaming.join()
    time.sleep(GONE)
    seen = {port: {stamp for stamp, _ in each.seen} for port, each in receivers.items()}
    assert seen[7000], "the open policy let nothing through: this test tested nothing"
    against = [stamp for stamp in seen[7000] for began, ended in windows if began <= stamp <= ended]
    assert not against
    assert not seen[7002]
    assert seen[7001] == set(sent[7001]), "a packet was lost while one policy gave way to the other"
