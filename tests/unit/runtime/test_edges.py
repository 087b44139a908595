"""The edges: messages, configuration, records, repeated calls, cgroup files, engines' words, the infra program."""

import asyncio
import json
from pathlib import Path

import pytest

from groundplane.errors import Invalid, Unimplemented
from groundplane.runtime import answers, config, engine, infra, network, pins, stats, translate
from groundplane.runtime.flights import Flights
from groundplane.runtime.image.verbs import archive_name, local_path
from groundplane.runtime.model import DNS, Metadata, NamespaceMode, Port, Sandbox, SandboxID, SandboxSpec, SandboxState
from groundplane.runtime.proto import api_pb2 as pb
from groundplane.runtime.sandbox.files import resolv_conf
from groundplane.runtime.store import Store
from groundplane.system.cgroup import Cgroups, Version

META = pb.PodSandboxMetadata(name="p", namespace="n", uid="u")
SPEC = SandboxSpec(metadata=Metadata(name="p", namespace="n", uid="u"))


def test_an_absent_namespace_message_means_everything_is_shared_in_the_pod() -> None:
    found = translate.sandbox(pb.PodSandboxConfig(metadata=META), handler="")
    assert found.namespaces.network is found.namespaces.pid is found.namespaces.ipc is NamespaceMode.POD


@pytest.mark.parametrize("field", ["name", "namespace", "uid"])
def test_a_pod_without_a_full_name_is_refused(field: str) -> None:
    meta = pb.PodSandboxMetadata(name="p", namespace="n", uid="u")
    meta.ClearField(field)
    with pytest.raises(Invalid, match=field):
        translate.sandbox(pb.PodSandboxConfig(metadata=meta), handler="")


def test_an_empty_seccomp_message_is_the_default_profile_and_an_absent_one_is_none() -> None:
    wanted = pb.ContainerConfig(metadata=pb.ContainerMetadata(name="c"), image=pb.ImageSpec(image="i"))
    assert translate.container(wanted).security.seccomp is None
    wanted.linux.security_context.seccomp.SetInParent()
    profile = translate.container(wanted).security.seccomp
    assert profile is not None
    assert profile.kind.name == "RUNTIME_DEFAULT"


def test_a_user_namespace_is_refused_rather_than_left_out() -> None:
    wanted = pb.PodSandboxConfig(metadata=META)
    wanted.linux.security_context.namespace_options.userns_options.mode = pb.POD
    with pytest.raises(Unimplemented):
        translate.sandbox(wanted, handler="")


def test_labels_and_annotations_come_back_byte_for_byte(tmp_path: Path) -> None:
    labels = {"a": "ü\n", "io.kubernetes.pod.name": "p"}
    spec = translate.sandbox(pb.PodSandboxConfig(metadata=META, labels=labels, annotations=labels), handler="")
    store = Store(tmp_path / "s.sqlite")
    store.sandboxes.put(Sandbox(id=SandboxID("x"), spec=spec, state=SandboxState.READY, created_ns=1), durable=True)
    store.close()
    again = Store(tmp_path / "s.sqlite")
    status = answers.sandbox_status(again.sandboxes.all[SandboxID("x")])
    assert dict(status.labels) == dict(status.annotations) == labels
    assert again.sandbox_named("p_n_u_0") is not None
    again.close()


def test_a_record_that_cannot_be_read_does_not_stop_the_rest(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.sqlite")
    store.sandboxes.put(Sandbox(id=SandboxID("good"), spec=SPEC, state=SandboxState.READY, created_ns=1))
    with store._connection:
        store._connection.execute("INSERT INTO sandbox VALUES ('bad', '{')")
    store.close()
    again = Store(tmp_path / "s.sqlite")
    assert set(again.sandboxes.all) == {"good"}
    assert again._connection.execute("SELECT id FROM quarantine").fetchall() == [("bad",)]
    again.close()


@pytest.mark.parametrize("text", ["", "{", '{"nope": 1}', '{"socket": 1}', '{"socket": "relative"}'])
def test_a_configuration_that_is_wrong_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        config.parse(text.encode(), at="cri.json")


def test_the_default_handler_has_its_own_name_too() -> None:
    assert config.parse(b'{"handler": "/usr/bin/crun"}', at="x").handlers == {
        "": "/usr/bin/crun",
        "crun": "/usr/bin/crun",
    }


async def test_a_repeated_call_joins_the_first_even_if_its_caller_has_left() -> None:
    made, gate = [], asyncio.Event()

    async def work() -> int:
        made.append(1)
        await gate.wait()
        return len(made)

    async with Flights() as flights:
        first = asyncio.ensure_future(flights.join(("k",), work))
        await asyncio.sleep(0)
        first.cancel()
        second = asyncio.ensure_future(flights.join(("k",), work))
        await asyncio.sleep(0)
        gate.set()
        assert await second == 1
        assert await flights.join(("k",), work) == 2


async def test_a_failure_reaches_all_who_wait_and_ends_no_other_work() -> None:
    async def fail() -> None:
        await asyncio.sleep(0)
        raise Invalid("no", to="x")

    async with Flights() as flights:
        both = await asyncio.gather(flights.join(("k",), fail), flights.join(("k",), fail), return_exceptions=True)
        assert [type(one) for one in both] == [Invalid, Invalid]
        async with flights.lock("a"):
            pass
        assert flights._locks == {}


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "2026-01-01T00:00:00.000000Z: executable file `x` not found in $PATH\n",
            "executable file `x` not found in $PATH",
        ),
        ('time="2026" level=error msg="no such file"', "no such file"),
        ("error: bad", "bad"),
        ("", "the runtime gave no reason"),
    ],
)
def test_a_runtimes_words_are_shown_without_their_prefixes(said: str, cause: str) -> None:
    assert engine.cause(said) == cause


def test_a_programs_own_255_is_told_from_a_runtime_that_could_not_start_it(tmp_path: Path) -> None:
    pid, log = tmp_path / "pid", tmp_path / "log"
    assert engine.could_not_start(255, pid_file=pid, log=log)
    pid.write_text("1")
    assert not engine.could_not_start(255, pid_file=pid, log=log)
    log.write_text('{"level":"debug","msg":"x"}\n{"level":"error","msg":"why"}\n')
    assert engine.could_not_start(255, pid_file=pid, log=log) == "why"
    assert not engine.could_not_start(1, pid_file=pid, log=log)


def test_sysctls_that_reach_the_host_are_refused() -> None:
    own = SandboxSpec(metadata=SPEC.metadata, sysctls={"net/ipv4/ip_forward": "1", "kernel.shmmax": "1"})
    assert pins.check_sysctls(own)["net.ipv4.ip_forward"] == "1"
    for key in ("kernel.panic", "vm.swappiness", "net..x", "net.ipv4.../../kernel/panic"):
        with pytest.raises(Invalid):
            pins.check_sysctls(SandboxSpec(metadata=SPEC.metadata, sysctls={key: "1"}))


def test_resolv_conf_is_the_hosts_unless_something_was_asked_for() -> None:
    assert resolv_conf(DNS(), host="nameserver 1.1.1.1\n") == "nameserver 1.1.1.1\n"
    found = resolv_conf(DNS(servers=("10.0.0.1",), searches=("a", "b"), options=("ndots:5",)), host="x")
    assert found == "nameserver 10.0.0.1\nsearch a b\noptions ndots:5\n"


def test_ports_without_a_host_port_are_not_given_to_the_network() -> None:
    ports = (Port(protocol="tcp", container_port=80, host_port=0), Port(protocol="udp", container_port=5, host_port=6))
    found = network.capabilities(SandboxSpec(metadata=SPEC.metadata, ports=ports))
    assert found["portMappings"] == [{"hostPort": 6, "containerPort": 5, "protocol": "udp", "hostIP": ""}]


@pytest.mark.parametrize(("text", "bits"), [("10M", 10**7), ("1Ki", 1024), ("7", 7), ("x", 0), ("", 0)])
def test_bandwidth_is_read_as_a_quantity(text: str, bits: int) -> None:
    assert network.parse_rate(text) == bits


def test_net_dev_leaves_out_the_loopback() -> None:
    numbers = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"
    text = f"Inter-|\n face |\n    lo: {numbers}\n  eth0: {numbers}\n"
    assert [(one.name, one.rx_bytes, one.tx_bytes) for one in stats.parse_net_dev(text)] == [("eth0", 1, 9)]


@pytest.mark.parametrize(
    ("reference", "path"),
    [("/a/b.tar", "/a/b.tar"), ("oci-archive:/a:name:1", "/a"), ("dir:/d", "/d"), ("busybox", None), ("x/y:1", None)],
)
def test_a_local_image_is_told_from_a_registrys(reference: str, path: str | None) -> None:
    found = local_path(reference)
    assert (str(found[0]) if found else None) == path


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("busybox", "docker.io%2Flibrary%2Fbusybox%3Alatest.tar"),
        ("registry.test:5000/a/b:1", "registry.test%3A5000%2Fa%2Fb%3A1.tar"),
    ],
)
def test_a_ready_archive_is_named_for_its_image_and_stays_in_its_directory(reference: str, name: str) -> None:
    assert archive_name(reference) == name
    with pytest.raises(Invalid):
        archive_name("../../etc/passwd")


def test_the_infra_program_is_a_small_executable_and_refused_on_an_unknown_machine() -> None:
    assert infra.program("x86_64").startswith(b"\x7fELF")
    assert len(infra.program("x86_64")) < 256
    with pytest.raises(Unimplemented):
        infra.program("riscv64")


def test_cgroup_usage_is_read_from_either_versions_files(tmp_path: Path) -> None:
    for name, files in {
        "memory": {
            "memory.usage_in_bytes": "1000",
            "memory.limit_in_bytes": "9223372036854771712",
            "memory.stat": "total_inactive_file 300\ntotal_rss 5\n",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        },
        "cpuacct": {"cpuacct.usage": "77"},
    }.items():
        at = tmp_path / name / "pods/a"
        at.mkdir(parents=True)
        for file, text in files.items():
            (at / file).write_text(text)
    one = Cgroups(tmp_path)
    assert one.version is Version.V1
    usage = one.usage("/pods/a")
    assert usage is not None
    assert (usage.working_set_bytes, usage.memory_limit_bytes, usage.available_bytes, usage.cpu_ns) == (700, 0, 0, 77)
    assert one.oom_kills("/pods/a") == 2
    assert one.usage("/pods/none") is None
    at = tmp_path / "pods/a"
    at.mkdir(parents=True)
    for file, text in {
        "cgroup.controllers": "",
        "memory.current": "1000",
        "memory.max": "2000",
        "memory.stat": "inactive_file 300\nanon 5\npgfault 1\n",
        "cpu.stat": "usage_usec 3\n",
        "memory.events": "oom 1\noom_kill 1\n",
        "pids.current": "4",
    }.items():
        (at / file).write_text(text)
    two = Cgroups(tmp_path)
    two.version = Version.V2
    usage = two.usage("/pods/a")
    assert usage is not None
    assert (usage.working_set_bytes, usage.available_bytes, usage.cpu_ns, usage.processes) == (700, 1300, 3000, 4)
    assert two.oom_kills("/pods/a") == 1


def test_every_generated_document_is_json() -> None:
    sandbox = Sandbox(id=SandboxID("s"), spec=SPEC, state=SandboxState.READY, created_ns=1)
    from groundplane.runtime import generate

    found = generate.infra(sandbox, rootfs="/r", cgroup="/c", pins={"network": "/n"}, host=generate.Host())
    assert json.loads(json.dumps(found))["process"]["args"] == ["/pause"]
