from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cluster.model import Decision
from groundplane.cluster.plan import Facts, HostFacts, Verb, changes, check_members
from groundplane.errors import Unimplemented

AS_WANTED = Facts(fabric=True, certificates=(), hosts=())

facts = st.builds(
    Facts,
    fabric=st.booleans(),
    certificates=st.lists(
        st.builds(Decision, name=st.sampled_from(["ca", "etcd"]), reason=st.sampled_from(["", "old"])), max_size=3
    ).map(tuple),
    hosts=st.lists(
        st.builds(
            HostFacts,
            name=st.sampled_from(["a", "b"]),
            up=st.booleans(),
            files=st.dictionaries(st.sampled_from([Path("/x"), Path("/y")]), st.booleans()),
            units=st.dictionaries(st.sampled_from(["etcd", "bird"]), st.sampled_from(["", "start", "restart"])),
            surplus=st.lists(st.sampled_from(["old"]), max_size=1).map(tuple),
        ),
        max_size=3,
    ).map(tuple),
    leaving=st.lists(st.sampled_from(["z"]), max_size=1).map(tuple),
    resources=st.dictionaries(st.sampled_from(["IPPool p"]), st.sampled_from(["", "missing", "different"])),
    stale_resources=st.lists(st.just("Tier t"), max_size=1).map(tuple),
    pods=st.dictionaries(st.sampled_from(["default/web"]), st.sampled_from(["", "missing", "exited"])),
)


def test_a_cluster_that_is_as_wanted_needs_no_change() -> None:
    assert changes(AS_WANTED) == ()


@given(seen=facts)
def test_every_difference_gives_exactly_one_change_and_nothing_else_does(seen: Facts) -> None:
    different = (
        (not seen.fabric)
        + len(seen.leaving)
        + sum(bool(decision.reason) for decision in seen.certificates)
        + sum(
            (not host.up) + len(host.files) + sum(bool(verb) for verb in host.units.values()) + len(host.surplus)
            for host in seen.hosts
        )
        + sum(bool(state) for state in seen.resources.values())
        + len(seen.stale_resources)
        + sum(bool(state) for state in seen.pods.values())
    )
    assert len(changes(seen)) == different


def test_a_change_says_what_where_and_why() -> None:
    host = HostFacts(name="etcd1", up=True, units={"etcd": "restart"})
    (change,) = changes(Facts(fabric=True, certificates=(), hosts=(host,)))
    assert (change.verb, change.what, change.host, change.why) == (
        Verb.RESTART,
        "unit etcd",
        "etcd1",
        "what it reads has changed",
    )


def test_the_members_of_an_etcd_with_data_may_not_change() -> None:
    check_members(None, frozenset({"a"}))
    check_members(frozenset({"a"}), frozenset({"a"}))
    with pytest.raises(Unimplemented, match="b would join, a would leave"):
        check_members(frozenset({"a"}), frozenset({"b"}))
