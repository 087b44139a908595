from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.nftables import transaction as do
from groundplane.nftables.diff import diff
from groundplane.nftables.memory import replay
from groundplane.nftables.model import ACCEPT, DROP, Chain, Element, Hook, HookPoint, Rule, Set, Table, VerdictMap, goto
from tests.unit.nftables.strategies import tables


@settings(deadline=None)
@given(have=st.none() | tables(), want=st.none() | tables())
def test_the_transaction_leads_from_any_table_to_any_other(have: Table | None, want: Table | None) -> None:
    assert replay(have, diff(have, want)) == want


@settings(deadline=None)
@given(table=tables())
def test_what_is_as_wanted_takes_no_transaction(table: Table) -> None:
    assert not diff(table, table)


def test_no_table_is_as_good_as_no_table() -> None:
    assert not diff(None, None)


def test_a_changed_set_costs_its_changed_elements_alone() -> None:
    one, two, three = (ip_address(f"10.0.0.{n}") for n in (1, 2, 3))

    def table(*members: Element) -> Table:
        return Table(name="t", sets={"s": Set(types=("ipv4_addr",), elements=frozenset(members))})

    changes = diff(table(one, two), table(two, three))
    assert changes.commands == (do.DeleteElements("s", (one,)), do.AddElements("s", (three,)))


def test_a_changed_chain_is_filled_anew_and_others_are_left_alone() -> None:
    rule, other = Rule((ACCEPT,)), Rule((DROP,))
    have = Table(name="t", chains={"a": Chain(rules=(rule,)), "b": Chain(rules=(rule,))})
    want = Table(name="t", chains={"a": Chain(rules=(rule,)), "b": Chain(rules=(other,))})
    assert diff(have, want).commands == (do.FlushChain("b"), do.AddRule("b", other))


def test_a_removed_endpoint_gives_up_its_entry_before_its_chain() -> None:
    have = Table(
        name="t",
        chains={"x": Chain(rules=(Rule((DROP,)),))},
        maps={"m": VerdictMap(types=("ifname",), elements={"eth9": goto("x")})},
    )
    want = Table(name="t", maps={"m": VerdictMap(types=("ifname",))})
    assert diff(have, want).commands == (
        do.FlushChain("x"),
        do.DeleteEntries("m", (("eth9", goto("x")),)),
        do.DeleteChain("x"),
    )


@pytest.mark.parametrize(
    ("have", "want"),
    [
        pytest.param(Set(types=("ipv4_addr",)), Set(types=("ipv4_addr",), interval=True), id="flags"),
        pytest.param(Set(types=("ipv4_addr",)), Set(types=("ipv6_addr",)), id="type"),
    ],
)
def test_what_cannot_be_changed_in_place_makes_the_table_anew_in_one_transaction(have: Set, want: Set) -> None:
    changes = diff(Table(name="t", sets={"s": have}), Table(name="t", sets={"s": want}))
    assert changes.commands[:2] == (do.DeleteTable(), do.AddTable())


def test_a_base_chains_policy_changes_in_place_but_its_hook_does_not() -> None:
    def table(*, accept: bool, priority: int = 0) -> Table:
        hook = Hook(point=HookPoint.FORWARD, priority=priority, accept=accept)
        return Table(name="t", chains={"f": Chain(hook=hook)})

    (command,) = diff(table(accept=True), table(accept=False)).commands
    assert isinstance(command, do.AddChain)
    assert diff(table(accept=True), table(accept=True, priority=1)).commands[0] == do.DeleteTable()
