"""How a cluster gets from the members it has to the members it should have, one safe step at a time. Pure.

The caller carries a step out, looks again and asks again, so that a crash between two steps needs no memory. The rules
(etcd's runbooks; learners since 3.4):

- Nothing is done without a quorum. A member that is gone is removed before another is added: added first it would only
  raise the number of votes needed.
- A member joins as a learner, which has no vote, and is promoted once it has caught up. There is one learner at most.
- Members that are not wanted, but well, leave last, when every wanted member votes; the leader hands over first.
- A member whose data is lost has broken its promises to the others: it is removed and joins as a new one. A directory
  that holds an earlier member's data is moved aside before its host joins, since etcd refuses a removed member's id.
- While anything is unwell that should stay, a membership that need not change does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundplane.errors import Invalid, WrongState
from groundplane.etcd.quorum import has_quorum, quorum


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenMember:
    """A member as the cluster lists it. `name` empty: it has not been started yet."""

    id: int
    name: str
    peer_url: str
    learner: bool = False
    healthy: bool = True
    leader: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedMember:
    """A member that should be. `blank`: its host has no write-ahead log."""

    name: str
    peer_url: str
    blank: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove:
    """Take a member out for ever."""

    id: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Move a host's old data away (it is kept), with etcd stopped there."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddLearner:
    """Announce a member."""

    name: str
    peer_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Start an announced member, if it does not run, with state `existing` and these peers."""

    name: str
    peers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Promote:
    """Give a learner its vote; etcd refuses until it has caught up, so try again."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MovePeer:
    """Tell the cluster a member's new peer URL; its host is restarted with it afterwards."""

    id: int
    peer_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Have the leader make `to` the leader."""

    to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Nothing may be done until this has changed."""

    why: str


Step = Remove | SetAside | AddLearner | Start | Promote | MovePeer | HandOver | Wait


class QuorumLost(WrongState):
    """Too few voters are well to decide anything."""


def next_step(seen: Sequence[SeenMember], wanted: Sequence[WantedMember]) -> Step | None:
    """The one thing to do now; None when the members are the wanted ones and well.

    Raises QuorumLost, and Invalid for a wish that is none.
    """
    _check(wanted)
    voters = [member for member in seen if not member.learner]
    well = sum(member.healthy for member in voters)
    if not has_quorum(voters=len(voters), healthy=well):
        raise QuorumLost(
            f"{well} of {len(voters)} voters are well, {quorum(len(voters))} are needed",
            to="etcd",
            hint="start the others, or restore a snapshot",
        )
    homes = _homes(seen, wanted)
    return (
        _gone(voters, homes)
        or _learner(seen, wanted, homes)
        or _announced(seen, voters, wanted, homes)
        or _unwell(voters, homes)
        or _moved(voters, homes)
        or _missing(wanted, homes)
        or _surplus(voters, homes)
    )


def initial_state(*, has_log: bool, listed: bool, serves: bool) -> str:
    """The `initial-cluster-state` a member is to be started with.

    `has_log`: its write-ahead log is there (etcd then ignores the state). `listed`: a cluster that `serves` lists it,
    not started yet. Raises WrongState where starting it would form a second cluster.
    """
    if has_log or listed:
        return "existing"
    if serves:
        raise WrongState(
            "the cluster serves without this member, and it has no data",
            to="etcd",
            hint="add it as a member first; a member whose data is lost is removed, then added",
        )
    return "new"


def _check(wanted: Sequence[WantedMember]) -> None:
    if not wanted or len(wanted) % 2 == 0:
        raise Invalid(
            f"{len(wanted)} members", to="etcd", hint="use 1, 3 or 5: an even number tolerates no more than one fewer"
        )
    for what, values in (("names", [one.name for one in wanted]), ("peer URLs", [one.peer_url for one in wanted])):
        if len(set(values)) != len(values):
            raise Invalid(
                f"two members share one of the {what} {', '.join(values)}", to="etcd", hint="make them differ"
            )


def _homes(seen: Sequence[SeenMember], wanted: Sequence[WantedMember]) -> dict[int, WantedMember]:
    """Which wanted member each listed one is. A started one goes by its name, one yet to start by its peer URL.

    Of several with one name the best is kept: well before unwell, voter before learner.
    """
    by_name = {one.name: one for one in wanted}
    by_url = {one.peer_url: one for one in wanted}
    found: dict[int, WantedMember] = {}
    taken: set[str] = set()
    for member in sorted(seen, key=lambda one: (not one.healthy, one.learner, one.id)):
        home = by_name.get(member.name) if member.name else by_url.get(member.peer_url)
        if home is not None and home.name not in taken:
            taken.add(home.name)
            found[member.id] = home
    return found


def _learner(
    seen: Sequence[SeenMember], wanted: Sequence[WantedMember], homes: Mapping[int, WantedMember]
) -> Step | None:
    for member in seen:
        if not member.learner:
            continue
        home = homes.get(member.id)
        if home is None or home.peer_url != member.peer_url:
            return Remove(id=member.id, why="a learner that is not wanted")
        if not member.name:
            return Start(name=home.name, peers=_peers(seen, wanted))
        if home.blank and not member.healthy:
            return Remove(id=member.id, why="a learner that has lost its data")
        return Promote(id=member.id) if member.healthy else Wait(why=f"the learner {home.name} is not well")
    return None


def _gone(voters: Sequence[SeenMember], homes: Mapping[int, WantedMember]) -> Step | None:
    """Voters that are unwell and not coming back: each costs the cluster a failure that it could bear."""
    for member in voters:
        home = homes.get(member.id)
        if member.healthy:
            continue
        if home is None:
            return Remove(id=member.id, why="not wanted, and not well")
        if home.blank and member.name:
            return Remove(id=member.id, why=f"{home.name} has lost its data")
    return None


def _announced(
    seen: Sequence[SeenMember],
    voters: Sequence[SeenMember],
    wanted: Sequence[WantedMember],
    homes: Mapping[int, WantedMember],
) -> Step | None:
    for member in voters:
        if not member.name and member.id in homes:
            return Start(name=homes[member.id].name, peers=_peers(seen, wanted))
    return None


def _unwell(voters: Sequence[SeenMember], homes: Mapping[int, WantedMember]) -> Step | None:
    names = sorted(homes[member.id].name for member in voters if not member.healthy)
    return Wait(why=f"not well: {', '.join(names)}") if names else None


def _moved(voters: Sequence[SeenMember], homes: Mapping[int, WantedMember]) -> Step | None:
    for member in voters:
        home = homes.get(member.id)
        if home is not None and home.peer_url != member.peer_url:
            return MovePeer(id=member.id, peer_url=home.peer_url)
    return None


def _missing(wanted: Sequence[WantedMember], homes: Mapping[int, WantedMember]) -> Step | None:
    there = {home.name for home in homes.values()}
    for one in wanted:
        if one.name not in there:
            return AddLearner(name=one.name, peer_url=one.peer_url) if one.blank else SetAside(name=one.name)
    return None


def _surplus(voters: Sequence[SeenMember], homes: Mapping[int, WantedMember]) -> Step | None:
    for member in sorted(voters, key=lambda one: one.leader):
        if member.id in homes:
            continue
        if member.leader:
            return HandOver(to=next(other.id for other in voters if other.id in homes))
        return Remove(id=member.id, why="not wanted any more")
    return None


def _peers(seen: Sequence[SeenMember], wanted: Sequence[WantedMember]) -> dict[str, str]:
    """The `initial-cluster` of a member that joins: everybody who is listed, those not started by their wanted name.

    etcd compares the URLs alone, so one that nobody here announced may be called by its id.
    """
    by_url = {one.peer_url: one.name for one in wanted}
    return {member.name or by_url.get(member.peer_url, f"{member.id:x}"): member.peer_url for member in seen}
