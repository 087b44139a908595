"""What a client may ask of a container's process, and gets: privileges, terminals, limits, namespaces, paths."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from groundplane.runtime.proto import api_pb2 as pb
from tests.lab.runtime_host import Host, host

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def at() -> Iterator[Host]:
    with host() as made:
        yield made
        for one in made.runtime.ListPodSandbox(pb.ListPodSandboxRequest()).items:
            made.remove(one.id)
        assert made.leftovers() == []
        assert "bug" not in made.log()


@pytest.fixture(scope="module")
def pod(at: Host) -> str:
    config = at.sandbox_config()
    config.linux.security_context.privileged = True
    return at.run(config)


@pytest.fixture
def begin(at: Host, pod: str, request: pytest.FixtureRequest) -> Callable[..., str]:
    def make(change: Callable[[Any], object], *command: str, name: str = "", pid: int = 1) -> str:
        name = name or request.node.name.replace("_", "-")[:60]
        config = at.container_config(*(command or ("sleep", "1000")), name=name, pid=pid)
        change(config)
        container = at.create(pod, config=config)
        at.runtime.StartContainer(pb.StartContainerRequest(container_id=container))
        return container

    return make


def test_a_privileged_container_has_every_capability_and_the_hosts_devices(at: Host, begin: Callable[..., str]) -> None:
    plain = begin(lambda _: None, name="plain")
    privileged = begin(lambda c: setattr(c.linux.security_context, "privileged", True))
    seen = [len(at.exec(container, "ls", "/dev").stdout.split()) for container in (plain, privileged)]
    assert seen[0] < seen[1]
    bound = Path("/proc/self/status").read_text().partition("CapBnd:\t")[2].split()[0]
    assert at.exec(privileged, "grep", "CapEff", "/proc/self/status").stdout.decode().split()[1] == bound


def test_a_read_only_root_cannot_be_written(at: Host, begin: Callable[..., str]) -> None:
    container = begin(lambda c: setattr(c.linux.security_context, "readonly_rootfs", True))
    assert b"Read-only" in at.exec(container, "touch", "/x").stderr


def test_a_terminal_writes_to_the_log_and_open_stdin_keeps_a_reader_alive(at: Host, begin: Callable[..., str]) -> None:
    container = begin(lambda c: setattr(c, "tty", True), "sh", "-c", "echo seen; sleep 1000", name="terminal")
    path = Path(at.status(container).log_path)
    end = time.monotonic() + 5
    while "stdout F seen" not in path.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)
    reader = begin(lambda c: setattr(c, "stdin", True), "cat", name="reader")
    assert at.exec(reader, "true").exit_code == 0


def test_a_target_s_pid_namespace_is_joined_and_the_hosts_is_seen_whole(at: Host, begin: Callable[..., str]) -> None:
    target = begin(lambda _: None, "sleep", "1111", name="target")

    def join(config: Any) -> None:
        config.linux.security_context.namespace_options.pid = pb.TARGET
        config.linux.security_context.namespace_options.target_id = target

    joined = begin(join, name="joined")
    assert b"sleep 1111" in at.exec(joined, "ps").stdout
    host_wide = begin(lambda _: None, name="host-wide", pid=2)
    assert b"conmon" in at.exec(host_wide, "ps").stdout


def test_paths_are_masked_exactly_as_given(at: Host, begin: Callable[..., str]) -> None:
    def mask(config: Any) -> None:
        config.linux.security_context.masked_paths.append("/proc/meminfo")
        config.linux.security_context.readonly_paths.append("/proc/sys")

    container = begin(mask)
    assert at.exec(container, "cat", "/proc/meminfo").stdout == b""
    assert b"Read-only" in at.exec(container, "sh", "-c", "echo 1 > /proc/sys/kernel/panic").stderr


def test_limits_reach_the_kernel(at: Host, begin: Callable[..., str]) -> None:
    def limit(config: Any) -> None:
        wanted = config.linux.resources
        wanted.cpu_quota, wanted.cpu_period, wanted.cpu_shares = 50000, 100000, 512
        wanted.memory_limit_in_bytes, wanted.oom_score_adj = 64 << 20, 500
        wanted.cpuset_cpus = wanted.cpuset_mems = "0"

    container = begin(limit)
    group = at.info(container)["cgroup"]
    for name, value in (("memory/{}/memory.limit_in_bytes", 64 << 20), ("cpu/{}/cpu.cfs_quota_us", 50000)):
        assert int((Path("/sys/fs/cgroup") / name.format(group.strip("/"))).read_text()) == value
    assert Path(f"/proc/{at.info(container)['pid']}/oom_score_adj").read_text() == "500\n"


def test_a_missing_working_directory_is_made_for_its_user(at: Host, begin: Callable[..., str]) -> None:
    def place(config: Any) -> None:
        config.working_dir = "/made/here"
        config.linux.security_context.run_as_user.value = 1000

    container = begin(place)
    assert at.exec(container, "sh", "-c", "touch file && pwd").stdout == b"/made/here\n"


def test_a_device_appears_where_it_was_asked_for(at: Host, begin: Callable[..., str]) -> None:
    container = begin(lambda c: c.devices.add(container_path="/dev/nothing", host_path="/dev/null", permissions="rwm"))
    assert at.exec(container, "sh", "-c", "echo x > /dev/nothing").exit_code == 0


def test_what_an_exec_prints_is_cut_to_what_a_client_can_take(at: Host, begin: Callable[..., str]) -> None:
    container = begin(lambda _: None)
    done = at.exec(container, "dd", "if=/dev/zero", "bs=1M", "count=20")
    assert 15 << 20 < len(done.stdout) < 16 << 20
    assert done.exit_code == 0


@pytest.mark.parametrize("ref", ["relative", "/no/such/profile.json"])
def test_a_seccomp_profile_that_is_not_there_is_refused(at: Host, begin: Callable[..., str], ref: str) -> None:
    def profile(config: Any) -> None:
        config.linux.security_context.seccomp.profile_type = pb.SecurityProfile.Localhost
        config.linux.security_context.seccomp.localhost_ref = ref

    with pytest.raises(grpc.RpcError) as raised:
        begin(profile, name=f"profile-{len(ref)}")
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    del at
