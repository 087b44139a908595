"""Disk against kernel after a restart, over every combination."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from groundplane.runtime import recover
from groundplane.runtime.exits import Exit
from groundplane.runtime.model import (
    Container,
    ContainerID,
    ContainerSpec,
    ContainerState,
    ImageRequest,
    Metadata,
    Process,
    Sandbox,
    SandboxID,
    SandboxSpec,
    SandboxState,
)

CONTAINER = Container(
    id=ContainerID("c"),
    sandbox_id=SandboxID("s"),
    spec=ContainerSpec(name="c", attempt=0, image=ImageRequest(image="i")),
    state=ContainerState.RUNNING,
    created_ns=10,
    started_ns=20,
    image_id="i",
    image_ref="i",
    cgroup="/x",
)
SANDBOX = Sandbox(
    id=SandboxID("s"),
    spec=SandboxSpec(metadata=Metadata(name="p", namespace="n", uid="u")),
    state=SandboxState.READY,
    created_ns=1,
    ips=("10.0.0.1",),
    attached=True,
    infra=Process(pid=5, start=6),
)
EVIDENCE = st.builds(
    recover.ContainerEvidence,
    exit=st.none() | st.builds(Exit, code=st.integers(0, 255), at_ns=st.just(30)),
    init_alive=st.booleans(),
    engine_status=st.sampled_from(["", "created", "running", "stopped"]),
    oom_killed=st.booleans(),
    now_ns=st.just(40),
)


@given(state=st.sampled_from(ContainerState), seen=EVIDENCE)
def test_recovery_is_the_same_when_it_is_done_twice(state: ContainerState, seen: recover.ContainerEvidence) -> None:
    _, once = recover.container(replace(CONTAINER, state=state), seen)
    assert recover.container(once, seen)[1] == once


@given(seen=EVIDENCE)
def test_an_exit_file_always_gives_its_own_code(seen: recover.ContainerEvidence) -> None:
    _, now = recover.container(CONTAINER, seen)
    if seen.exit is not None:
        assert (now.state, now.exit_code, now.finished_ns) == (ContainerState.EXITED, seen.exit.code, 30)
    elif seen.init_alive:
        assert now == CONTAINER
    else:
        assert (now.exit_code, now.reason) == (255, "Unknown")


def test_what_was_being_created_is_rolled_back_whatever_the_host_shows() -> None:
    record = replace(CONTAINER, state=ContainerState.CREATING)
    assert recover.container(record, recover.ContainerEvidence(init_alive=True))[0] is recover.Fate.ROLL_BACK
    starting = replace(SANDBOX, state=SandboxState.STARTING)
    assert recover.sandbox(starting, recover.SandboxEvidence(pins_intact=True))[0] is recover.Fate.ROLL_BACK


def test_a_container_that_was_let_go_just_before_the_crash_is_running() -> None:
    record = replace(CONTAINER, state=ContainerState.CREATED, started_ns=0)
    seen = recover.ContainerEvidence(init_alive=True, engine_status="running", now_ns=40)
    fate, now = recover.container(record, seen)
    assert (fate, now.state, now.started_ns) == (recover.Fate.WATCH, ContainerState.RUNNING, 40)


def test_a_sandbox_keeps_its_address_and_its_debt_to_the_network_when_its_pins_are_gone() -> None:
    _, now = recover.sandbox(SANDBOX, recover.SandboxEvidence(pins_intact=False))
    assert (now.state, now.ips, now.attached) == (SandboxState.NOTREADY, ("10.0.0.1",), True)
    _, same = recover.sandbox(SANDBOX, recover.SandboxEvidence(pins_intact=True))
    assert same == SANDBOX
    _, lost = recover.sandbox(SANDBOX, recover.SandboxEvidence(pins_intact=True, infra_alive=False))
    assert lost.state is SandboxState.NOTREADY
