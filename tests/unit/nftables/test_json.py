"""What nft 1.0.6 lists (libnftables 1.1.0, numeric flags on), taken down from a real kernel, and its values."""

from ipaddress import ip_address, ip_network

import msgspec
import pytest
from hypothesis import given, settings

from groundplane.nftables.diff import diff
from groundplane.nftables.model import (
    ACCEPT,
    DROP,
    RETURN,
    ClearMark,
    Counter,
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
    Span,
    Statement,
    Table,
    VerdictMap,
    goto,
    jump,
)
from groundplane.nftables.parse import ListingNotUnderstood, parse, parse_tables
from groundplane.nftables.render import render
from tests.unit.nftables.strategies import tables

TABLE = {"table": {"family": "inet", "name": "t", "handle": 1}}
CHAIN = {"chain": {"family": "inet", "table": "t", "name": "c", "handle": 1}}


def listed(*items: object) -> Table:
    return parse(msgspec.json.encode({"nftables": [{"metainfo": {"version": "1.0.6"}}, TABLE, *items]}))


def statements(*expressions: object) -> tuple[Statement, ...]:
    rule = {"rule": {"family": "inet", "table": "t", "chain": "c", "handle": 9, "expr": list(expressions)}}
    return listed(CHAIN, rule).chains["c"].rules[0].statements


SADDR = {"payload": {"protocol": "ip", "field": "saddr"}}
DPORT = {"payload": {"protocol": "th", "field": "dport"}}
MARK = {"meta": {"key": "mark"}}


@pytest.mark.parametrize(
    ("json", "value"),
    [
        ({"accept": None}, ACCEPT),
        ({"return": None}, RETURN),
        ({"jump": {"target": "x"}}, jump("x")),
        ({"goto": {"target": "x"}}, goto("x")),
        ({"counter": None}, Counter()),
        ({"counter": {"packets": 3, "bytes": 300}}, Counter()),
        ({"log": {"prefix": "calico-packet: "}}, Log("calico-packet: ")),
        ({"masquerade": None}, Masquerade()),
        ({"mangle": {"key": MARK, "value": {"|": [MARK, 0x20000]}}}, SetMark(0x20000)),
        ({"mangle": {"key": MARK, "value": {"&": [MARK, 0xFFFDFFFF]}}}, ClearMark(0x20000)),
        ({"match": {"op": "==", "left": {"&": [MARK, 0x20000]}, "right": 0}}, MarkMatch(0x20000, 0)),
        (
            {"match": {"op": "==", "left": SADDR, "right": {"prefix": {"addr": "10.0.0.0", "len": 8}}}},
            Match((Field.IP_SADDR,), ip_network("10.0.0.0/8")),
        ),
        (
            {"match": {"op": "!=", "left": SADDR, "right": {"set": ["10.0.0.1"]}}},
            Match((Field.IP_SADDR,), ip_address("10.0.0.1"), negate=True),
        ),
        (
            {"match": {"op": "==", "left": SADDR, "right": {"range": ["10.0.0.1", "10.0.0.9"]}}},
            Match((Field.IP_SADDR,), Span(ip_address("10.0.0.1"), ip_address("10.0.0.9"))),
        ),
        (
            {"match": {"op": "==", "left": DPORT, "right": {"set": [80, {"range": [90, 99]}]}}},
            Match((Field.TH_DPORT,), frozenset({80, Span(90, 99)})),
        ),
        (
            {"match": {"op": "==", "left": {"concat": [{"meta": {"key": "iifname"}}, SADDR]}, "right": "@own"}},
            Match((Field.IIFNAME, Field.IP_SADDR), SetRef("own")),
        ),
        (
            {"match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"set": [2, 4]}}},
            Match((Field.CT_STATE,), frozenset({"established", "related"})),
        ),
        (
            {"vmap": {"key": {"ct": {"key": "state"}}, "data": {"set": [[1, {"drop": None}], [2, {"accept": None}]]}}},
            Lookup((Field.CT_STATE,), frozenset({("invalid", DROP), ("established", ACCEPT)})),
        ),
        ({"vmap": {"key": {"meta": {"key": "iifname"}}, "data": "@m"}}, Lookup((Field.IIFNAME,), SetRef("m"))),
    ],
)
def test_a_listed_statement_becomes_its_value(json: object, value: Statement) -> None:
    assert statements(json) == (value,)


@pytest.mark.parametrize(
    "json",
    [
        {"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": [2, 4]}},
        {"match": {"op": "==", "left": {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "right": False}},
        {"limit": {"rate": 10, "burst": 5, "per": "second"}},
        {"masquerade": {"port": {"range": [1000, 2000]}}},
        {"log": {"prefix": "x", "group": 2}},
        {"reject": {"type": "icmpx", "expr": 1}},
        {"ct": {"key": "state"}},
        "notrack",
        None,
    ],
)
def test_a_statement_that_we_never_write_is_kept_as_its_text(json: object) -> None:
    assert statements(json) == (Opaque(msgspec.json.encode(json).decode()),)


def test_sets_maps_hooks_and_comments_are_read() -> None:
    net = {"prefix": {"addr": "10.0.0.0", "len": 24}}
    table = listed(
        {"set": {"name": "n", "type": "ipv4_addr", "flags": ["interval"], "elem": [net]}},
        {"set": {"name": "own", "type": ["ifname", "ipv4_addr"], "elem": [{"concat": ["cali1", "10.0.0.1"]}]}},
        {"map": {"name": "m", "type": "ifname", "map": "verdict", "elem": [["cali1", {"goto": {"target": "c"}}]]}},
        {"chain": {"name": "f", "type": "filter", "hook": "forward", "prio": 1, "policy": "drop"}},
        CHAIN,
        {"rule": {"chain": "c", "comment": "gnp/deny-all rule 2", "expr": [{"drop": None}]}},
    )  # fmt: skip
    assert table.sets == {
        "n": Set(types=("ipv4_addr",), interval=True, elements=frozenset({ip_network("10.0.0.0/24")})),
        "own": Set(types=("ifname", "ipv4_addr"), elements=frozenset({("cali1", ip_address("10.0.0.1"))})),
    }
    assert table.maps == {"m": VerdictMap(types=("ifname",), elements={"cali1": goto("c")})}
    assert table.chains["f"].hook == Hook(point=HookPoint.FORWARD, priority=1, accept=False)
    assert table.chains["c"].rules == (Rule((DROP,), "gnp/deny-all rule 2"),)


def test_a_set_with_a_flag_that_we_never_set_is_of_no_wanted_type() -> None:
    assert listed({"set": {"name": "s", "type": "ipv4_addr", "flags": ["timeout"]}}).sets["s"].types == (
        "ipv4_addr",
        "flag timeout",
    )


@pytest.mark.parametrize(
    "text", [b"", b"[]", b'{"nftables": 3}', b'{"nftables": []}', b'{"nftables": [{"table": {}}]}']
)
def test_what_is_no_listing_is_refused_by_name(text: bytes) -> None:
    with pytest.raises(ListingNotUnderstood):
        parse(text)


def test_the_names_of_tables_are_read() -> None:
    assert parse_tables(b'{"nftables": [{"metainfo": {}}, {"table": {"family": "inet", "name": "t"}}]}') == {"t"}


@settings(deadline=None)
@given(table=tables())
def test_what_is_rendered_parses_back(table: Table) -> None:
    """nft's own listing differs from what it is given only in its frame: take the commands as one."""
    items: dict[str, list[object]] = {"table": [], "chain": [], "rule": [], "set": [], "map": []}
    elements: dict[str, list[object]] = {}
    for command in msgspec.json.decode(render(diff(None, table)))["nftables"]:
        ((kind, body),) = command["add"].items()
        if kind == "element":
            elements[body["name"]] = body["elem"]
        else:
            items[kind].append({kind: body})
    for kind in ("set", "map"):
        for item in items[kind]:
            assert isinstance(item, dict)
            item[kind]["elem"] = elements.get(item[kind]["name"], [])
    listing = [item for kind in items.values() for item in kind]
    assert parse(msgspec.json.encode({"nftables": listing})) == table
