"""A transaction on one table, as values: commands in order, all or none of which the kernel takes."""

from dataclasses import dataclass

from groundplane.nftables.model import Element, Hook, Rule, Verdict


@dataclass(frozen=True, slots=True)
class AddTable:
    """No change if it exists."""


@dataclass(frozen=True, slots=True)
class DeleteTable:
    """With all that is in it."""


@dataclass(frozen=True, slots=True)
class AddChain:
    """An empty chain; on a base chain that exists, sets its policy."""

    name: str
    hook: Hook | None


@dataclass(frozen=True, slots=True)
class FlushChain:
    """Take all rules out."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteChain:
    """Which must be empty, and nowhere a target."""

    name: str


@dataclass(frozen=True, slots=True)
class AddRule:
    """At the end of a chain."""

    chain: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class AddSet:
    """Without elements."""

    name: str
    types: tuple[str, ...]
    interval: bool


@dataclass(frozen=True, slots=True)
class AddMap:
    """Without elements."""

    name: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeleteSet:
    """Which nothing may refer to."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteMap:
    """Which nothing may refer to."""

    name: str


@dataclass(frozen=True, slots=True)
class AddElements:
    """To a set."""

    name: str
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class AddEntries:
    """To a map, which has none of these keys."""

    name: str
    entries: tuple[tuple[Element, Verdict], ...]


@dataclass(frozen=True, slots=True)
class DeleteElements:
    """From a set, where they are."""

    name: str
    elements: tuple[Element, ...]


@dataclass(frozen=True, slots=True)
class DeleteEntries:
    """From a map, where they are."""

    name: str
    entries: tuple[tuple[Element, Verdict], ...]


Command = (
    AddTable
    | DeleteTable
    | AddChain
    | FlushChain
    | DeleteChain
    | AddRule
    | AddSet
    | AddMap
    | DeleteSet
    | DeleteMap
    | AddElements
    | AddEntries
    | DeleteElements
    | DeleteEntries
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """Commands on one table, all or none; false if there is nothing to do."""

    family: str
    table: str
    commands: tuple[Command, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.commands)
