"""The real kernel takes what we render, and lists it as we would write it. Needs root and libnftables1."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.network.calc.model import (
    Action,
    Dataplane,
    Endpoint,
    IPNetwork,
    PolicyID,
    PortRange,
    SetName,
    Side,
    Tier,
)
from groundplane.network.calc.model import Chain as ModelChain
from groundplane.network.calc.model import Rule as ModelRule
from groundplane.network.dataplane.policy import Options, render, render_closed
from groundplane.nftables import Applier, Netfilter, Refused, Table
from groundplane.nftables.diff import diff
from groundplane.nftables.model import Chain, Rule, jump
from groundplane.system import netns
from tests.unit.network_dataplane.strategies import SETS, dataplanes, net_sets, options, rules

T = TypeVar("T")
RecordProperty = Callable[[str, object], None]


@pytest.fixture(scope="module")
def filters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Netfilter]:
    at = tmp_path_factory.mktemp("netns") / "filters"
    netns.create(at)
    try:
        made = netns.run_in(at, Netfilter)
        yield made
        made.close()
    finally:
        netns.unpin(at)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(dataplane=dataplanes, chosen=options)
def test_any_table_replaces_any_other_and_is_listed_as_it_was_written(
    filters: Netfilter, dataplane: Dataplane, chosen: Options
) -> None:
    applier = Applier(filters, name="groundplane")
    applier.resync()
    want = render(dataplane, chosen)
    applier.apply(want)
    have = applier.resync()
    assert have is not None
    assert diff(have, want).commands == ()
    assert not applier.apply(want)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(some=st.lists(rules, min_size=20, max_size=20), sets=st.fixed_dictionaries(dict.fromkeys(SETS, net_sets)))
def test_any_rule_is_listed_as_it_was_written(
    filters: Netfilter, some: list[ModelRule], sets: dict[SetName, frozenset[IPNetwork]]
) -> None:
    """Denser than whole dataplanes: nft's listing has its own mind about many a pair of matches."""
    policy = PolicyID("gnp/any")
    endpoint = Endpoint(interface="cali1", addresses=(), ingress=(Tier(name="default", policies=(policy,)),))
    want = render(Dataplane(endpoints=(endpoint,), policies={policy: ModelChain(ingress=tuple(some))}, sets=sets))
    applier = Applier(filters, name="groundplane")
    applier.apply(want)
    have = applier.resync()
    assert have is not None
    assert have.chains["in-gnp/any"].rules == want.chains["in-gnp/any"].rules


def test_a_closed_table_gives_way_to_a_policy_in_one_transaction(filters: Netfilter) -> None:
    applier = Applier(filters, name="groundplane")
    applier.apply(render_closed())
    assert diff(applier.resync(), render_closed()).commands == ()
    applier.apply(render(Dataplane()))
    assert diff(applier.resync(), render(Dataplane())).commands == ()


def test_a_refusal_carries_nfts_words_and_changes_nothing(filters: Netfilter) -> None:
    applier = Applier(filters, name="groundplane")
    applier.apply(render_closed())
    before = applier.resync()
    nowhere = Table(name="groundplane", chains={"c": Chain(rules=(Rule((jump("nowhere"),)),))})
    with pytest.raises(Refused, match="No such file or directory"):
        applier.apply(nowhere)
    assert applier.resync() == before


def test_a_packet_filter_stays_in_the_namespace_it_was_made_in(filters: Netfilter, tmp_path: Path) -> None:
    Applier(filters, name="groundplane").apply(render_closed())
    elsewhere = tmp_path / "elsewhere"
    netns.create(elsewhere)
    try:
        other = netns.run_in(elsewhere, Netfilter)
        assert other.read("inet", "groundplane") is None
        other.close()
        assert netns.run_in(elsewhere, lambda: filters.read("inet", "groundplane")) is not None
    finally:
        netns.unpin(elsewhere)


def test_a_closed_filter_says_so(filters: Netfilter, tmp_path: Path) -> None:
    at = tmp_path / "closed"
    netns.create(at)
    try:
        closed = netns.run_in(at, Netfilter)
        closed.close()
        closed.close()
        with pytest.raises(Refused, match="was closed"):
            closed.read("inet", "groundplane")
    finally:
        netns.unpin(at)
    assert filters.read("inet", "no such table") is None


def crowd(endpoints: int, policies: int) -> Dataplane:
    """Each endpoint under all policies, each policy with a set of its own and ports."""
    names = tuple(PolicyID(f"gnp/policy-{n}") for n in range(policies))
    tiers = (Tier(name="default", policies=names),)
    hosts = [ip_address("10.65.0.0") + n for n in range(endpoints)]

    def members(number: int) -> frozenset[IPNetwork]:
        return frozenset(ip_network(host) for host in hosts[number % 7 :: 7])

    def rule(number: int) -> ModelRule:
        ports = (PortRange(first=80, last=80), PortRange(first=8000 + number, last=8100 + number))
        source = Side(sets=(SetName(f"s:{number}"),))
        return ModelRule(action=Action.ALLOW, protocol=6, source=source, destination=Side(ports=ports))

    return Dataplane(
        endpoints=tuple(
            Endpoint(interface=f"cali{n:011x}", addresses=(host,), ingress=tiers, egress=tiers)
            for n, host in enumerate(hosts)
        ),
        policies={name: ModelChain(ingress=(rule(n),), egress=(rule(n),)) for n, name in enumerate(names)},
        sets={SetName(f"s:{n}"): members(n) for n in range(policies)},
        pools=frozenset({ip_network("10.65.0.0/16")}),
        masquerade=frozenset({ip_network("10.65.0.0/16")}),
    )


def test_a_hundred_endpoints_under_twenty_policies(filters: Netfilter, record_property: RecordProperty) -> None:
    """Figures for the reader (`-rP`, or the report's properties): time on a shared machine is not asserted."""
    figures: dict[str, float] = {}

    def timed(what: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        value = work()
        figures[what] = round((time.perf_counter() - began) * 1000, 2)
        return value

    applier = Applier(filters, name="groundplane")
    applier.apply(None)
    before, whole = crowd(99, 20), crowd(100, 20)
    few = timed("render 99", lambda: render(before))
    many = timed("render 100", lambda: render(whole))
    timed("apply 99 endpoints", lambda: applier.apply(few))
    assert len(timed("apply one endpoint more", lambda: applier.apply(many)).commands) < 40
    timed("apply no change", lambda: applier.apply(many))
    member = whole.sets[SetName("s:3")] | {ip_network("10.65.9.9/32")}
    changed = render(replace(whole, sets={**whole.sets, SetName("s:3"): member}))
    assert len(timed("apply one set member", lambda: applier.apply(changed)).commands) == 1
    assert diff(timed("resync", applier.resync), changed).commands == ()
    for what, milliseconds in figures.items():
        record_property(what, milliseconds)
    print(", ".join(f"{what}: {milliseconds} ms" for what, milliseconds in figures.items()))  # noqa: T201 - shown by -rP
