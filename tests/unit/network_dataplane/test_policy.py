from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.network.calc.model import Dataplane, IPNetwork, Rule, SetName
from groundplane.network.dataplane.match import SetBook
from groundplane.network.dataplane.match import rules as render_rule
from groundplane.network.dataplane.policy import Options, render
from groundplane.nftables.evaluate import Packet, send
from groundplane.nftables.model import ACCEPT, Chain, Hook, HookPoint, Table
from tests.unit.network_dataplane import interpreter
from tests.unit.network_dataplane.strategies import SETS, dataplanes, net_sets, options, packets, rules


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
