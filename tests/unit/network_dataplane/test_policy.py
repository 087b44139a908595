from dataclasses import replace
from itertools import product

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.network.calc.model import (
    Action,
    Dataplane,
    Endpoint,
    ICMPMatch,
    IPNetwork,
    PortRange,
    Rule,
    SetName,
    Side,
    Tier,
)
from groundplane.network.calc.model import Chain as ModelChain
from groundplane.network.dataplane.match import SetBook
from groundplane.network.dataplane.match import rules as render_rule
from groundplane.network.dataplane.policy import PASS_MARK, Options, render
from groundplane.nftables.evaluate import Packet, send
from groundplane.nftables.model import ACCEPT, Chain, Hook, HookPoint, SetMark, Table
from tests.unit.network_dataplane import interpreter
from tests.unit.network_dataplane.strategies import (
    POLICIES,
    PROFILES,
    SETS,
    V4,
    V6,
    dataplanes,
    net_sets,
    options,
    packets,
    rules,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(dataplane=dataplanes, chosen=options, sent=st.lists(packets, min_size=1, max_size=12))
def test_the_rendered_table_judges_every_packet_as_the_model_says(
    dataplane: Dataplane, chosen: Options, sent: list[Packet]
) -> None:
    table = render(dataplane, chosen)
    for packet in sent:
        outcome = send(table, packet)
        assert outcome.accepted is interpreter.accepts(dataplane, packet, chosen), (packet, outcome.steps)
        if outcome.accepted:
            assert outcome.masqueraded is interpreter.masquerades(dataplane, packet)


@settings(max_examples=300, deadline=None)
@given(rule=rules, sets=st.fixed_dictionaries(dict.fromkeys(SETS, net_sets)), sent=st.lists(packets, min_size=4))
def test_a_rendered_rule_matches_what_the_rule_matches(
    rule: Rule, sets: dict[SetName, frozenset[IPNetwork]], sent: list[Packet]
) -> None:
    book = SetBook(members=sets)
    chain = Chain(
        rules=render_rule(rule, (ACCEPT,), sets=book, comment=""), hook=Hook(point=HookPoint.OUTPUT, accept=False)
    )
    table = Table(name="one", chains={"one": chain}, sets=book.used)
    for packet in sent:
        outgoing = replace(packet, iif="")
        assert send(table, outgoing).accepted is interpreter.matches(Dataplane(sets=sets), rule, outgoing)


def judged(rule: Rule, packet: Packet) -> bool:
    book = SetBook(members={})
    only = Chain(
        rules=render_rule(rule, (ACCEPT,), sets=book, comment=""), hook=Hook(point=HookPoint.OUTPUT, accept=False)
    )
    return send(Table(name="one", chains={"one": only}), packet).accepted


near = st.builds(lambda first, more: PortRange(first=first, last=first + more), st.integers(0, 6), st.integers(0, 2))


@given(wanted=st.lists(near, max_size=4), unwanted=st.lists(near, max_size=2))
def test_ports_near_each_other_are_kept_apart(wanted: list[PortRange], unwanted: list[PortRange]) -> None:
    side = Side(ports=tuple(wanted), not_ports=tuple(unwanted))
    rule = Rule(action=Action.ALLOW, protocol=6, destination=side)
    for port in range(10):
        packet = Packet(oif="eth0", source=V4[0], destination=V4[1], protocol=6, destination_port=port)
        assert judged(rule, packet) is interpreter.matches(Dataplane(), rule, packet)


def test_every_mix_of_protocols_icmp_and_ports_is_understood() -> None:
    protocols = (None, 1, 6, 17, 58, 47)
    icmps = (None, ICMPMatch(type=3), ICMPMatch(type=3, code=1), ICMPMatch(type=8, code=1))
    port_lists = ((), (PortRange(first=80, last=80),), (PortRange(first=0, last=65535),))
    sent = [
        Packet(oif="eth0", source=source, destination=source, protocol=protocol, icmp_type=3, icmp_code=code)
        for source in (V4[0], V6[0])
        for protocol in protocols
        if protocol is not None
        for code in (0, 1)
    ]
    for protocol, unwanted, icmp, not_icmp, ports, not_ports in product(
        protocols, protocols, icmps, icmps, port_lists, port_lists
    ):
        rule = Rule(
            action=Action.ALLOW,
            protocol=protocol,
            not_protocol=unwanted,
            icmp=icmp,
            not_icmp=not_icmp,
            source=Side(ports=ports),
            destination=Side(not_ports=not_ports),
        )
        for packet in sent:
            assert judged(rule, packet) is interpreter.matches(Dataplane(), rule, packet), (rule, packet)


@settings(deadline=None, max_examples=200)
@given(
    actions=st.lists(st.lists(st.tuples(st.sampled_from(Action), st.booleans()), max_size=3), min_size=4, max_size=4),
    defaults=st.lists(st.booleans(), min_size=3, max_size=3),
    mark=st.sampled_from([0, PASS_MARK, 0xFFFFFFFF]),
)
def test_pass_leads_to_the_next_tier_and_past_the_last_to_the_profiles(
    actions: list[list[tuple[Action, bool]]], defaults: list[bool], mark: int
) -> None:
    """Three tiers, of two, one and one policies, whose rules match or do not; then an open profile."""
    policies = {
        name: ModelChain(ingress=tuple(Rule(action=action, protocol=6 if hits else 17) for action, hits in listed))
        for name, listed in zip(POLICIES, actions, strict=True)
    }
    members = (tuple(POLICIES[:2]), (POLICIES[2],), (POLICIES[3],))
    tiers = tuple(
        Tier(name=f"tier{n}", policies=names, default_pass=default)
        for n, (names, default) in enumerate(zip(members, defaults, strict=True))
    )
    dataplane = Dataplane(
        endpoints=(Endpoint(interface="cali1", addresses=(V4[1],), ingress=tiers, profiles=(PROFILES[0],)),),
        policies=policies,
        profiles={PROFILES[0]: ModelChain(ingress=(Rule(action=Action.ALLOW),))},
    )
    packet = Packet(iif="eth0", oif="cali1", source=V4[0], destination=V4[1], protocol=6, mark=mark)
    table, chosen = render(dataplane), Options()
    assert send(table, packet).accepted is interpreter.accepts(dataplane, packet, chosen)
    marks = {statement for chain in table.chains.values() for rule in chain.rules for statement in rule.statements}
    assert not [each for each in marks if isinstance(each, SetMark) and each.bits & ~0xFFFF0000]
