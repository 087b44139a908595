"""kill -9 of the daemon and of conmon, a reboot, a network that fails: what must survive does, what must go goes."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from groundplane.runtime.proto import api_pb2 as pb
from groundplane.system import mount, process
from tests.lab.runtime_host import Host, host

pytestmark = pytest.mark.lab


@pytest.fixture
def at() -> Iterator[Host]:
    with host() as made:
        yield made
        for one in made.runtime.ListPodSandbox(pb.ListPodSandboxRequest()).items:
            made.remove(one.id)
        assert made.leftovers() == []
        assert "bug" not in made.log()


def calls(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_containers_outlive_the_daemon_and_are_found_again(at: Host) -> None:
    at.network()
    sandbox = at.run(at.sandbox_config(network=0))
    assert at.pod(sandbox).network.ip == "10.88.0.7"
    steady = at.begin(sandbox, "sleep", "1000", name="steady")
    brief = at.begin(sandbox, "sh", "-c", "sleep 0.5; exit 9", name="brief")
    waiting = at.create(sandbox, "sleep", "1000", name="waiting")
    before = at.status(steady)
    at.end(signal.SIGKILL)
    time.sleep(0.7)
    at.start()
    after = at.status(steady)
    assert (after.state, after.started_at) == (pb.CONTAINER_RUNNING, before.started_at)
    ended = at.status(brief)
    assert (ended.state, ended.exit_code, ended.reason) == (pb.CONTAINER_EXITED, 9, "Error")
    assert ended.finished_at - ended.started_at < 700_000_000
    assert at.status(waiting).state == pb.CONTAINER_CREATED
    at.runtime.StartContainer(pb.StartContainerRequest(container_id=waiting))
    assert at.exec(waiting, "true").exit_code == 0
    pod = at.pod(sandbox)
    assert (pod.state, pod.network.ip) == (pb.SANDBOX_READY, "10.88.0.7")
    at.runtime.StopContainer(pb.StopContainerRequest(container_id=steady))
    assert at.status(steady).exit_code == 137
    assert at.started_in < 3


def test_a_container_whose_conmon_is_killed_runs_on(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sleep", "1000")
    found = at.info(container)
    os.kill(found["conmonPid"], signal.SIGKILL)
    time.sleep(0.2)
    assert at.status(container).state == pb.CONTAINER_RUNNING
    assert at.exec(container, "true").exit_code == 0
    at.restart()
    assert at.status(container).state == pb.CONTAINER_RUNNING
    os.kill(found["pid"], signal.SIGKILL)
    ended = at.until(container, pb.CONTAINER_EXITED)
    assert (ended.exit_code, ended.reason) == (255, "Unknown")


def test_a_pod_gets_an_address_its_labels_are_told_and_it_is_let_go_once(at: Host) -> None:
    log = at.network()
    sandbox = at.run(at.sandbox_config(network=0, labels={"app": "web"}))
    container = at.begin(sandbox, "sleep", "1000")
    assert b"LOOPBACK,UP" in at.exec(container, "ip", "link", "show", "lo").stdout
    assert at.exec(container, "hostname").stdout == b"pod\n"
    at.remove(sandbox)
    add, delete = calls(log)
    assert add["command"] == "ADD"
    assert add["conf"]["runtimeConfig"] == {"groundplane.dev/pod-labels": {"app": "web"}}  # type: ignore[index]
    assert f"K8S_POD_INFRA_CONTAINER_ID={sandbox}" in str(add["args"])
    assert delete["command"] == "DEL"
    assert delete["netns"] == add["netns"]


def test_after_a_reboot_nothing_runs_and_the_address_is_still_let_go(at: Host) -> None:
    log = at.network()
    sandbox = at.run(at.sandbox_config(network=0))
    container = at.begin(sandbox, "sleep", "1000")
    found = at.info(container)
    at.end(signal.SIGKILL)
    for pid in (found["conmonPid"], found["pid"]):
        os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 5
    while process.alive(found["pid"]):
        assert time.monotonic() < end
        time.sleep(0.01)
    for _, target, _ in reversed(mount.mounts()):
        if target.is_relative_to(at.state):
            mount.unmount(target)
    (at.state / "exits" / container).unlink(missing_ok=True)
    at.start()
    assert at.pod(sandbox).state == pb.SANDBOX_NOTREADY
    ended = at.status(container)
    assert (ended.state, ended.exit_code, ended.reason) == (pb.CONTAINER_EXITED, 255, "Unknown")
    at.remove(sandbox)
    assert [one["command"] for one in calls(log)] == ["ADD", "DEL"]
    assert calls(log)[-1]["netns"] == ""


def test_a_failed_attachment_is_undone_and_the_cause_is_told(at: Host) -> None:
    log = at.network()
    (at.base / "cni-fail").write_text("ADD")
    with pytest.raises(grpc.RpcError) as raised:
        at.run(at.sandbox_config(network=0))
    assert "told to fail" in str(raised.value.details())
    assert [one["command"] for one in calls(log)] == ["ADD", "DEL"]
    assert not at.runtime.ListPodSandbox(pb.ListPodSandboxRequest()).items


def test_a_failed_detachment_fails_the_stop_until_it_succeeds(at: Host) -> None:
    at.network()
    sandbox = at.run(at.sandbox_config(network=0))
    (at.base / "cni-fail").write_text("DEL")
    with pytest.raises(grpc.RpcError):
        at.runtime.StopPodSandbox(pb.StopPodSandboxRequest(pod_sandbox_id=sandbox))
    assert at.pod(sandbox).state == pb.SANDBOX_NOTREADY
    (at.conf_dir / "10-test.conflist").unlink()  # DEL uses the configuration of the ADD
    (at.base / "cni-fail").unlink()
    at.remove(sandbox)


def test_a_daemon_killed_in_the_middle_of_many_creations_leaves_no_trace_of_them(at: Host) -> None:
    log = at.network()
    for _ in range(4):
        flying = []
        for _ in range(3):
            request = pb.RunPodSandboxRequest(config=at.sandbox_config(network=0, pid=0))
            flying.append(at.runtime.RunPodSandbox.future(request))
        time.sleep(0.02)
        at.restart()
        for one in flying:
            assert one.exception() is None or isinstance(one.exception(), grpc.RpcError)
        listed = at.runtime.ListPodSandbox(pb.ListPodSandboxRequest()).items
        assert {one.state for one in listed} <= {pb.SANDBOX_READY}
        for sandbox in listed:
            at.remove(sandbox.id)
        assert at.leftovers() == []
    del log


def test_a_pod_whose_infra_process_is_killed_is_not_ready_and_can_be_removed(at: Host) -> None:
    sandbox = at.run(at.sandbox_config(pid=0))
    container = at.begin(sandbox, "sleep", "1000", pid=0)
    request = pb.PodSandboxStatusRequest(pod_sandbox_id=sandbox, verbose=True)
    os.kill(json.loads(at.runtime.PodSandboxStatus(request).info["info"])["pid"], signal.SIGKILL)
    at.until(container, pb.CONTAINER_EXITED)
    end = time.monotonic() + 5
    while at.pod(sandbox).state == pb.SANDBOX_READY:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("pause", [0.004, 0.01, 0.016, 0.022, 0.03])
def test_a_daemon_killed_in_the_middle_of_a_container_leaves_it_whole_or_not_at_all(at: Host, pause: float) -> None:
    sandbox = at.run()
    config = at.container_config("sleep", "1000")
    request = pb.CreateContainerRequest(pod_sandbox_id=sandbox, config=config)
    flying = at.runtime.CreateContainer.future(request)
    time.sleep(pause)
    at.restart()
    assert flying.exception() is None or isinstance(flying.exception(), grpc.RpcError)
    for one in at.runtime.ListContainers(pb.ListContainersRequest()).containers:
        assert one.state == pb.CONTAINER_CREATED
    again = at.create(sandbox, config=config)  # the same name: never "reserved" by nobody
    at.runtime.StartContainer(pb.StartContainerRequest(container_id=again))
    assert at.exec(again, "true").exit_code == 0


def test_another_oci_runtime_can_be_chosen_for_a_pod(at: Host) -> None:
    at.end()
    at.config.write_text(json.dumps({**json.loads(at.config.read_text()), "handlers": {"other": "runc"}}))
    at.start()
    request = pb.RunPodSandboxRequest(config=at.sandbox_config(), runtime_handler="other")
    sandbox = at.runtime.RunPodSandbox(request).pod_sandbox_id
    container = at.begin(sandbox, "sleep", "1000")
    assert at.exec(container, "true").exit_code == 0
    assert at.pod(sandbox).runtime_handler == "other"
    at.runtime.StopContainer(pb.StopContainerRequest(container_id=container, timeout=1))
    assert at.status(container).exit_code == 137
    with pytest.raises(grpc.RpcError) as raised:
        at.runtime.RunPodSandbox(pb.RunPodSandboxRequest(config=at.sandbox_config(), runtime_handler="none"))
    assert "other" in str(raised.value.details())
