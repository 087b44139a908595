"""Everything the calculation knows, immutable: resources by key, and which host has which block.

An event makes the next state. The store says the same thing to all hosts in the same order, so equal states are
reached by any path: from one snapshot, event by event, or with some told twice.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from groundplane.network.calc.model import IPNetwork
from groundplane.network.resources import Resource, ResourceKey, key_of

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`blocks` holds confirmed affinities only: block -> host."""

    kinds: Mapping[str, Mapping[ResourceKey, Resource]] = field(default_factory=dict)
    blocks: Mapping[IPNetwork, str] = field(default_factory=dict)

    @classmethod
    def of(cls, resources: Iterable[Resource], blocks: Mapping[IPNetwork, str] | None = None) -> "State":
        """Make a state of resources, by their own keys."""
        return cls(blocks=dict(blocks or {})).put((key_of(each), each) for each in resources)

    def put(self, changed: Iterable[tuple[ResourceKey, Resource]]) -> "State":
        """Add or replace resources."""
        kinds: dict[str, dict[ResourceKey, Resource]] = {}
        for key, resource in changed:
            kinds.setdefault(key.kind, dict(self.kinds.get(key.kind, {})))[key] = resource
        return replace(self, kinds={**self.kinds, **kinds})

    def drop(self, keys: Iterable[ResourceKey]) -> "State":
        """Remove resources; those that are not there do not matter."""
        kinds: dict[str, dict[ResourceKey, Resource]] = {}
        for key in keys:
            kinds.setdefault(key.kind, dict(self.kinds.get(key.kind, {}))).pop(key, None)
        return replace(self, kinds={**self.kinds, **kinds})

    def own(self, cidr: IPNetwork, host: str) -> "State":
        """Give a block to a host."""
        return replace(self, blocks={**self.blocks, cidr: host})

    def disown(self, cidr: IPNetwork, host: str) -> "State":
        """Take a block from a host, if it is (still) its owner: another may have been named first."""
        if self.blocks.get(cidr) != host:
            return self
        return replace(self, blocks={block: owner for block, owner in self.blocks.items() if block != cidr})

    def all(self, kind: type[R]) -> tuple[R, ...]:
        """List a kind's resources by key: the order of arrival does not show."""
        found = self.kinds.get(kind.kind, {})
        return tuple(each for _, each in sorted(found.items()) if isinstance(each, kind))
