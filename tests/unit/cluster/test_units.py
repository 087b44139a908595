from hypothesis import given
from hypothesis import strategies as st

from groundplane.cluster.lab.units import (
    RESTART_FIRST,
    RESTART_LONGEST,
    Unit,
    difference,
    pause_before_restart,
)

units = st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["1", "2", "3"])).map(
    lambda found: {name: Unit(name=name, argv=("/bin/true", revision)) for name, revision in found.items()}
)


@given(have=units, want=units)
def test_the_difference_turns_what_runs_into_what_is_wanted(have: dict[str, Unit], want: dict[str, Unit]) -> None:
    change = difference(have, want)
    result = {name: unit for name, unit in have.items() if name not in change.stop}
    result.update({unit.name: unit for unit in (*change.start, *change.restart)})
    assert result == want


@given(have=units)
def test_no_difference_between_equals(have: dict[str, Unit]) -> None:
    change = difference(have, have)
    assert (change.start, change.restart, change.stop) == ((), (), ())


@given(failures=st.integers(0, 10_000))
def test_pauses_stay_between_the_first_and_the_longest(failures: int) -> None:
    assert RESTART_FIRST <= pause_before_restart(failures=failures) <= RESTART_LONGEST


def test_a_unit_survives_its_journey_through_json() -> None:
    unit = Unit(name="etcd", argv=("/usr/bin/etcd", "--name=a b"), directory="/x", notify=True, revision="7")
    assert Unit.from_json(unit.to_json()) == unit
