"""Pods through the plugin program, on real agents: policy from the first packet on, repeats, failures, CHECK."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_interface, ip_network
from pathlib import Path
from typing import Any

import pytest

from groundplane.system import netlink, netns
from groundplane.system.netlink import DeleteAddress, DeleteRoute, Route, SetLink
from tests.lab.agent_lab import Lab, Pod, document, eventually


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("cni"), hosts=2, subnet="10.98.0") as made:
        made.start()
        made.wait_synced()
        made.wait_mesh()
        apply(
            made,
            document("IPPool", "default", {"cidr": "10.244.0.0/16"}),
            document(
                "GlobalNetworkPolicy",
                "no-entry",
                {"selector": "app == 'closed'", "types": ["Ingress"], "ingress": [{"action": "Deny"}]},
            ),
            document(
                "GlobalNetworkPolicy",
                "no-exit",
                {"selector": "app == 'mute'", "types": ["Egress"], "egress": [{"action": "Deny"}]},
            ),
        )
        yield made


def apply(lab: Lab, *documents: dict[str, Any]) -> None:
    lab.hosts[0].ask("resources.apply", documents=list(documents))
    revision = max(int(one["revision"]) for one in lab.hosts[0].ask("resources.apply", documents=list(documents)))
    eventually("applied", lambda: all(host.status()["applied"] >= revision for host in lab.hosts))


class Listener:
    """A UDP socket in a pod, and how many datagrams it has got."""

    def __init__(self, pod: Pod, port: int = 9) -> None:
        self.count = 0
        self.socket = netns.open_socket(pod.netns, socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("", port))
        self.socket.settimeout(0.05)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                self.socket.recv(100)
                self.count += 1

    def close(self) -> int:
        self._stop.set()
        self._thread.join()
        self.socket.close()
        return self.count


class Sender:
    """Sends from a namespace to some addresses every half millisecond, whether or not there is a way."""

    def __init__(self, at: Path, *to: object, port: int = 9) -> None:
        self.socket = netns.open_socket(at, socket.AF_INET, socket.SOCK_DGRAM)
        self._to = [(str(one), port) for one in to]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.0005):
            for to in self._to:
                with contextlib.suppress(OSError):
                    self.socket.sendto(b"x", to)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.socket.close()


@pytest.mark.parametrize(("app", "heard"), [("mute", False), ("open", True)])
def test_a_pod_that_may_not_send_never_does_from_its_first_packet_on(lab: Lab, app: str, heard: bool) -> None:  # noqa: FBT001
    target = Pod(lab.hosts[1], f"target-{app}").create().add()
    listener = Listener(target)
    pod = Pod(lab.hosts[0], f"sender-{app}", labels={"app": app}).create()
    sender = Sender(pod.netns, target.address)
    pod.add()
    time.sleep(0.3)
    sender.close()
    assert (listener.close() > 0) is heard


@pytest.mark.parametrize(("app", "heard"), [("closed", False), ("open", True)])
def test_a_pod_that_may_not_be_reached_never_is_from_its_first_moment_on(lab: Lab, app: str, heard: bool) -> None:  # noqa: FBT001
    near = Pod(lab.hosts[0], f"near-{app}").create().add()
    far = Pod(lab.hosts[1], f"far-{app}").create().add()
    block = next(ip_network(one["cidr"]) for one in lab.hosts[0].status()["blocks"] if one["node"] == "h1")
    senders = [Sender(one.netns, *list(block)[:24]) for one in (near, far)]  # wherever in the block it will be
    pod = Pod(lab.hosts[0], f"reached-{app}", labels={"app": app}).create()
    listener = Listener(pod)
    pod.add()
    time.sleep(0.4)
    for sender in senders:
        sender.close()
    assert pod.address in list(block)[:24]
    assert (listener.close() > 0) is heard


def test_a_policy_that_comes_later_cuts_and_one_that_goes_lets_pass(lab: Lab) -> None:
    client = Pod(lab.hosts[0], "client", labels={"role": "client"}).create().add()
    server = Pod(lab.hosts[1], "server", labels={"role": "server"}).create().add()
    eventually("before any policy", lambda: client.pings(server.address))
    spec = {
        "selector": "role == 'server'",
        "ingress": [{"action": "Allow", "source": {"selector": "role == 'friend'"}}],
    }
    apply(lab, document("NetworkPolicy", "friends", spec, namespace="default"))
    assert not client.pings(server.address)
    friend = Pod(lab.hosts[0], "friend", labels={"role": "friend"}).create().add()
    eventually("the other host knows the friend", lambda: friend.pings(server.address))
    lab.hosts[0].ask("resources.delete", kind="NetworkPolicy", name="friends", namespace="default")
    eventually("policy gone", lambda: client.pings(server.address))


def test_an_add_that_is_repeated_changes_nothing(lab: Lab) -> None:
    pod = Pod(lab.hosts[0], "twice").create().add()
    first = pod.result
    assert pod.add().result == first
    assert pod.check()[0] == 0


def test_a_new_sandbox_of_a_pod_is_not_harmed_by_the_old_ones_del(lab: Lab) -> None:
    old = Pod(lab.hosts[0], "reborn").create().add()
    new = Pod(lab.hosts[0], "reborn").create().add()
    assert old.address != new.address
    old.delete()
    assert new.check()[0] == 0
    assert new.pings(f"{lab.subnet}.1") is False  # its own host: endpoints may not reach it by default
    other = Pod(lab.hosts[0], "reborn-peer").create().add()
    assert other.pings(new.address)


def used(lab: Lab) -> int:
    return sum(one["used"] for one in lab.hosts[0].status()["blocks"])


def test_an_add_that_fails_leaves_nothing(lab: Lab) -> None:
    before, endpoints = used(lab), len(lab.hosts[0].status()["endpoints"])
    pod = Pod(lab.hosts[0], "nowhere")
    pod.netns.touch()  # not a namespace at all
    code, answer = pod.call("ADD")
    assert code == 1, answer
    pod.netns.unlink()
    assert used(lab) == before
    eventually("forgotten", lambda: len(lab.hosts[0].status()["endpoints"]) == endpoints)


def test_exhaustion_names_the_range_and_mends_itself(lab: Lab) -> None:
    apply(lab, document("IPPool", "tiny", {"cidr": "10.77.0.0/30", "blockSize": 30, "assignmentMode": "Manual"}))
    ipam = {"ipv4_pools": ["10.77.0.0/30"]}
    pods = [Pod(lab.hosts[0], f"tiny-{n}").create() for n in range(5)]
    answers = [pod.call("ADD", ipam=ipam) for pod in pods]
    assert [code for code, _ in answers] == [0, 0, 0, 0, 1]
    assert (answers[4][1]["code"], "10.77.0.0/30" in answers[4][1]["msg"]) == (102, True)
    pods[0].delete()
    assert pods[4].call("ADD", ipam=ipam)[0] == 0
    for pod in pods:
        pod.delete()


def damage_route(pod: Pod) -> None:
    with pod.host.kernel() as kernel:
        kernel.run(
            DeleteRoute(route=Route(destination=ip_network(pod.address), interface=pod.interface(), protocol=80))
        )


def damage_link(pod: Pod) -> None:
    with pod.host.kernel() as kernel:
        kernel.run(SetLink(name=pod.interface(), up=False))


def damage_address(pod: Pod) -> None:
    with netlink.open_in(pod.netns) as kernel:
        kernel.run(DeleteAddress(interface="eth0", address=ip_interface(pod.address)))


@pytest.mark.parametrize("damage", [damage_route, damage_link, damage_address])
def test_check_sees_what_is_broken_and_an_add_mends_it(lab: Lab, damage: Any) -> None:
    pod = Pod(lab.hosts[0], damage.__name__.replace("_", "-")).create().add()
    assert pod.check()[0] == 0
    damage(pod)
    code, answer = pod.check()
    assert (code, answer["code"]) == (1, 101), answer
    assert pod.add().check()[0] == 0


def test_gc_removes_what_the_runtime_no_longer_knows(lab: Lab) -> None:
    kept, lost = Pod(lab.hosts[1], "kept").create().add(), Pod(lab.hosts[1], "lost").create().add()
    live = [pod for pod in lab.pods if pod.host is lab.hosts[1] and pod is not lost]
    valid = [{"containerID": pod.container_id, "ifname": "eth0"} for pod in live]
    code, answer = kept.call("GC", **{"cni.dev/valid-attachments": valid})
    assert code == 0, answer
    assert kept.check()[0] == 0
    code, answer = lost.check()
    assert (code, answer["code"]) == (1, 3), answer
    assert kept.call("STATUS") == (0, {})


def test_many_pods_at_once_all_get_their_own(lab: Lab) -> None:
    pods = [Pod(lab.hosts[number % 2], f"many-{number}").create() for number in range(12)]
    with ThreadPoolExecutor(max_workers=12) as pool:
        began = time.monotonic()
        list(pool.map(Pod.add, pods))
        took = time.monotonic() - began
    print(f"\n12 ADDs at once on two hosts: {took * 1000:.0f} ms")  # noqa: T201 - a measured figure
    assert len({pod.address for pod in pods}) == 12
    assert all(pod.check()[0] == 0 for pod in pods)
    with ThreadPoolExecutor(max_workers=12) as pool:
        list(pool.map(Pod.delete, pods))
