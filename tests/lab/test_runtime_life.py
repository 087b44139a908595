"""Containers and pods through CRI's own socket, with crun, conmon and overlayfs."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from groundplane.runtime.proto import api_pb2 as pb
from tests.lab.runtime_host import Host, host

pytestmark = pytest.mark.lab
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d) (stdout|stderr) [FP] ")


@pytest.fixture(scope="module")
def at() -> Iterator[Host]:
    with host() as made:
        yield made
        for one in made.runtime.ListPodSandbox(pb.ListPodSandboxRequest()).items:
            made.remove(one.id)
        assert made.leftovers() == []
        assert "bug" not in made.log()


def code_of(call: Any, *args: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as raised:
        call(*args)
    return raised.value.code()


def test_a_client_can_connect_to_an_empty_host(at: Host) -> None:
    version = at.runtime.Version(pb.VersionRequest())
    assert (version.version, version.runtime_api_version, version.runtime_name) == ("0.1.0", "v1", "groundplane")
    assert at.image.ImageFsInfo(pb.ImageFsInfoRequest()).image_filesystems[0].fs_id.mountpoint
    status = at.runtime.Status(pb.StatusRequest(verbose=True))
    conditions = {one.type: one for one in status.status.conditions}
    assert conditions["RuntimeReady"].status
    assert not conditions["NetworkReady"].status
    assert conditions["NetworkReady"].reason == "NetworkPluginNotReady"
    assert str(at.conf_dir) in conditions["NetworkReady"].message
    assert str(at.state) in status.info["config"]


def test_a_container_runs_writes_its_log_and_reports_its_exit_code(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sh", "-c", "echo out; echo err >&2; exit 7")
    ended = at.until(container, pb.CONTAINER_EXITED)
    assert (ended.exit_code, ended.reason) == (7, "Error")
    assert 0 < ended.created_at <= ended.started_at <= ended.finished_at
    lines = Path(ended.log_path).read_text().splitlines()
    assert len(lines) == 2
    assert all(LINE.match(line) for line in lines)
    assert {line.split(" ", 3)[1:].__repr__() for line in lines} == {
        "['stdout', 'F', 'out']",
        "['stderr', 'F', 'err']",
    }
    assert Path(ended.log_path).stat().st_mode & 0o777 == 0o640
    at.remove(sandbox)


def test_a_pod_without_a_network_is_refused_and_leaves_nothing(at: Host) -> None:
    assert code_of(at.run, at.sandbox_config(network=0)) is grpc.StatusCode.UNAVAILABLE


def test_the_same_calls_again_answer_with_the_same_ids(at: Host) -> None:
    config = at.sandbox_config()
    sandbox = at.run(config)
    assert at.run(config) == sandbox
    wanted = at.container_config("sleep", "100")
    container = at.create(sandbox, config=wanted)
    assert at.create(sandbox, config=wanted) == container
    other = at.container_config("sleep", "200")
    assert code_of(lambda: at.create(sandbox, config=other)) is grpc.StatusCode.ALREADY_EXISTS
    at.remove(sandbox)
    at.remove(sandbox)


def test_a_command_that_does_not_exist_is_told_and_leaves_no_container(at: Host) -> None:
    sandbox = at.run()
    with pytest.raises(grpc.RpcError) as raised:
        at.create(sandbox, "no-such-program")
    assert "no-such-program" in str(raised.value.details())
    request = pb.ListContainersRequest(filter=pb.ContainerFilter(pod_sandbox_id=sandbox))
    assert not at.runtime.ListContainers(request).containers
    at.remove(sandbox)


def test_stopping_waits_for_the_grace_and_a_second_call_may_shorten_it(at: Host) -> None:
    sandbox = at.run()
    polite = at.begin(sandbox, "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done", name="polite")
    at.exec(polite, "true")
    at.runtime.StopContainer(pb.StopContainerRequest(container_id=polite, timeout=20))
    assert at.status(polite).exit_code == 3
    stubborn = at.begin(sandbox, "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done", name="stubborn")
    began = time.monotonic()
    waiting = at.runtime.StopContainer.future(pb.StopContainerRequest(container_id=stubborn, timeout=60))
    time.sleep(0.1)
    at.runtime.StopContainer(pb.StopContainerRequest(container_id=stubborn, timeout=1))
    waiting.result(timeout=5)
    assert time.monotonic() - began < 5
    assert at.status(stubborn).exit_code == 137
    at.remove(sandbox)


def test_exec_gives_both_streams_and_the_code_and_tells_a_missing_program_apart(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sleep", "1000")
    done = at.exec(container, "sh", "-c", "echo a; echo b >&2; exit 255")
    assert (done.stdout, done.stderr, done.exit_code) == (b"a\n", b"b\n", 255)
    assert code_of(lambda: at.exec(container, "nothing-here")) is grpc.StatusCode.INTERNAL
    at.remove(sandbox)


def test_an_exec_that_is_late_is_killed_with_its_children(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sleep", "1000")
    began = time.monotonic()
    late = lambda: at.exec(container, "sh", "-c", "sleep 4321 & setsid sleep 4321; wait", timeout=1)  # noqa: E731
    assert code_of(late) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - began < 3
    assert b"4321" not in at.exec(container, "ps").stdout
    at.remove(sandbox)


def test_a_background_child_that_holds_the_pipe_does_not_hold_up_exec(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sleep", "1000")
    began = time.monotonic()
    assert at.exec(container, "sh", "-c", "sleep 30 & echo done").stdout == b"done\n"
    assert time.monotonic() - began < 5
    at.remove(sandbox)


def test_a_shared_pid_namespace_has_an_init_that_reaps(at: Host) -> None:
    sandbox = at.run(at.sandbox_config(pid=0))
    one = at.begin(sandbox, "sleep", "1000", name="one", pid=0)
    two = at.begin(sandbox, "sleep", "2000", name="two", pid=0)
    seen = at.exec(one, "ps").stdout.decode()
    assert "sleep 2000" in seen
    assert "/pause" in seen
    at.exec(two, "sh", "-c", "(sleep 0.01 &) ; exit 0")
    time.sleep(0.2)
    assert "Z" not in at.exec(one, "ps", "-o", "stat").stdout.decode().replace("STAT", "")
    at.remove(sandbox)


def test_running_out_of_memory_is_named(at: Host) -> None:
    sandbox = at.run()
    config = at.container_config("sh", "-c", "exec dd if=/dev/zero of=/dev/null bs=200M")
    config.linux.resources.memory_limit_in_bytes = 15 << 20
    config.linux.resources.memory_swap_limit_in_bytes = 15 << 20
    container = at.create(sandbox, config=config)
    at.runtime.StartContainer(pb.StartContainerRequest(container_id=container))
    ended = at.until(container, pb.CONTAINER_EXITED)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")
    at.remove(sandbox)


def test_a_log_that_was_rotated_away_is_opened_anew(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sh", "-c", "while :; do echo tick; sleep 0.02; done", name="ticks")
    path = Path(at.status(container).log_path)
    at.runtime.ReopenContainerLog(pb.ReopenContainerLogRequest(container_id=container))  # not rotated: nothing is lost
    old = path.rename(path.with_suffix(".1"))
    at.runtime.ReopenContainerLog(pb.ReopenContainerLogRequest(container_id=container))
    assert path.exists()
    size = old.stat().st_size
    time.sleep(0.2)
    assert path.stat().st_size > 0
    assert old.stat().st_size == size
    at.runtime.StopContainer(pb.StopContainerRequest(container_id=container))
    path.unlink()
    reopen = lambda: at.runtime.ReopenContainerLog(pb.ReopenContainerLogRequest(container_id=container))  # noqa: E731
    assert code_of(reopen) is grpc.StatusCode.FAILED_PRECONDITION
    assert not path.exists()
    at.remove(sandbox)


def test_a_container_is_who_it_was_asked_to_be(at: Host) -> None:
    sandbox = at.run()
    config = at.container_config("sleep", "1000")
    context = config.linux.security_context
    context.run_as_username = "alice"
    context.supplemental_groups.append(1234)
    context.no_new_privs = True
    container = at.create(sandbox, config=config)
    at.runtime.StartContainer(pb.StartContainerRequest(container_id=container))
    assert at.exec(container, "id", "-G").stdout.split()[0] == b"1000"
    assert set(at.exec(container, "id", "-G").stdout.split()) == {b"1000", b"1234", b"50000"}
    assert list(at.status(container).user.linux.supplemental_groups) == [1000, 1234, 50000]
    at.remove(sandbox)


def test_the_default_seccomp_profile_refuses_what_reaches_past_the_container(at: Host) -> None:
    sandbox = at.run()
    plain = at.begin(sandbox, "sleep", "1000", name="plain")
    assert b"Seccomp:\t0" in at.exec(plain, "grep", "Seccomp:", "/proc/self/status").stdout
    config = at.container_config("sleep", "1000", name="guarded")
    config.linux.security_context.seccomp.SetInParent()
    guarded = at.create(sandbox, config=config)
    at.runtime.StartContainer(pb.StartContainerRequest(container_id=guarded))
    assert b"Seccomp:\t2" in at.exec(guarded, "grep", "Seccomp:", "/proc/self/status").stdout
    assert at.exec(guarded, "unshare", "-U", "true").exit_code != 0
    assert at.exec(guarded, "sh", "-c", "echo fork | cat").stdout == b"fork\n"
    at.remove(sandbox)


def test_stats_show_what_is_used(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sh", "-c", "while :; do :; done")
    time.sleep(0.2)
    found = at.runtime.ContainerStats(pb.ContainerStatsRequest(container_id=container)).stats
    assert found.cpu.usage_core_nano_seconds.value > 0
    assert found.memory.working_set_bytes.value > 0
    assert found.cpu.timestamp > 0
    listed = at.runtime.ListContainerStats(pb.ListContainerStatsRequest()).stats
    assert container in {one.attributes.id for one in listed}
    pod = at.runtime.PodSandboxStats(pb.PodSandboxStatsRequest(pod_sandbox_id=sandbox)).stats
    assert pod.linux.containers[0].attributes.id == container
    at.remove(sandbox)


def test_limits_can_be_changed_while_it_runs(at: Host) -> None:
    sandbox = at.run()
    container = at.begin(sandbox, "sleep", "1000")
    wanted = pb.LinuxContainerResources(memory_limit_in_bytes=64 << 20, cpu_shares=512)
    request = pb.UpdateContainerResourcesRequest(container_id=container, linux=wanted)
    at.runtime.UpdateContainerResources(request)
    assert at.status(container).resources.linux.memory_limit_in_bytes == 64 << 20
    group = Path("/sys/fs/cgroup/memory" + at.info(container)["cgroup"])
    assert (group / "memory.limit_in_bytes").read_text().strip() == str(64 << 20)
    at.remove(sandbox)


def test_empty_requests_are_refused_and_never_crash(at: Host) -> None:
    bad = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    for service, stub in (("RuntimeService", at.runtime), ("ImageService", at.image)):
        for method in pb.DESCRIPTOR.services_by_name[service].methods:
            request, call = getattr(pb, method.input_type.name)(), getattr(stub, method.name)
            answered = call(request) if method.server_streaming else call.future(request)
            assert answered.code() not in bad, method.name


def test_unknown_objects_are_fine_to_stop_and_remove_but_not_to_ask_about(at: Host) -> None:
    nobody = "0" * 64
    at.runtime.StopPodSandbox(pb.StopPodSandboxRequest(pod_sandbox_id=nobody))
    at.runtime.RemovePodSandbox(pb.RemovePodSandboxRequest(pod_sandbox_id=nobody))
    at.runtime.StopContainer(pb.StopContainerRequest(container_id=nobody))
    at.runtime.RemoveContainer(pb.RemoveContainerRequest(container_id=nobody))
    assert code_of(at.status, nobody) is grpc.StatusCode.NOT_FOUND
    assert code_of(at.pod, nobody) is grpc.StatusCode.NOT_FOUND


def test_a_volume_is_seen_and_a_read_only_one_cannot_be_written(at: Host, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("from the host")
    sandbox = at.run()
    config = at.container_config("sleep", "1000")
    config.mounts.add(container_path="/data", host_path=str(tmp_path), readonly=True)
    container = at.create(sandbox, config=config)
    at.runtime.StartContainer(pb.StartContainerRequest(container_id=container))
    assert at.exec(container, "cat", "/data/file").stdout == b"from the host"
    assert at.exec(container, "touch", "/data/other").exit_code != 0
    assert [one.container_path for one in at.status(container).mounts] == ["/data"]
    at.remove(sandbox)
