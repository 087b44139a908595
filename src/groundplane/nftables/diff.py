"""From the table that there is to the table that is wanted: one transaction, as values.

The kernel takes a transaction whole or not at all, and no packet sees a part of it: it is judged by the rules before,
or by the rules after. Within it the order below keeps every step legal (nothing may refer to what does not exist, and
nothing that is referred to may be deleted):

    add chains, sets, maps -> flush changed chains -> take elements out -> put elements in -> fill chains -> delete

A changed set costs its changed elements; a changed chain is filled anew. What nftables cannot change in place (a base
chain's hook, a set's type) makes the table anew, in one transaction still.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from groundplane.nftables.model import Chain, Element, Hook, Set, Table, Verdict
from groundplane.nftables.transaction import (
    AddChain,
    AddElements,
    AddEntries,
    AddMap,
    AddRule,
    AddSet,
    AddTable,
    Command,
    DeleteChain,
    DeleteElements,
    DeleteEntries,
    DeleteMap,
    DeleteSet,
    DeleteTable,
    FlushChain,
    Transaction,
)


def diff(have: Table | None, want: Table | None) -> Transaction:
    """The transaction that makes `have` into `want`, both tables of the same name; None is no table."""
    named = want or have
    if named is None:
        return Transaction(family="", table="")
    if want is None:
        commands: list[Command] = [DeleteTable()]
    elif have is None:
        commands = [AddTable(), *_changes(Table(family=want.family, name=want.name), want)]
    elif _changeable(have, want):
        commands = _changes(have, want)
    else:
        # A crash between cannot happen: this, too, is one transaction.
        commands = [DeleteTable(), AddTable(), *_changes(Table(family=want.family, name=want.name), want)]
    return Transaction(family=named.family, table=named.name, commands=tuple(commands))


def _changeable(have: Table, want: Table) -> bool:
    """Whether nftables can get there without making the table anew."""
    return (
        all(_same_hook(have.chains[name].hook, want.chains[name].hook) for name in have.chains.keys() & want.chains)
        and all(_same_kind(have.sets[name], want.sets[name]) for name in have.sets.keys() & want.sets)
        and all(have.maps[name].types == want.maps[name].types for name in have.maps.keys() & want.maps)
        and not have.sets.keys() & want.maps.keys()
        and not have.maps.keys() & want.sets.keys()
    )


def _same_hook(have: Hook | None, want: Hook | None) -> bool:
    if have is None or want is None:
        return have is want
    return replace(have, accept=want.accept) == want


def _same_kind(have: Set, want: Set) -> bool:
    return have.types == want.types and have.interval == want.interval


def _changes(have: Table, want: Table) -> list[Command]:
    refill = [name for name, chain in want.chains.items() if chain.rules != _chain(have, name).rules]
    gone = [name for name in have.chains if name not in want.chains]
    return [
        *_additions(have, want),
        *(FlushChain(name) for name in (*refill, *gone) if _chain(have, name).rules),
        *_removed(have, want),
        *_added(have, want),
        *(AddRule(name, rule) for name in refill for rule in want.chains[name].rules),
        *(DeleteChain(name) for name in gone),
        *(DeleteSet(name) for name in have.sets if name not in want.sets),
        *(DeleteMap(name) for name in have.maps if name not in want.maps),
    ]


def _additions(have: Table, want: Table) -> Iterable[Command]:
    for name, chain in want.chains.items():
        if name not in have.chains or have.chains[name].hook != chain.hook:
            yield AddChain(name, chain.hook)
    for name, made in want.sets.items():
        if name not in have.sets:
            yield AddSet(name, made.types, made.interval)
    for name, mapped in want.maps.items():
        if name not in have.maps:
            yield AddMap(name, mapped.types)


def _removed(have: Table, want: Table) -> Iterable[Command]:
    """A map that goes gives up its entries first: they may be all that still refers to a chain which goes with it."""
    for name, old in have.maps.items():
        kept = want.maps[name].elements if name in want.maps else {}
        if entries := _less(old.elements, kept):
            yield DeleteEntries(name, entries)
    for name, before in have.sets.items():
        if name in want.sets and (elements := before.elements - want.sets[name].elements):
            yield DeleteElements(name, _ordered(elements))


def _added(have: Table, want: Table) -> Iterable[Command]:
    for name, new in want.maps.items():
        if entries := _less(new.elements, have.maps[name].elements if name in have.maps else {}):
            yield AddEntries(name, entries)
    for name, after in want.sets.items():
        if elements := after.elements - (have.sets[name].elements if name in have.sets else frozenset()):
            yield AddElements(name, _ordered(elements))


def _less(some: Mapping[Element, Verdict], others: Mapping[Element, Verdict]) -> tuple[tuple[Element, Verdict], ...]:
    return tuple((key, verdict) for key, verdict in some.items() if others.get(key) != verdict)


def _ordered(elements: Iterable[Element]) -> tuple[Element, ...]:
    """The same elements make the same text, whatever the hash seed."""
    return tuple(sorted(elements, key=str))


def _chain(table: Table, name: str) -> Chain:
    return table.chains.get(name, _EMPTY)


_EMPTY = Chain()
