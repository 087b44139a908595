from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from groundplane.cluster.pods.model import Phase, SeenContainer, SeenSandbox, WantedPod
from groundplane.cluster.pods.plan import RemoveSandbox, RunContainer, RunSandbox, StartContainer, actions, due

POD = WantedPod(name="web", namespace="default", uid="u", image="groundplane/lab", command=("httpd",))


def sandbox(pod: WantedPod = POD, **changes: object) -> SeenSandbox:
    seen = SeenSandbox(id="s1", key=pod.key, digest=pod.digest, ready=True, attempt=0, created=1.0)
    return replace(seen, **changes)  # type: ignore[arg-type]


def container(phase: Phase, **changes: object) -> SeenContainer:
    return replace(SeenContainer(id="c1", phase=phase, attempt=0, created=1.0), **changes)  # type: ignore[arg-type]


def test_a_missing_pod_is_run() -> None:
    assert actions([POD], [], now=0) == {POD.key: (RunSandbox(pod=POD, attempt=0),)}


def test_a_running_pod_is_left_alone() -> None:
    assert actions([POD], [sandbox(containers=(container(Phase.RUNNING),))], now=0) == {}


def test_an_ended_container_starts_again_in_the_same_sandbox_once_its_pause_is_over() -> None:
    ended = container(Phase.EXITED, ended=5.0)
    seen = [sandbox(containers=(ended,))]
    assert actions([POD], seen, now=5.0) == {}
    (step,) = actions([POD], seen, now=due(ended))[POD.key]
    assert step == RunContainer(pod=POD, sandbox="s1", sandbox_attempt=0, attempt=1, replaces=("c1",))


def test_a_container_created_before_a_crash_is_started() -> None:
    assert actions([POD], [sandbox(containers=(container(Phase.CREATED),))], now=0) == {
        POD.key: (StartContainer(container="c1", key=POD.key),)
    }


def test_a_sandbox_that_is_not_ready_is_replaced() -> None:
    steps = actions([POD], [sandbox(ready=False)], now=0)[POD.key]
    assert steps == (RemoveSandbox(sandbox="s1", key=POD.key), RunSandbox(pod=POD, attempt=1))


def test_a_changed_wish_makes_the_pod_anew() -> None:
    steps = actions([replace(POD, args=("-f",))], [sandbox(containers=(container(Phase.RUNNING),))], now=0)[POD.key]
    assert [type(step) for step in steps] == [RemoveSandbox, RunSandbox]


def test_a_pod_that_nobody_wants_goes() -> None:
    assert actions([], [sandbox()], now=0) == {POD.key: (RemoveSandbox(sandbox="s1", key=POD.key),)}


phases = st.builds(container, st.sampled_from(Phase), attempt=st.integers(0, 30), ended=st.floats(0, 100))
sandboxes = st.builds(
    sandbox,
    id=st.sampled_from(["s1", "s2", "s3"]),
    ready=st.booleans(),
    digest=st.sampled_from([POD.digest, "other"]),
    attempt=st.integers(0, 3),
    containers=st.lists(phases, max_size=3).map(tuple),
)


@given(seen=st.lists(sandboxes, max_size=3, unique_by=lambda s: s.id))
def test_at_most_one_sandbox_is_ever_kept(seen: list[SeenSandbox]) -> None:
    steps = actions([POD], seen, now=1e9).get(POD.key, ())
    removed = {step.sandbox for step in steps if isinstance(step, RemoveSandbox)}
    kept = [s for s in seen if s.id not in removed]
    assert len(kept) + sum(isinstance(step, RunSandbox) for step in steps) == 1
    assert all(s.ready and s.digest == POD.digest for s in kept)
