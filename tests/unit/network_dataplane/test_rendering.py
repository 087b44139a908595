"""What the table looks like: names an operator can read, and no more than is needed."""

from ipaddress import ip_address, ip_network

import pytest

from groundplane.network.calc.model import (
    Action,
    Chain,
    Dataplane,
    Endpoint,
    ICMPMatch,
    PolicyID,
    PortRange,
    ProfileID,
    Rule,
    SetName,
    Side,
    Tier,
)
from groundplane.network.dataplane.naming import comment, named
from groundplane.network.dataplane.policy import PASS_MARK, Options, render, render_closed
from groundplane.nftables.evaluate import Packet, send
from groundplane.nftables.model import ACCEPT, DROP, Counter, Field, Match, SetRef, Span, Table, VerdictMap, goto, jump
from groundplane.nftables.model import Rule as NftRule

DENY_ALL, ALLOW_WEB = PolicyID("gnp/deny-all"), PolicyID("np/shop/allow-web")
OPEN = ProfileID("kns.shop")
POD, OTHER = ip_address("10.0.0.1"), ip_address("10.0.0.2")


def under(*rules: Rule, sets: dict[SetName, frozenset[str]] | None = None) -> Dataplane:
    """One pod, whose ingress is `rules`."""
    return Dataplane(
        endpoints=(
            Endpoint(
                interface="cali1",
                addresses=(POD,),
                ingress=(Tier(name="default", policies=(DENY_ALL,)),),
                profiles=(OPEN,),
            ),
        ),
        policies={DENY_ALL: Chain(ingress=rules)},
        profiles={OPEN: Chain(egress=(Rule(action=Action.ALLOW),))},
        sets={name: frozenset(map(ip_network, nets)) for name, nets in (sets or {}).items()},
    )


def rendered(*rules: Rule, sets: dict[SetName, frozenset[str]] | None = None) -> tuple[NftRule, ...]:
    return render(under(*rules, sets=sets)).chains["in-gnp/deny-all"].rules


def to_pod(**how: object) -> Packet:
    return Packet(**{"iif": "eth0", "oif": "cali1", "source": OTHER, "destination": POD, "protocol": 6, **how})  # type: ignore[arg-type]


def test_chains_and_rules_are_named_after_their_resources() -> None:
    table = render(under(Rule(action=Action.LOG), Rule(action=Action.DENY, protocol=17)))
    assert table.chains["to-cali1"].rules[1] == NftRule((jump("in-gnp/deny-all"),), "tier default")
    assert [rule.comment for rule in table.chains["in-gnp/deny-all"].rules] == [
        "gnp/deny-all rule 1",
        "gnp/deny-all rule 2",
    ]


def test_a_comment_of_the_rules_own_is_kept() -> None:
    assert rendered(Rule(action=Action.DENY, comment="no telnet"))[0].comment == "no telnet"


def test_an_outcome_names_the_rule_that_decided() -> None:
    outcome = send(render(under(Rule(action=Action.LOG), Rule(action=Action.DENY))), to_pod())
    assert outcome.steps[-1].comment == "gnp/deny-all rule 2"
    assert outcome.logged == ("calico-packet: ",)


def test_interfaces_are_dispatched_by_one_map_however_many_there_are() -> None:
    endpoints = tuple(Endpoint(interface=f"cali{n}", addresses=()) for n in range(50))
    table = render(Dataplane(endpoints=endpoints))
    assert len(table.chains["forward-to"].rules) == len(render(Dataplane()).chains["forward-to"].rules)
    assert table.maps["to-workload"] == VerdictMap(
        types=("ifname",), elements={f"cali{n}": goto(f"to-cali{n}") for n in range(50)}
    )


def test_endpoints_with_the_same_policies_share_their_chains() -> None:
    tiers = (Tier(name="default", policies=(DENY_ALL, ALLOW_WEB)),)
    endpoints = tuple(Endpoint(interface=f"cali{n}", addresses=(), ingress=tiers) for n in range(2))
    table = render(Dataplane(endpoints=endpoints, policies={DENY_ALL: Chain(), ALLOW_WEB: Chain()}))
    assert table.chains["to-cali0"] == table.chains["to-cali1"]
    assert sum(name.startswith("tier-in-default-") for name in table.chains) == 1


def test_the_mark_is_used_only_where_a_policy_can_pass() -> None:
    def text(action: Action) -> str:
        return repr(render(under(Rule(action=action))).chains)

    assert str(PASS_MARK) not in text(Action.DENY)
    assert str(PASS_MARK) in text(Action.PASS)
    assert PASS_MARK & 0xFFFF0000 == PASS_MARK


def test_many_ports_are_one_set_merged_where_they_touch() -> None:
    ports = tuple(PortRange(first=each, last=each) for each in (80, 81, 82, 443, 8080))
    (rule,) = rendered(Rule(action=Action.ALLOW, protocol=6, destination=Side(ports=ports)))
    assert rule.statements == (Match((Field.TCP_DPORT,), frozenset({Span(80, 82), 443, 8080})), Counter(), ACCEPT)


def test_a_negated_icmp_type_with_a_code_lets_the_other_codes_be_matched() -> None:
    table = render(under(Rule(action=Action.ALLOW, protocol=1, not_icmp=ICMPMatch(type=3, code=4))))
    found = {
        (type_, code): send(table, to_pod(protocol=1, icmp_type=type_, icmp_code=code)).accepted
        for type_, code in ((3, 4), (3, 1), (8, 4), (8, 0))
    }
    assert found == {(3, 4): False, (3, 1): True, (8, 4): True, (8, 0): True}


def test_a_set_takes_part_only_in_the_families_it_has_members_of() -> None:
    name = SetName("s:clients")
    rule = Rule(action=Action.ALLOW, source=Side(sets=(name,)))
    v4 = rendered(rule, sets={name: frozenset({"10.0.0.2/32"})})
    assert [each.statements[0] for each in v4] == [Match((Field.IP_SADDR,), SetRef(named("s4-", name)))]
    both = rendered(rule, sets={name: frozenset({"10.0.0.0/24", "fd00::1/128"})})
    assert [each.statements[0] for each in both] == [
        Match((Field.IP_SADDR,), SetRef(named("n4-", name))),
        Match((Field.IP6_SADDR,), SetRef(named("s6-", name))),
    ]
    assert rendered(rule, sets={name: frozenset()}) == ()


def test_negated_nets_of_one_family_leave_the_other_out() -> None:
    rule = Rule(action=Action.DENY, source=Side(not_nets=(ip_network("10.0.0.0/8"),)))
    assert [each.statements[0] for each in rendered(rule)] == [
        Match((Field.IP_SADDR,), ip_network("10.0.0.0/8"), negate=True)
    ]


def test_a_negated_catch_all_matches_nothing() -> None:
    assert rendered(Rule(action=Action.DENY, source=Side(not_nets=(ip_network("0.0.0.0/0"),)))) == ()


def test_a_policy_that_nobody_is_under_is_not_in_the_kernel() -> None:
    table = render(Dataplane(policies={DENY_ALL: Chain(ingress=(Rule(action=Action.DENY),))}))
    assert "in-gnp/deny-all" not in table.chains


def test_a_missing_profile_denies() -> None:
    endpoint = Endpoint(interface="cali1", addresses=(POD,), profiles=(ProfileID("gone"), OPEN))
    open_to_all = Chain(ingress=(Rule(action=Action.ALLOW),))
    outcome = send(render(Dataplane(endpoints=(endpoint,), profiles={OPEN: open_to_all})), to_pod())
    assert not outcome.accepted
    assert outcome.steps[-1].comment == "profile gone is missing"


@pytest.mark.parametrize("table", [render_closed(), render(Dataplane())])
def test_without_policy_nothing_passes_between_a_workload_and_the_network(table: Table) -> None:
    assert not send(table, to_pod()).accepted
    assert not send(table, to_pod(iif="cali1", oif="eth0", source=POD)).accepted
    assert not send(table, to_pod(iif="cali1", oif="")).accepted


def test_a_closed_host_does_not_reach_its_workloads_and_is_itself_untouched() -> None:
    assert not send(render_closed(), to_pod(iif="")).accepted
    for table in (render_closed(), render(Dataplane())):
        for way in ({"iif": "eth0", "oif": ""}, {"iif": "", "oif": "eth0"}, {"iif": "eth0", "oif": "eth1"}):
            for state in ("new", "invalid", "untracked"):
                assert send(table, to_pod(**way, state=state, protocol=4)).accepted


def test_the_prefix_of_workload_interfaces_is_configurable() -> None:
    table = render(Dataplane(), Options(host_prefix="tap"))
    assert not send(table, to_pod(oif="tap1")).accepted
    assert send(table, to_pod()).accepted


def test_policies_end_in_verdicts_not_marks() -> None:
    assert rendered(Rule(action=Action.DENY))[0].statements == (Counter(), DROP)


def test_names_are_kept_where_nft_can_say_them_and_told_apart_where_not() -> None:
    assert named("in-", "np/shop/allow-web.v1_2") == "in-np/shop/allow-web.v1_2"
    strange = [named("in-", name) for name in ("a:b", "a;b", "a b", ".a-b", "x" * 300, "x" * 301)]
    assert len(set(strange)) == len(strange)
    assert all(len(name) < 255 and name.startswith("in-.") for name in strange)


def test_comments_fit_into_the_kernel_and_print_back() -> None:
    assert comment('say "no"\n' + "é" * 200) == "say  no  " + "é" * 55
    assert len(comment("é" * 200).encode()) <= 127


def test_a_pass_skips_the_rest_of_its_tier() -> None:
    tiers = (Tier(name="first", policies=(ALLOW_WEB, DENY_ALL)),)
    endpoint = Endpoint(interface="cali1", addresses=(POD,), ingress=tiers, profiles=(OPEN,))
    dataplane = Dataplane(
        endpoints=(endpoint,),
        policies={
            ALLOW_WEB: Chain(ingress=(Rule(action=Action.PASS),)),
            DENY_ALL: Chain(ingress=(Rule(action=Action.DENY),)),
        },
        profiles={OPEN: Chain(ingress=(Rule(action=Action.ALLOW),))},
    )
    assert send(render(dataplane), to_pod()).accepted


def test_single_values_come_first_as_nft_will_list_them() -> None:
    source = Side(ports=(PortRange(first=1, last=1),), not_ports=(PortRange(first=5, last=5),))
    destination = Side(ports=(PortRange(first=80, last=80),))
    (rule,) = rendered(Rule(action=Action.DENY, protocol=6, source=source, destination=destination))
    assert rule.statements[:3] == (
        Match((Field.TCP_SPORT,), 1),
        Match((Field.TCP_DPORT,), 80),
        Match((Field.TCP_SPORT,), 5, negate=True),
    )
