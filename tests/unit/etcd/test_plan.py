"""The membership plan against a simulated cluster: from any state, with failures and changes of mind in between."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid, WrongState
from groundplane.etcd.plan import (
    AddLearner,
    HandOver,
    MovePeer,
    Promote,
    QuorumLost,
    Remove,
    SeenMember,
    SetAside,
    Start,
    Step,
    Wait,
    WantedMember,
    initial_state,
    next_step,
)
from groundplane.etcd.quorum import has_quorum, quorum, tolerates

HOSTS = "abcdefg"


def url(name: str) -> str:
    return f"https://{name}:2380"


@dataclass
class World:
    """A cluster and its hosts. `data`: whose data a host's directory holds; `up`: hosts that are not switched off."""

    members: dict[int, SeenMember]
    data: dict[str, int]
    up: set[str] = field(default_factory=lambda: set(HOSTS))
    next_id: int = 100

    @classmethod
    def formed(cls, names: Sequence[str]) -> "World":
        members = {n: SeenMember(id=n, name=name, peer_url=url(name)) for n, name in enumerate(names, start=1)}
        return cls(members=members, data={name: n for n, name in enumerate(names, start=1)})

    def seen(self) -> list[SeenMember]:
        found = [
            SeenMember(
                id=member.id,
                name=member.name,
                peer_url=member.peer_url,
                learner=member.learner,
                healthy=member.name in self.up and self.data.get(member.name) == member.id,
            )
            for member in self.members.values()
        ]
        leader = next((member.id for member in found if member.healthy and not member.learner), 0)
        return [_lead(member) if member.id == leader else member for member in found]

    def wanted(self, names: Sequence[str]) -> list[WantedMember]:
        return [WantedMember(name=name, peer_url=url(name), blank=name not in self.data) for name in names]

    def has_quorum(self) -> bool:
        voters = [member for member in self.seen() if not member.learner]
        return has_quorum(voters=len(voters), healthy=sum(member.healthy for member in voters))

    def carry_out(self, step: Step) -> None:
        match step:
            case Remove(id=number):
                del self.members[number]
            case SetAside(name=name):
                assert self.data[name] not in self.members, "the data of a member was thrown away"
                del self.data[name]
            case AddLearner(name=name, peer_url=peer_url):
                assert not any(member.learner for member in self.members.values())
                assert all(member.healthy for member in self.seen()), "etcd refuses this: unhealthy cluster"
                self.members[self.next_id] = SeenMember(id=self.next_id, name="", peer_url=peer_url, learner=True)
                self.next_id += 1
            case Start(name=name, peers=peers):
                new = next(m for m in self.members.values() if not m.name and m.peer_url == url(name))
                assert self.data.get(name, new.id) == new.id, "etcd refuses this: a removed member's data"
                assert set(peers.values()) == {member.peer_url for member in self.members.values()}
                if name in self.up:
                    self.data[name] = new.id
                    self.members[new.id] = SeenMember(id=new.id, name=name, peer_url=new.peer_url, learner=new.learner)
            case Promote(id=number):
                old = self.members[number]
                self.members[number] = SeenMember(id=number, name=old.name, peer_url=old.peer_url)
            case MovePeer(id=number, peer_url=peer_url):
                old = self.members[number]
                self.members[number] = SeenMember(id=number, name=old.name, peer_url=peer_url, learner=old.learner)
            case HandOver(to=number):
                assert not self.members[number].learner
                # The simulated leader is the first: make it so.
                self.members = {number: self.members[number], **self.members}
            case Wait():
                pass


def _lead(member: SeenMember) -> SeenMember:
    return SeenMember(
        id=member.id,
        name=member.name,
        peer_url=member.peer_url,
        learner=member.learner,
        healthy=member.healthy,
        leader=True,
    )


memberships = st.sampled_from([1, 3, 5]).flatmap(
    lambda size: st.lists(st.sampled_from(HOSTS), min_size=size, max_size=size, unique=True)
)


def settle(world: World, names: Sequence[str], *, turns: int = 80) -> None:
    """Carry steps out until there are none; quorum holds at each."""
    for _ in range(turns):
        step = next_step(world.seen(), world.wanted(names))
        if step is None:
            break
        world.carry_out(step)
        assert world.has_quorum()
    assert sorted(member.name for member in world.members.values()) == sorted(names)
    assert not any(member.learner for member in world.members.values())


@given(memberships, memberships, memberships, st.integers(0, 30))
def test_any_membership_is_reached_from_any_other_whatever_changes_on_the_way(
    start: list[str], first: list[str], then: list[str], changed_after: int
) -> None:
    world = World.formed(start)
    for _ in range(changed_after):
        step = next_step(world.seen(), world.wanted(first))
        if step is None:
            break
        world.carry_out(step)
        assert world.has_quorum()
    settle(world, then)


failures = st.lists(st.tuples(st.sampled_from(["off", "on", "wipe"]), st.sampled_from(HOSTS)), max_size=25)


@given(memberships, memberships, failures)
def test_hosts_that_fail_and_lose_their_data_on_the_way_never_cost_the_quorum_by_our_doing(
    start: list[str], wanted: list[str], events: list[tuple[str, str]]
) -> None:
    world = World.formed(start)
    for event, host in events:
        before = set(world.up), dict(world.data)
        if event == "off":
            world.up.discard(host)
        elif event == "on":
            world.up.add(host)
        else:
            world.data.pop(host, None)
        if not world.has_quorum():  # nature's doing, from which no plan recovers: it did not happen
            world.up, world.data = before
        step = next_step(world.seen(), world.wanted(wanted))
        if step is not None:
            world.carry_out(step)
        assert world.has_quorum()
    world.up = set(HOSTS)
    settle(world, wanted)


@given(memberships, st.data())
def test_a_dead_member_is_removed_before_its_successor_is_added(start: list[str], data: st.DataObject) -> None:
    if len(start) == 1:
        return
    dead = data.draw(st.sampled_from(start))
    other = data.draw(st.sampled_from([name for name in HOSTS if name not in start]))
    world = World.formed(start)
    world.up.discard(dead)
    wanted = [other if name == dead else name for name in start]
    step = next_step(world.seen(), world.wanted(wanted))
    assert step == Remove(id=start.index(dead) + 1, why="not wanted, and not well")
    world.carry_out(step)
    assert isinstance(next_step(world.seen(), world.wanted(wanted)), AddLearner)


def test_a_healthy_cluster_as_wanted_needs_nothing_and_an_unwell_one_waits() -> None:
    world = World.formed("abc")
    assert next_step(world.seen(), world.wanted("abc")) is None
    world.up.discard("b")
    assert next_step(world.seen(), world.wanted("abc")) == Wait(why="not well: b")
    assert next_step(world.seen(), world.wanted("abcde")) == Wait(why="not well: b")


def test_a_member_that_lost_its_data_is_removed_and_joins_anew() -> None:
    world = World.formed("abc")
    del world.data["c"]
    taken = []
    while (step := next_step(world.seen(), world.wanted("abc"))) is not None:
        taken.append(type(step).__name__)
        world.carry_out(step)
    assert taken == ["Remove", "AddLearner", "Start", "Promote"]


def test_a_learner_that_lost_its_data_is_removed_too_and_one_that_is_only_down_is_waited_for() -> None:
    world = World.formed("ab")
    world.members[9] = SeenMember(id=9, name="c", peer_url=url("c"), learner=True)
    world.data["c"] = 9
    world.up.discard("c")
    assert next_step(world.seen(), world.wanted("abc")) == Wait(why="the learner c is not well")
    del world.data["c"]
    assert next_step(world.seen(), world.wanted("abc")) == Remove(id=9, why="a learner that has lost its data")


def test_of_two_members_with_one_name_the_well_one_stays() -> None:
    world = World.formed("abcd")
    world.members[9] = SeenMember(id=9, name="b", peer_url="https://old-b:2380")
    assert next_step(world.seen(), world.wanted("abc")) == Remove(id=9, why="not wanted, and not well")


def test_old_data_is_set_aside_before_its_host_joins() -> None:
    world = World.formed("abc")
    world.data["d"] = 99
    taken = []
    while (step := next_step(world.seen(), world.wanted("bcd"))) is not None:
        taken.append(type(step).__name__)
        world.carry_out(step)
    assert taken == ["SetAside", "AddLearner", "Start", "Promote", "HandOver", "Remove"]


def test_a_member_at_a_new_address_is_announced_there() -> None:
    world = World.formed("abc")
    wanted = world.wanted("abc")
    wanted[1] = WantedMember(name="b", peer_url="https://elsewhere:2380", blank=False)
    assert next_step(world.seen(), wanted) == MovePeer(id=2, peer_url="https://elsewhere:2380")


def test_without_a_quorum_nothing_is_done() -> None:
    world = World.formed("abc")
    world.up -= {"a", "b"}
    with pytest.raises(QuorumLost, match="1 of 3 voters are well, 2 are needed"):
        next_step(world.seen(), world.wanted("cde"))


@pytest.mark.parametrize("names", ["", "ab", "abcd", "aab"])
def test_a_membership_that_gains_nothing_is_refused(names: str) -> None:
    world = World.formed("abc")
    with pytest.raises(Invalid):
        next_step(world.seen(), world.wanted(names))


@given(st.integers(1, 99))
def test_a_majority_is_more_than_half_and_two_always_meet(voters: int) -> None:
    assert 2 * quorum(voters) > voters
    assert quorum(voters) + tolerates(voters) == voters
    assert has_quorum(voters=voters, healthy=quorum(voters))
    assert not has_quorum(voters=voters, healthy=quorum(voters) - 1)


def test_the_state_to_start_with_follows_the_log_and_the_members_not_memory() -> None:
    assert initial_state(has_log=False, listed=False, serves=False) == "new"
    assert initial_state(has_log=True, listed=False, serves=False) == "existing"
    assert initial_state(has_log=False, listed=True, serves=True) == "existing"
    with pytest.raises(WrongState, match="has no data"):
        initial_state(has_log=False, listed=False, serves=True)


def test_a_member_that_joins_knows_of_one_that_somebody_else_announced() -> None:
    seen = [
        SeenMember(id=1, name="a", peer_url=url("a"), leader=True),
        SeenMember(id=2, name="", peer_url=url("b"), learner=True, healthy=False),
        SeenMember(id=0xF00, name="", peer_url=url("stranger"), learner=True, healthy=False),
    ]
    wanted = [WantedMember(name=name, peer_url=url(name), blank=True) for name in "abc"]
    assert next_step(seen, wanted) == Start(name="b", peers={"a": url("a"), "b": url("b"), "f00": url("stranger")})
