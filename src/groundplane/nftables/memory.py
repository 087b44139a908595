"""A packet filter in memory: the kernel's rules for transactions, without a kernel.

It refuses what nf_tables refuses (a reference to what is not there, the deletion of what is referred to or not empty,
an element twice or not there), and a refused transaction leaves no trace.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from groundplane.nftables import transaction as do
from groundplane.nftables.apply import Refused
from groundplane.nftables.model import Chain, Lookup, Match, Set, SetRef, Statement, Table, Verdict, VerdictMap

T = TypeVar("T")


class MemoryFilter:
    """An `apply.PacketFilter`. `transactions` are all that were run, the refused ones left out."""

    def __init__(self) -> None:
        self.tables: dict[tuple[str, str], Table] = {}
        self.transactions: list[do.Transaction] = []

    def read(self, family: str, name: str) -> Table | None:
        """The table, or None."""
        return self.tables.get((family, name))

    def run(self, transaction: do.Transaction) -> None:
        """All of it, or (raising Refused) nothing."""
        if not transaction:
            return
        at = (transaction.family, transaction.table)
        after = replay(self.tables.get(at), transaction)
        self.transactions.append(transaction)
        if after is None:
            del self.tables[at]
        else:
            self.tables[at] = after


def replay(table: Table | None, transaction: do.Transaction) -> Table | None:
    """The table after the transaction. Raises Refused where the kernel would."""
    for command in transaction.commands:
        if isinstance(command, do.AddTable):
            table = table or Table(family=transaction.family, name=transaction.table)
        elif table is None:
            raise Refused("no such table", to=transaction.table)
        elif isinstance(command, do.DeleteTable):
            table = None
        else:
            table = _after(table, command)
    return table


def _after(table: Table, command: do.Command) -> Table:
    match command:
        case do.AddChain() | do.FlushChain() | do.DeleteChain() | do.AddRule():
            return replace(table, chains=_chains(table, command))
        case do.AddSet() | do.DeleteSet() | do.AddElements() | do.DeleteElements():
            return replace(table, sets=_sets(table, command))
        case do.AddMap() | do.DeleteMap() | do.AddEntries() | do.DeleteEntries():
            return replace(table, maps=_maps(table, command))
        case _:
            raise AssertionError(command)


def _chains(table: Table, command: do.AddChain | do.FlushChain | do.DeleteChain | do.AddRule) -> dict[str, Chain]:
    chains = dict(table.chains)
    match command:
        case do.AddChain(name, hook):
            chains[name] = replace(chains.get(name, Chain()), hook=hook)
        case do.FlushChain(name):
            chains[name] = replace(_held(chains, name), rules=())
        case do.DeleteChain(name):
            _must(not _held(chains, name).rules, "chain is not empty", name)
            _must(name not in _chains_referred_to(table), "chain is referred to", name)
            del chains[name]
        case do.AddRule(name, rule):
            for statement in rule.statements:
                for kind, target in _references(statement):
                    _held(chains if kind == "chain" else {**table.sets, **table.maps}, target)
            chains[name] = replace(_held(chains, name), rules=(*chains[name].rules, rule))
    return chains


def _sets(table: Table, command: do.AddSet | do.DeleteSet | do.AddElements | do.DeleteElements) -> dict[str, Set]:
    sets = dict(table.sets)
    match command:
        case do.AddSet(name, types, interval):
            _must(name not in sets and name not in table.maps, "name is taken", name)
            sets[name] = Set(types=types, interval=interval)
        case do.DeleteSet(name):
            _must(name not in _sets_referred_to(table), "set is referred to", name)
            _held(sets, name)
            del sets[name]
        case do.AddElements(name, elements):
            _must(not _held(sets, name).elements & set(elements), "element is there already", name)
            sets[name] = replace(sets[name], elements=sets[name].elements | set(elements))
        case do.DeleteElements(name, elements):
            _must(_held(sets, name).elements >= set(elements), "no such element", name)
            sets[name] = replace(sets[name], elements=sets[name].elements - set(elements))
    return sets


def _maps(table: Table, command: do.AddMap | do.DeleteMap | do.AddEntries | do.DeleteEntries) -> dict[str, VerdictMap]:
    maps = dict(table.maps)
    match command:
        case do.AddMap(name, types):
            _must(name not in maps and name not in table.sets, "name is taken", name)
            maps[name] = VerdictMap(types=types)
        case do.DeleteMap(name):
            _must(name not in _sets_referred_to(table), "map is referred to", name)
            _held(maps, name)
            del maps[name]
        case do.AddEntries(name, entries):
            held = _held(maps, name).elements
            for key, verdict in entries:
                _must(key not in held, "entry is there already", name)
                _must(not verdict.target or verdict.target in table.chains, "no such chain", verdict.target)
            maps[name] = replace(maps[name], elements={**held, **dict(entries)})
        case do.DeleteEntries(name, entries):
            left = dict(_held(maps, name).elements)
            for key, verdict in entries:
                _must(left.pop(key, None) == verdict, "no such entry", name)
            maps[name] = replace(maps[name], elements=left)
    return maps


def _references(statement: Statement) -> Iterator[tuple[str, str]]:
    match statement:
        case Verdict(_, target) if target:
            yield "chain", target
        case Match(right=SetRef(name)) | Lookup(data=SetRef(name)):
            yield "set", name
        case Lookup(data=frozenset() as entries):
            yield from (("chain", verdict.target) for _, verdict in entries if verdict.target)
        case _:
            pass


def _chains_referred_to(table: Table) -> set[str]:
    return {name for kind, name in _rules_references(table) if kind == "chain"} | {
        verdict.target for each in table.maps.values() for verdict in each.elements.values()
    }


def _sets_referred_to(table: Table) -> set[str]:
    return {name for kind, name in _rules_references(table) if kind == "set"}


def _rules_references(table: Table) -> Iterator[tuple[str, str]]:
    for chain in table.chains.values():
        for rule in chain.rules:
            for statement in rule.statements:
                yield from _references(statement)


def _held(things: Mapping[str, T], name: str) -> T:
    _must(name in things, "no such thing", name)
    return things[name]


def _must(holds: bool, otherwise: str, name: str) -> None:  # noqa: FBT001
    if not holds:
        raise Refused(otherwise, to=name)
