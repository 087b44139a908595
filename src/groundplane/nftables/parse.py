"""What `nft -j list table` says, to values. The other half of `render`.

The kernel's own touches are undone: handles and counts are left out, single elements lose their braces, connection
states get their words. Whatever we never write (another program's rule in our table, a set with a timeout) becomes
`Opaque`, or is a type that no wanted table has, so that a diff removes it; this never refuses a listing for it.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import cast

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid
from groundplane.nftables.model import (
    ACCEPT,
    CT_STATES,
    DROP,
    RETURN,
    Chain,
    ClearMark,
    Counter,
    Element,
    Field,
    Hook,
    HookPoint,
    Judgement,
    Key,
    Log,
    Lookup,
    MarkMatch,
    Masquerade,
    Match,
    Opaque,
    Rule,
    Scalar,
    Set,
    SetMark,
    SetRef,
    Span,
    Statement,
    Table,
    Verdict,
    VerdictMap,
)

_FIELDS = {field.value: field for field in Field}
_STATES = {bit: word for word, bit in CT_STATES.items()}
_ALL_BITS = 0xFFFFFFFF


class ListingNotUnderstood(Invalid):
    """nft's answer is not the JSON that libnftables-json(5) describes."""


class _Item(msgspec.Struct):
    """One line of a listing: exactly one is set."""

    table: dict[str, object] | None = None
    chain: dict[str, object] | None = None
    rule: dict[str, object] | None = None
    set: dict[str, object] | None = None
    map: dict[str, object] | None = None


class _Listing(msgspec.Struct):
    nftables: list[_Item]


def parse_tables(listing: bytes) -> frozenset[str]:
    """The names in a `list tables`."""
    return frozenset(str(item.table["name"]) for item in _decode(listing).nftables if item.table)


def parse(listing: bytes) -> Table:
    """The table in a `list table`. Raises ListingNotUnderstood."""
    table: Table | None = None
    chains: dict[str, Chain] = {}
    rules: dict[str, list[Rule]] = {}
    sets: dict[str, Set] = {}
    maps: dict[str, VerdictMap] = {}
    try:
        for item in _decode(listing).nftables:
            if item.table is not None:
                table = Table(family=str(item.table["family"]), name=str(item.table["name"]))
            elif item.chain is not None:
                chains[str(item.chain["name"])] = Chain(hook=_hook(item.chain))
            elif item.rule is not None:
                rules.setdefault(str(item.rule["chain"]), []).append(_rule(item.rule))
            elif item.set is not None:
                sets[str(item.set["name"])] = _set(item.set)
            elif item.map is not None:
                maps[str(item.map["name"])] = _map(item.map)
    except (KeyError, TypeError, ValueError) as unexpected:
        raise ListingNotUnderstood(
            f"nft's listing has an unexpected form: {unexpected!r}", to="nft list"
        ) from unexpected
    if table is None:
        raise ListingNotUnderstood("nft's listing holds no table", to="nft list")
    filled = {name: replace(chain, rules=tuple(rules.get(name, ()))) for name, chain in chains.items()}
    return replace(table, chains=filled, sets=sets, maps=maps)


def _decode(listing: bytes) -> _Listing:
    try:
        return msgspec.json.decode(listing, type=_Listing)
    except UNREADABLE as malformed:
        raise ListingNotUnderstood(f"nft's listing is not what it should be: {malformed}", to="nft list") from malformed


def _hook(chain: Mapping[str, object]) -> Hook | None:
    if "hook" not in chain:
        return None
    return Hook(
        point=HookPoint(chain["hook"]),
        priority=int(str(chain["prio"])),
        kind=str(chain["type"]),
        accept=chain.get("policy", "accept") == "accept",
    )


def _types(made: Mapping[str, object]) -> tuple[str, ...]:
    """Flags that we never set (timeout, dynamic, constant) are told as types, which then differ from all wanted."""
    types = made["type"]
    flags = made.get("flags", [])
    foreign = [f"flag {flag}" for flag in (flags if isinstance(flags, list) else [flags]) if flag != "interval"]
    return (*(types if isinstance(types, list) else [str(types)]), *foreign)


def _set(made: Mapping[str, object]) -> Set:
    elements = frozenset(_element(each) for each in _list(made.get("elem", [])))
    return Set(types=_types(made), interval="interval" in _list(made.get("flags", [])), elements=elements)


def _map(made: Mapping[str, object]) -> VerdictMap:
    if made["map"] != "verdict":
        return VerdictMap(types=(*_types(made), f"map to {made['map']}"))
    return VerdictMap(types=_types(made), elements=dict(_entry(each) for each in _list(made.get("elem", []))))


def _rule(rule: Mapping[str, object]) -> Rule:
    statements = tuple(_statement(each) for each in _list(rule["expr"]))
    return Rule(statements=statements, comment=str(rule.get("comment", "")))


def _statement(json: object) -> Statement:
    """What cannot be understood is Opaque; its own error is of no interest, its text is."""
    with contextlib.suppress(KeyError, TypeError, ValueError):
        if (known := _known_statement(json)) is not None:
            return known
    return Opaque(msgspec.json.encode(json).decode())


def _known_statement(json: object) -> Statement | None:  # noqa: C901, PLR0911 - one case per statement
    match json:
        case {"match": {"op": "==", "left": {"&": [{"meta": {"key": "mark"}}, int(mask)]}, "right": int(value)}}:
            return MarkMatch(mask, value)
        case {"match": {"op": "==" | "!=" as op, "left": left, "right": right}}:
            return Match(key := _key(left), _right(_worded(key, right)), negate=op == "!=")
        case {"vmap": {"key": key, "data": str(data)}} if data.startswith("@"):
            return Lookup(_key(key), SetRef(data[1:]))
        case {"vmap": {"key": key, "data": {"set": entries}}}:
            return Lookup(of := _key(key), frozenset(_entry(_worded(of, each)) for each in _list(entries)))
        case {"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"|": [{"meta": {"key": "mark"}}, int(bits)]}}}:
            return SetMark(bits)
        case {"mangle": {"key": {"meta": {"key": "mark"}}, "value": {"&": [{"meta": {"key": "mark"}}, int(bits)]}}}:
            return ClearMark(_ALL_BITS & ~bits)
        case {"counter": _}:
            return Counter()
        case {"log": {"prefix": str(prefix), **rest}} if not rest:
            return Log(prefix)
        case {"masquerade": None}:
            return Masquerade()
        case {**one} if len(one) == 1:
            return _verdict(one)
        case _:
            return None


def _verdict(json: object) -> Verdict:
    match json:
        case {"accept": None}:
            return ACCEPT
        case {"drop": None}:
            return DROP
        case {"return": None}:
            return RETURN
        case {"jump": {"target": str(target)}}:
            return Verdict(Judgement.JUMP, target)
        case {"goto": {"target": str(target)}}:
            return Verdict(Judgement.GOTO, target)
        case _:
            raise ValueError(f"no verdict: {json}")


def _key(json: object) -> Key:
    match json:
        case {"concat": [*fields]}:
            return tuple(_field(each) for each in fields)
        case _:
            return (_field(json),)


def _field(json: object) -> Field:
    match json:
        case {"meta": {"key": str(what)}}:
            return _FIELDS["meta", what]
        case {"ct": {"key": str(what), **rest}} if not rest:
            return _FIELDS["ct", what]
        case {"payload": {"protocol": str(where), "field": str(what)}}:
            return _FIELDS[where, what]
        case _:
            raise ValueError(f"no field of ours: {json}")


def _right(json: object) -> Element | frozenset[Element] | SetRef:
    match json:
        case str() if json.startswith("@"):
            return SetRef(json[1:])
        case {"set": elements}:
            members = frozenset(_element(each) for each in _list(elements))
            return next(iter(members)) if len(members) == 1 else members
        case _:
            return _element(json)


def _entry(json: object) -> tuple[Element, Verdict]:
    key, verdict = _list(json)
    return _element(key), _verdict(verdict)


def _element(json: object) -> Element:
    match json:
        case {"concat": [*parts]}:
            return tuple(_scalar(each) for each in parts)
        case {"elem": {"val": value}}:
            return _element(value)
        case _:
            return _scalar(json)


def _scalar(json: object) -> Scalar:
    match json:
        case int() if not isinstance(json, bool):
            return json
        case str():
            return _word(json)
        case {"prefix": {"addr": str(address), "len": int(length)}}:
            return ip_network(f"{address}/{length}")
        case {"range": [int(first), int(last)]}:
            return Span(first, last)
        case {"range": [str(first), str(last)]}:
            return Span(ip_address(first), ip_address(last))
        case _:
            raise ValueError(f"no element of ours: {json}")


def _word(text: str) -> Scalar:
    if text[:1].isdigit() or ":" in text:
        with contextlib.suppress(ValueError):  # then it is an interface's name
            return ip_address(text)
    return text


def _worded(key: Key, json: object) -> object:
    """Connection states come as their bits; other keys' numbers are numbers."""
    if key != (Field.CT_STATE,):
        return json
    match json:
        case int():
            return _STATES[json]
        case {"set": [*bits]}:
            return {"set": [_worded(key, bit) for bit in bits]}
        case [int(bit), verdict]:
            return [_STATES[bit], verdict]
        case _:
            raise ValueError(f"no connection state: {json}")


def _list(json: object) -> list[object]:
    """A list of one is sometimes written without its brackets."""
    return cast("list[object]", json) if isinstance(json, list) else [json]
