"""The runtime's pure decisions: states, capabilities, identities, signals, profiles, resources, names."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid, Unimplemented, WrongState
from groundplane.runtime import capability, lifecycle, resources, seccomp, signals, user
from groundplane.runtime.lifecycle import ContainerEvent, SandboxEvent
from groundplane.runtime.model import (
    ContainerID,
    ContainerState,
    Identity,
    Resources,
    SandboxID,
    SandboxState,
    Security,
)

PASSWD = "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n# a comment\nbroken\n"
GROUP = "root:x:0:\nalice:x:1000:\nextra:x:50000:alice\n"


def identity(image_user: str = "", **asked: Any) -> Identity:
    return user.resolve(Security(**asked), image_user=image_user, passwd=PASSWD, group=GROUP)


@given(events=st.lists(st.sampled_from(ContainerEvent)))
def test_no_sequence_of_events_brings_a_container_back_to_life(events: list[ContainerEvent]) -> None:
    state, ended = ContainerState.CREATING, False
    for event in events:
        try:
            state = lifecycle.container_after(state, event, of=ContainerID("c"))
        except WrongState:
            continue
        assert not (ended and state is not ContainerState.EXITED)
        ended = ended or state is ContainerState.EXITED


@given(events=st.lists(st.sampled_from(SandboxEvent)))
def test_no_sequence_of_events_makes_a_stopped_sandbox_ready(events: list[SandboxEvent]) -> None:
    state, stopped = SandboxState.STARTING, False
    for event in events:
        try:
            state = lifecycle.sandbox_after(state, event, of=SandboxID("s"))
        except WrongState:
            continue
        assert not (stopped and state is SandboxState.READY)
        stopped = stopped or state is SandboxState.NOTREADY


@pytest.mark.parametrize(
    ("code", "oom", "seen", "word"),
    [
        (0, False, True, "Completed"),
        (1, False, True, "Error"),
        (137, True, True, "OOMKilled"),
        (137, False, True, "Error"),
        (1, True, True, "Error"),  # a child was killed, init was not
        (255, False, False, "Unknown"),
    ],
)
def test_the_reason_tells_an_oom_kill_of_init_from_that_of_a_child(
    *, code: int, oom: bool, seen: bool, word: str
) -> None:
    assert lifecycle.exit_reason(code, oom_killed=oom, seen=seen) == word


def test_a_single_drop_wins_over_all_added_and_a_single_add_over_all_dropped() -> None:
    added = capability.effective(add=["ALL"], drop=["net_raw"]).permitted
    assert "CAP_NET_RAW" not in added
    assert len(added) == len(capability.KNOWN) - 1
    assert capability.effective(add=["CAP_CHOWN"], drop=["all"]).permitted == ("CAP_CHOWN",)
    assert capability.effective(drop=["ALL"]).permitted == ()


def test_ambient_capabilities_are_in_every_other_set_too() -> None:
    found = capability.effective(drop=["ALL"], ambient=["NET_BIND_SERVICE"])
    assert found.permitted == found.ambient == ("CAP_NET_BIND_SERVICE",)


def test_an_unknown_capability_is_refused_by_name() -> None:
    with pytest.raises(Invalid, match="FLY"):
        capability.effective(add=["FLY"])


@given(
    add=st.lists(st.sampled_from([*capability.KNOWN, "ALL"])),
    drop=st.lists(st.sampled_from([*capability.KNOWN, "ALL"])),
)
def test_what_is_dropped_by_name_is_never_there(add: list[str], drop: list[str]) -> None:
    found = capability.effective(add=add, drop=drop).permitted
    assert not {f"CAP_{name}" for name in drop} & set(found)


def test_masks_and_names_agree() -> None:
    assert capability.parse_mask(0b1001) == {"CHOWN", "FOWNER"}


def test_supplemental_groups_merge_with_the_images_unless_strict() -> None:
    asked: dict[str, Any] = {"run_as_user": 1000, "run_as_group": 1000, "supplemental_groups": (1234,)}
    assert identity(**asked).groups == (1000, 1234, 50000)
    assert identity(**asked, strict_groups=True).groups == (1000, 1234)


@pytest.mark.parametrize(
    ("image_user", "uid", "gid"),
    [("", 0, 0), ("alice", 1000, 1000), ("1000", 1000, 1000), ("7", 7, 0), ("alice:extra", 1000, 50000), ("7:8", 7, 8)],
)
def test_the_images_user_may_be_a_name_or_a_number_with_or_without_a_group(image_user: str, uid: int, gid: int) -> None:
    found = identity(image_user)
    assert (found.uid, found.gid) == (uid, gid)


@pytest.mark.parametrize(
    "asked",
    [
        {"run_as_group": 5},
        {"run_as_user": 1, "run_as_username": "alice"},
        {"run_as_username": "nobody-here"},
        {"run_as_user": -1},
        {"run_as_user": 2**32},
    ],
)
def test_an_identity_that_cannot_be_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        identity(**asked)


@given(passwd=st.text(), group=st.text())
def test_any_passwd_and_group_can_be_read(passwd: str, group: str) -> None:
    found = user.resolve(Security(run_as_user=1000), image_user="", passwd=passwd, group=group)
    assert found.uid == 1000


@pytest.mark.parametrize(
    ("text", "number"),
    [("TERM", 15), ("SIGTERM", 15), ("9", 9), ("sigrtmin+3", 37), ("SIGRTMAX-1", 63), ("SIGNAL_SIGRTMINPLUS3", 37)],
)
def test_signals_are_known_by_every_name_they_have(text: str, number: int) -> None:
    assert signals.parse(text) == number


@pytest.mark.parametrize("text", ["", "NOPE", "0", "65", "TERM+1", "RTMIN+", "-1"])
def test_what_is_no_signal_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        signals.parse(text)


@given(number=st.integers(1, 64).filter(lambda n: n not in (32, 33)))
def test_a_signals_cri_name_reads_back(number: int) -> None:
    assert signals.parse(signals.cri_name(number)) == number


def names_denied(capabilities: set[str]) -> set[str]:
    profile = seccomp.default_profile(frozenset(capabilities), machine="x86_64")
    return {name for rule in profile["syscalls"] for name in rule["names"]}


def test_a_capability_opens_the_calls_it_exists_for() -> None:
    assert {"mount", "setns", "clone3", "bpf", "keyctl"} <= names_denied(set())
    assert not {"mount", "setns", "clone", "clone3"} & names_denied({"CAP_SYS_ADMIN"})
    assert "keyctl" in names_denied({"CAP_SYS_ADMIN"})


def test_a_machine_without_a_default_profile_is_told_so() -> None:
    with pytest.raises(Unimplemented):
        seccomp.default_profile(frozenset(), machine="s390x")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"defaultAction": 1}', '{"defaultAction": "x", "archMap": []}'])
def test_a_profile_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        seccomp.parse_profile(text, at="p.json", machine="x86_64")


def test_an_update_leaves_what_it_does_not_name() -> None:
    old = Resources(cpu_shares=2, memory_limit_bytes=5, hugepage_limits={"2MB": 1})
    new = resources.merge(old, Resources(cpu_shares=9))
    assert (new.cpu_shares, new.memory_limit_bytes, new.hugepage_limits) == (9, 5, {"2MB": 1})


def test_a_memory_limit_without_a_swap_limit_means_no_swap() -> None:
    found = resources.render(Resources(memory_limit_bytes=7), cgroup_v2=False, swap=True)
    assert found["memory"] == {"limit": 7, "swap": 7}
    assert "swap" not in resources.render(Resources(memory_limit_bytes=7), cgroup_v2=False, swap=False)["memory"]


def test_unified_keys_are_refused_on_cgroup_v1() -> None:
    with pytest.raises(Invalid, match="v1"):
        resources.render(Resources(unified={"memory.high": "1"}), cgroup_v2=False, swap=True)
