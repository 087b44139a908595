from ipaddress import ip_address, ip_network

import pytest

from groundplane.nftables import Packet, Table, send
from groundplane.nftables.evaluate import OpaqueRule
from groundplane.nftables.model import (
    ACCEPT,
    DROP,
    RETURN,
    Chain,
    ClearMark,
    Element,
    Field,
    Hook,
    HookPoint,
    Log,
    Lookup,
    MarkMatch,
    Masquerade,
    Match,
    Opaque,
    Rule,
    Set,
    SetMark,
    SetRef,
    Statement,
    VerdictMap,
    goto,
    jump,
)

PACKET = Packet(
    iif="eth0",
    oif="eth1",
    source=ip_address("10.0.0.1"),
    destination=ip_address("10.0.0.2"),
    protocol=6,
    source_port=4000,
    destination_port=80,
)


def base(*rules: Rule, priority: int = 0, accept: bool = True) -> Chain:
    return Chain(hook=Hook(point=HookPoint.FORWARD, priority=priority, accept=accept), rules=rules)


def accepted(*statements: Statement) -> bool:
    """Whether a rule of these matches takes the packet."""
    return send(Table(name="t", chains={"c": base(Rule((*statements, ACCEPT)), accept=False)}), PACKET).accepted


def test_an_accept_ends_one_base_chain_and_a_drop_ends_the_packet() -> None:
    first, second = base(Rule((ACCEPT,)), Rule((DROP,))), base(Rule((Log("second"),)), Rule((DROP,)), priority=1)
    outcome = send(Table(name="t", chains={"b": second, "a": first}), PACKET)
    assert not outcome.accepted
    assert outcome.logged == ("second",)


def test_a_return_goes_back_to_the_jump_and_past_a_goto() -> None:
    chains = {
        "f": base(Rule((jump("by jump"),)), Rule((Log("after the jump"),)), Rule((goto("leaf"),)), Rule((DROP,))),
        "by jump": Chain(rules=(Rule((goto("leaf"),)), Rule((Log("after the goto"),)))),
        "leaf": Chain(rules=(Rule((RETURN,)), Rule((DROP,)))),
    }
    outcome = send(Table(name="t", chains=chains), PACKET)
    assert outcome.accepted
    assert outcome.logged == ("after the jump",)


def test_the_policy_decides_at_the_end() -> None:
    assert send(Table(name="t", chains={"c": base()}), PACKET).accepted
    assert not send(Table(name="t", chains={"c": base(accept=False)}), PACKET).accepted


def test_a_field_that_the_packet_lacks_matches_neither_way() -> None:
    for key in ((Field.IP6_SADDR,), (Field.UDP_DPORT,), (Field.ICMP_TYPE,), (Field.IIFNAME, Field.IP6_SADDR)):
        assert not accepted(Match(key, 0))
        assert not accepted(Match(key, 0, negate=True))


@pytest.mark.parametrize(
    ("right", "holds"),
    [(ip_network("10.0.0.0/8"), True), (ip_network("10.1.0.0/16"), False), (ip_address("10.0.0.1"), True)],
)
def test_addresses_match_networks_sets_and_their_negation(right: Element, holds: bool) -> None:  # noqa: FBT001
    assert accepted(Match((Field.IP_SADDR,), right)) is holds
    assert accepted(Match((Field.IP_SADDR,), frozenset({right}))) is holds
    assert accepted(Match((Field.IP_SADDR,), right, negate=True)) is not holds


def test_marks_are_set_cleared_and_matched_by_their_bits() -> None:
    assert accepted(SetMark(0x30000), ClearMark(0x10000), MarkMatch(0x30000, 0x20000))
    assert not accepted(SetMark(0x10000), MarkMatch(0x10000, 0))


def test_maps_and_concatenated_sets_are_looked_up() -> None:
    own = Set(types=("ifname", "ipv4_addr"), elements=frozenset({("eth0", ip_address("10.0.0.1"))}))
    table = Table(
        name="t",
        chains={
            "c": base(Rule((Match((Field.IIFNAME, Field.IP_SADDR), SetRef("own")), jump("d"))), accept=False),
            "d": Chain(rules=(Rule((Lookup((Field.OIFNAME,), SetRef("m")),)),)),
        },
        sets={"own": own},
        maps={"m": VerdictMap(types=("ifname",), elements={"eth1": ACCEPT})},
    )
    assert send(table, PACKET).accepted


def test_only_a_new_connection_asks_the_nat_chains() -> None:
    hook = Hook(point=HookPoint.POSTROUTING, kind="nat")
    table = Table(name="t", chains={"n": Chain(hook=hook, rules=(Rule((Masquerade(),)),))})
    assert send(table, PACKET).masqueraded
    established = Packet(
        iif="a", oif="b", source=PACKET.source, destination=PACKET.source, protocol=6, state="established"
    )
    assert not send(table, established).masqueraded


def test_a_rule_that_another_program_wrote_cannot_be_followed() -> None:
    with pytest.raises(OpaqueRule):
        accepted(Opaque('{"limit": {}}'))
