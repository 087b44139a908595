"""Values to libnftables' JSON (libnftables-json(5)).

Values are canonical already (see `model`), so nft has nothing left to simplify, and lists what it was given.
"""

from collections.abc import Iterable
from functools import cache
from ipaddress import IPv4Network, IPv6Network
from typing import assert_never

import msgspec

from groundplane.nftables import transaction as do
from groundplane.nftables.model import (
    CT_STATES,
    ClearMark,
    Counter,
    Element,
    Field,
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
    SetMark,
    SetRef,
    Span,
    Statement,
    Verdict,
)

Object = dict[str, object]
_MARK: Object = {"meta": {"key": "mark"}}
_ALL_BITS = 0xFFFFFFFF


def render(transaction: do.Transaction) -> bytes:
    """The one JSON document that is the transaction."""
    at: Object = {"family": transaction.family, "table": transaction.table}
    return msgspec.json.encode({"nftables": [_command(command, at) for command in transaction.commands]})


def render_list(family: str, table: str) -> bytes:
    """The question for all that a table holds."""
    return msgspec.json.encode({"nftables": [{"list": {"table": {"family": family, "name": table}}}]})


def render_list_tables(family: str) -> bytes:
    """The question for the names of a family's tables."""
    return msgspec.json.encode({"nftables": [{"list": {"tables": {"family": family}}}]})


def _command(command: do.Command, at: Object) -> Object:  # noqa: C901, PLR0911, PLR0912 - one case per command
    match command:
        case do.AddTable():
            return {"add": {"table": {"family": at["family"], "name": at["table"]}}}
        case do.DeleteTable():
            return {"delete": {"table": {"family": at["family"], "name": at["table"]}}}
        case do.AddChain(name, hook):
            chain = {**at, "name": name}
            if hook is not None:
                policy = "accept" if hook.accept else "drop"
                chain |= {"type": hook.kind, "hook": hook.point.value, "prio": hook.priority, "policy": policy}
            return {"add": {"chain": chain}}
        case do.FlushChain(name):
            return {"flush": {"chain": {**at, "name": name}}}
        case do.DeleteChain(name):
            return {"delete": {"chain": {**at, "name": name}}}
        case do.AddRule(chain_name, rule):
            return {"add": {"rule": {**at, "chain": chain_name, **_rule(rule)}}}
        case do.AddSet(name, types, interval):
            flags: Object = {"flags": ["interval"]} if interval else {}
            return {"add": {"set": {**at, "name": name, "type": _types(types), **flags}}}
        case do.AddMap(name, types):
            return {"add": {"map": {**at, "name": name, "type": _types(types), "map": "verdict"}}}
        case do.DeleteSet(name):
            return {"delete": {"set": {**at, "name": name}}}
        case do.DeleteMap(name):
            return {"delete": {"map": {**at, "name": name}}}
        case do.AddElements(name, elements):
            return {"add": {"element": {**at, "name": name, "elem": [_element(each) for each in elements]}}}
        case do.DeleteElements(name, elements):
            return {"delete": {"element": {**at, "name": name, "elem": [_element(each) for each in elements]}}}
        case do.AddEntries(name, entries):
            return {"add": {"element": {**at, "name": name, "elem": _entries(entries)}}}
        case do.DeleteEntries(name, entries):
            return {"delete": {"element": {**at, "name": name, "elem": _entries(entries)}}}
        case _:
            assert_never(command)


def _types(types: tuple[str, ...]) -> object:
    return types[0] if len(types) == 1 else list(types)


def _rule(rule: Rule) -> Object:
    comment: Object = {"comment": rule.comment} if rule.comment else {}
    return {"expr": [_statement(each) for each in rule.statements], **comment}


def _statement(statement: Statement) -> object:  # noqa: C901, PLR0911 - one case per statement
    match statement:
        case Verdict():
            return _verdict(statement)
        case Match(key, right, negate):
            return {"match": {"op": "!=" if negate else "==", "left": _key(key), "right": _right(right)}}
        case Lookup(key, data):
            return {"vmap": {"key": _key(key), "data": _reference(data)}}
        case MarkMatch(mask, value):
            return {"match": {"op": "==", "left": {"&": [_MARK, mask]}, "right": value}}
        case SetMark(bits):
            return {"mangle": {"key": _MARK, "value": {"|": [_MARK, bits]}}}
        case ClearMark(bits):
            return {"mangle": {"key": _MARK, "value": {"&": [_MARK, _ALL_BITS & ~bits]}}}
        case Counter():
            return {"counter": None}
        case Log(prefix):
            return {"log": {"prefix": prefix}}
        case Masquerade():
            return {"masquerade": None}
        case Opaque(text):
            return msgspec.json.decode(text)
        case _:
            assert_never(statement)


@cache  # there are few, and they are on every rule
def _verdict(verdict: Verdict) -> Object:
    if verdict.judgement in (Judgement.JUMP, Judgement.GOTO):
        return {verdict.judgement.value: {"target": verdict.target}}
    return {verdict.judgement.value: None}


def _right(right: Element | frozenset[Element] | SetRef) -> object:
    match right:
        case SetRef(name):
            return f"@{name}"
        case frozenset():
            return {"set": sorted((_element(each) for each in right), key=str)}
        case _:
            return _element(right)


def _reference(data: SetRef | frozenset[tuple[Element, Verdict]]) -> object:
    if isinstance(data, SetRef):
        return f"@{data.name}"
    return {"set": sorted(_entries(data), key=str)}


def _entries(entries: Iterable[tuple[Element, Verdict]]) -> list[object]:
    return [[_element(key), _verdict(verdict)] for key, verdict in entries]


def _key(key: Key) -> object:
    fields = [_field(each) for each in key]
    return fields[0] if len(fields) == 1 else {"concat": fields}


@cache
def _field(field: Field) -> Object:
    where, what = field.value
    if where in ("meta", "ct"):
        return {where: {"key": what}}
    return {"payload": {"protocol": where, "field": what}}


def _element(element: Element) -> object:
    if isinstance(element, tuple):
        return {"concat": [_scalar(each) for each in element]}
    return _scalar(element)


def _scalar(scalar: Scalar) -> object:
    match scalar:
        case str():
            return CT_STATES.get(scalar, scalar)
        case int():
            return scalar
        case Span(first, last):
            return {"range": [_scalar(first), _scalar(last)]}
        case IPv4Network() | IPv6Network():
            return {"prefix": {"addr": str(scalar.network_address), "len": scalar.prefixlen}}
        case _:
            return str(scalar)
