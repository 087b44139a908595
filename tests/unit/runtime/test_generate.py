"""config.json from CRI's words: commands, environment, mounts, namespaces, privileges."""

from typing import Any

import pytest

from groundplane.errors import Invalid
from groundplane.runtime import generate, mounts
from groundplane.runtime.model import (
    Container,
    ContainerID,
    ContainerSpec,
    ContainerState,
    ImageConfig,
    ImageRequest,
    Metadata,
    Mount,
    NamespaceMode,
    Profile,
    ProfileKind,
    Propagation,
    Sandbox,
    SandboxID,
    SandboxSpec,
    SandboxState,
    Security,
)

IMAGE = ImageConfig(entrypoint=("/entry",), cmd=("default",), env=("A=image", "B=image"), working_dir="/srv")
SHARED = mounts.Shared(hosts="/s/hosts", hostname="/s/hostname", resolv_conf="/s/resolv.conf", shm="/s/shm")
PLACES = generate.Places(rootfs="/r", shared=SHARED, net="/n/net", ipc="/n/ipc", uts="/n/uts")


def document(
    security: Security | None = None,
    *,
    privileged_pod: bool = False,
    host: generate.Host | None = None,
    places: generate.Places = PLACES,
    **more: Any,
) -> dict[str, Any]:
    spec = ContainerSpec(name="c", attempt=0, image=ImageRequest(image="i"), security=security or Security(), **more)
    sandbox = Sandbox(
        id=SandboxID("s" * 64),
        spec=SandboxSpec(metadata=Metadata(name="p", namespace="n", uid="u"), privileged=privileged_pod),
        state=SandboxState.READY,
        created_ns=1,
    )
    container = Container(
        id=ContainerID("c" * 64),
        sandbox_id=sandbox.id,
        spec=spec,
        state=ContainerState.CREATING,
        created_ns=1,
        image_id="i",
        image_ref="i",
        cgroup="/pods/s/c",
    )
    return generate.container(container, sandbox, IMAGE, places=places, host=host or generate.Host(), hostname="p")


@pytest.mark.parametrize(
    ("command", "args", "argv"),
    [
        ((), (), ["/entry", "default"]),
        ((), ("x",), ["/entry", "x"]),
        (("run",), (), ["run"]),
        (("run",), ("x",), ["run", "x"]),
    ],
)
def test_command_and_args_replace_the_images_as_kubernetes_says(
    command: tuple[str, ...], args: tuple[str, ...], argv: list[str]
) -> None:
    assert document(command=command, args=args)["process"]["args"] == argv


def test_no_command_at_all_is_refused() -> None:
    spec = ContainerSpec(name="c", attempt=0, image=ImageRequest(image="i"))
    with pytest.raises(Invalid, match="no command"):
        generate.argv(spec, ImageConfig())


def test_the_clients_environment_wins_over_the_images_in_place() -> None:
    env = document(envs=(("A", "client"), ("C", "new")))["process"]["env"]
    assert env[-3:] == ["A=client", "B=image", "C=new"]
    assert any(one.startswith("PATH=") for one in env)


def test_parents_are_mounted_before_their_children_and_the_clients_replace_defaults() -> None:
    found = document(
        mounts=(
            Mount(container_path="/data/deep/er", host_path="/a"),
            Mount(container_path="/data", host_path="/b"),
            Mount(container_path="/etc/hosts", host_path="/c"),
        )
    )["mounts"]
    destinations = [one["destination"] for one in found]
    assert destinations.index("/data") < destinations.index("/data/deep/er")
    assert destinations.index("/sys") < destinations.index("/sys/fs/cgroup")
    assert [one["source"] for one in found if one["destination"] == "/etc/hosts"] == ["/c"]


def test_a_mount_on_dev_drops_the_defaults_below_it() -> None:
    found = document(mounts=(Mount(container_path="/dev/", host_path="/dev"),))["mounts"]
    assert [one["destination"] for one in found if one["destination"].startswith("/dev")] == ["/dev"]


def test_propagation_raises_that_of_the_root_to_the_highest_asked_for() -> None:
    slave = Mount(container_path="/a", host_path="/a", propagation=Propagation.HOST_TO_CONTAINER)
    shared = Mount(container_path="/b", host_path="/b", propagation=Propagation.BIDIRECTIONAL)
    assert document(mounts=(slave,))["linux"]["rootfsPropagation"] == "rslave"
    assert document(mounts=(slave, shared))["linux"]["rootfsPropagation"] == "rshared"
    assert "rootfsPropagation" not in document()["linux"]


@pytest.mark.parametrize(
    "bad",
    [
        Mount(container_path="", host_path="/a"),
        Mount(container_path="/a", host_path=""),
        Mount(container_path="/a", host_path="a"),
        Mount(container_path="/a", host_path="/a", recursive_read_only=True),
        Mount(
            container_path="/a",
            host_path="/a",
            readonly=True,
            recursive_read_only=True,
            propagation=Propagation.BIDIRECTIONAL,
        ),
        Mount(container_path="/a", host_path="/a", options=("suid",)),
    ],
)
def test_a_mount_that_must_not_be_is_refused(bad: Mount) -> None:
    with pytest.raises(Invalid):
        mounts.check(bad)


def test_masked_paths_are_copied_as_given_and_dropped_for_a_privileged_container() -> None:
    security = Security(masked_paths=("/proc/kcore",), readonly_paths=("/proc/sys",))
    linux = document(security)["linux"]
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == (["/proc/kcore"], ["/proc/sys"])
    assert document()["linux"]["maskedPaths"] == []
    privileged = Security(
        privileged=True, masked_paths=("/proc/kcore",), seccomp=Profile(kind=ProfileKind.RUNTIME_DEFAULT)
    )
    linux = document(privileged, privileged_pod=True)["linux"]
    assert linux["maskedPaths"] == []
    assert "seccomp" not in linux


def test_a_privileged_container_needs_a_privileged_pod() -> None:
    with pytest.raises(Invalid, match="privileged"):
        document(Security(privileged=True))


def test_namespaces_are_joined_where_pinned_and_the_pid_one_is_new_unless_shared() -> None:
    found = {one["type"]: one.get("path") for one in document()["linux"]["namespaces"]}
    assert found == {"mount": None, "network": "/n/net", "ipc": "/n/ipc", "uts": "/n/uts", "pid": None}
    shared = generate.Places(rootfs="/r", shared=SHARED, pid="/proc/7/ns/pid", own_pid=False)
    found = {one["type"]: one.get("path") for one in document(places=shared)["linux"]["namespaces"]}
    assert found == {"mount": None, "pid": "/proc/7/ns/pid"}


def test_cgroup_v2_gives_a_cgroup_namespace_to_all_but_the_privileged() -> None:
    host = generate.Host(cgroup_v2=True)
    assert {"type": "cgroup"} in document(host=host)["linux"]["namespaces"]
    privileged = document(Security(privileged=True), privileged_pod=True, host=host)
    assert {"type": "cgroup"} not in privileged["linux"]["namespaces"]


def test_apparmor_asked_for_on_a_host_without_it_is_refused() -> None:
    with pytest.raises(Invalid, match="AppArmor"):
        document(Security(apparmor=Profile(kind=ProfileKind.RUNTIME_DEFAULT)))
    assert "apparmorProfile" not in document(Security(apparmor=Profile(kind=ProfileKind.UNCONFINED)))["process"]


def test_the_hosts_ipc_has_no_message_queues_of_its_own() -> None:
    places = generate.Places(rootfs="/r", shared=SHARED)
    found = [one for one in document(places=places)["mounts"] if one["destination"] == "/dev/mqueue"]
    assert found[0]["type"] == "bind"
    assert NamespaceMode.NODE.value == 2
