"""Three hosts with agents and BIRDs: pods reach each other, the agent may die, DEL leaves nothing."""

import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from functools import partial

import pytest

from groundplane.errors import GroundplaneError, Unimplemented
from tests.lab.agent_lab import Lab, Pod, document, eventually


@pytest.fixture(scope="module", params=["Never", "Always"])
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp(f"mesh-{request.param}")) as made:
        began = time.monotonic()
        made.start()
        made.wait_synced()
        made.wait_mesh()
        print(f"\nagents started to all sessions Established: {time.monotonic() - began:.2f} s")  # noqa: T201 - a measured figure
        spec = {"cidr": "10.244.0.0/16", "natOutgoing": True, "ipipMode": request.param}
        made.hosts[0].ask("resources.apply", documents=[document("IPPool", "default", spec)])
        eventually("pool known", lambda: all(host.status()["pools"] for host in made.hosts))
        yield made


def losses(pod: Pod, to: object, *, count: int) -> subprocess.Popen[str]:
    """A ping that runs by itself, ten a second."""
    argv = ["nsenter", f"--net={pod.netns}", "busybox", "ping", "-i", "0.1", "-c", str(count), "-W", "1", str(to)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def received(ping: subprocess.Popen[str]) -> tuple[int, int]:
    out, _ = ping.communicate(timeout=60)
    found = re.search(r"(\d+) packets transmitted, (\d+) packets received", out)
    assert found, out
    return int(found[1]), int(found[2])


def test_pods_of_all_hosts_reach_each_other(lab: Lab) -> None:
    pods = [Pod(host, f"web-{host.name}").create().add() for host in lab.hosts]
    for one in pods:
        for other in pods:
            if one is not other:
                eventually(f"{one.name} to {other.name}", partial(one.pings, other.address))
    for pod in pods:
        code, answer = pod.check()
        assert code == 0, answer


def test_a_pods_very_first_packet_reaches_the_outside_through_nat(lab: Lab) -> None:
    for number in range(5):
        pod = Pod(lab.hosts[0], f"out-{number}").create().add()
        assert pod.pings(f"{lab.subnet}.254")  # the fabric's own address: nobody there knows a way back to the pod


def test_an_agent_killed_and_started_again_loses_no_packet(lab: Lab) -> None:
    near, far = Pod(lab.hosts[0], "near").create().add(), Pod(lab.hosts[1], "far").create().add()
    eventually("first packet", lambda: near.pings(far.address))
    ping = losses(near, far.address, count=40)
    time.sleep(0.5)
    for host in lab.hosts[:2]:
        host.kill_agent()
    time.sleep(0.3)
    for host in lab.hosts[:2]:
        host.start_agent()
    lab.wait_synced()
    sent, back = received(ping)
    assert (sent, back) == (40, 40)
    assert Pod(lab.hosts[0], "after").create().add().pings(far.address)


def test_a_bird_killed_and_started_again_keeps_the_routes(lab: Lab) -> None:
    near, far = Pod(lab.hosts[0], "near-b").create().add(), Pod(lab.hosts[2], "far-b").create().add()
    eventually("first packet", lambda: near.pings(far.address))
    ping = losses(near, far.address, count=30)
    lab.hosts[0].kill_bird()
    time.sleep(0.2)
    began = time.monotonic()
    lab.hosts[0].start_bird()
    lab.wait_mesh()
    took = time.monotonic() - began
    sent, back = received(ping)
    assert (sent, back) == (30, 30)
    assert took < 5


def test_pods_keep_talking_while_etcd_is_away_and_new_ones_are_told_to_wait(lab: Lab) -> None:
    near, far = Pod(lab.hosts[0], "near-e").create().add(), Pod(lab.hosts[1], "far-e").create().add()
    eventually("first packet", lambda: near.pings(far.address))
    lab.stop_etcd()
    assert near.pings(far.address, count=2)
    late = Pod(lab.hosts[0], "late").create()
    code, answer = late.call("ADD")
    assert (code, answer["code"]) == (1, 11), answer
    lab.hosts[1].kill_agent()  # and an agent that starts without etcd leaves the pods alone
    lab.hosts[1].start_agent()
    time.sleep(1.0)
    assert near.pings(far.address, count=2)
    lab.start_etcd()
    eventually("etcd is back", lambda: late.call("ADD")[0] == 0)
    lab.wait_synced()


def test_what_is_not_built_is_refused_by_name(lab: Lab) -> None:
    spec = {"cidr": "10.250.0.0/16", "vxlanMode": "Always"}
    with pytest.raises(GroundplaneError) as refused:
        lab.hosts[0].ask("resources.apply", documents=[document("IPPool", "vx", spec)])
    assert refused.value.kind is Unimplemented.kind
    assert "spec.vxlanMode" in str(refused.value)


def test_a_deleted_pod_leaves_nothing(lab: Lab) -> None:
    host = lab.hosts[2]
    before = {block["cidr"]: block["used"] for block in host.status()["blocks"]}
    pods = [Pod(host, f"gone-{n}").create().add() for n in range(3)]
    for pod in pods:
        pod.delete()
        pod.delete()  # already gone is success
    with host.kernel() as kernel:
        assert not {link.name for link in kernel.links()} & {pod.interface() for pod in pods}
        assert not {str(route.destination) for route in kernel.routes()} & {f"{pod.address}/32" for pod in pods}
    eventually(
        "policy forgets them",
        lambda: not {e["interface"] for e in host.status()["endpoints"]} & {p.interface() for p in pods},
    )
    after = {block["cidr"]: block["used"] for block in host.status()["blocks"]}
    assert {cidr: used for cidr, used in after.items() if cidr in before} == before


def test_an_add_takes_milliseconds(lab: Lab) -> None:
    taken = []
    for number in range(10):
        pod = Pod(lab.hosts[0], f"quick-{number}").create()
        began = time.monotonic()
        pod.add()
        taken.append((time.monotonic() - began) * 1000)
    print(f"\nADD through the plugin program, ms: p50 {statistics.median(taken):.0f}, max {max(taken):.0f}")  # noqa: T201
    assert statistics.median(taken) < 500
