"""A block: a slice of a pool, who it belongs to, and which of its addresses are taken. Pure.

The values are Calico's own, so that both can share a cluster. An address is an ordinal: its offset in the block. Free
ordinals queue first in, first out, so that a released address rests as long as possible. Taken ones point into
`attributes`, which equal holders share. Every written block has a higher sequence number than the one before.

With a cool-down a released address stays taken, by nobody (`released_at` tells since when), until `collected`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import NewType

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid
from groundplane.network.calc.model import IPAddress, IPNetwork

HandleID = NewType("HandleID", str)
"""What addresses are released by: `<network>.<container id>` of a pod, or a tunnel's name."""

Affinity = NewType("Affinity", str)
"""`host:<node>` or `virtual:<owner>`."""

WINDOWS_HANDLE = HandleID("windows-reserved-ipam-handle")
"""Holds addresses that Windows hosts cannot use; a block with only these is empty."""


def host_affinity(host: str) -> Affinity:
    """Name a host as the owner of a block."""
    return Affinity(f"host:{host}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """Who holds an address. `handle` is None for one that cools down, or was taken without."""

    handle: HandleID | None = None
    secondary: Mapping[str, str] = field(default_factory=dict)
    alternate: Mapping[str, str] = field(default_factory=dict)
    released_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """`allocations` has an entry per ordinal: None if free, else an index into `attributes`."""

    cidr: IPNetwork
    affinity: Affinity | None
    allocations: tuple[int | None, ...]
    unallocated: tuple[int, ...]
    attributes: tuple[Attribute, ...] = ()
    sequence: int = 0
    sequences: Mapping[int, int] = field(default_factory=dict)
    claimed_at: str = ""
    deleted: bool = False

    @property
    def free(self) -> int:
        """How many addresses can be assigned."""
        return len(self.unallocated)

    @property
    def empty(self) -> bool:
        """Whether nobody holds an address here; one that cools down, or Windows' own, does not count."""
        return all(
            index is None or self.attributes[index].released_at or self.attributes[index].handle == WINDOWS_HANDLE
            for index in self.allocations
        )

    def owned_by(self, host: str) -> bool:
        """Tell whether the block is a host's."""
        return self.affinity == host_affinity(host)

    def ordinal(self, address: IPAddress) -> int:
        """Give the offset of an address that lies in the block."""
        return int(address) - int(self.cidr.network_address)

    def address(self, ordinal: int) -> IPAddress:
        """Give the address at an offset."""
        return self.cidr.network_address + ordinal

    def holder(self, address: IPAddress) -> Attribute | None:
        """Tell who holds an address; None if it is free."""
        index = self.allocations[self.ordinal(address)]
        return None if index is None else self.attributes[index]

    def held(self, handle: HandleID) -> tuple[IPAddress, ...]:
        """List the addresses that a handle holds, ascending."""
        mine = {n for n, attribute in enumerate(self.attributes) if attribute.handle == handle}
        return tuple(self.address(n) for n, index in enumerate(self.allocations) if index in mine)

    def take(
        self, count: int, attribute: Attribute, *, reserved: Collection[IPNetwork] = ()
    ) -> tuple["Block", tuple[IPAddress, ...]]:
        """Assign up to `count` addresses from the head of the queue; reserved ones keep their place in it."""
        chosen: list[int] = []
        for n in self.unallocated:
            if len(chosen) == count:
                break
            if not any(self.address(n) in net for net in reserved):
                chosen.append(n)
        if not chosen:
            return self, ()
        return self._assigned(chosen, attribute), tuple(self.address(n) for n in chosen)

    def take_exactly(self, address: IPAddress, attribute: Attribute) -> "Block | None":
        """Assign one address; None if it is taken."""
        n = self.ordinal(address)
        return None if self.allocations[n] is not None else self._assigned([n], attribute)

    def _assigned(self, ordinals: list[int], attribute: Attribute) -> "Block":
        attributes = self.attributes
        if attribute not in attributes:
            attributes = (*attributes, attribute)
        index = attributes.index(attribute)
        taken = set(ordinals)
        return replace(
            self,
            attributes=attributes,
            allocations=tuple(index if n in taken else old for n, old in enumerate(self.allocations)),
            unallocated=tuple(n for n in self.unallocated if n not in taken),
            sequences={**self.sequences, **dict.fromkeys(ordinals, self.sequence)},
            sequence=self.sequence + 1,
        )

    def give_back(self, addresses: Iterable[IPAddress], *, now: datetime, cooldown: timedelta) -> "Block":
        """Release addresses: to the tail of the queue in ascending order, at once or (see `collected`) when cooled."""
        ordinals = sorted({self.ordinal(address) for address in addresses})
        ordinals = [n for n in ordinals if self.allocations[n] is not None]
        if not ordinals:
            return self
        if cooldown <= timedelta(0):
            return self._freed(ordinals)
        cooling = Attribute(released_at=_timestamp(now))
        attributes = (*self.attributes, cooling)
        taken = set(ordinals)
        index = len(self.attributes)
        allocations = tuple(index if n in taken else old for n, old in enumerate(self.allocations))
        return _compacted(replace(self, attributes=attributes, allocations=allocations, sequence=self.sequence + 1))

    def collected(self, *, now: datetime, cooldown: timedelta) -> "Block":
        """Free what has cooled down."""
        cooled = {
            n
            for n, attribute in enumerate(self.attributes)
            if attribute.released_at and _instant(attribute.released_at, now) + cooldown <= now
        }
        ordinals = [n for n, index in enumerate(self.allocations) if index in cooled]
        return self._freed(ordinals) if ordinals else self

    def _freed(self, ordinals: list[int]) -> "Block":
        freed = set(ordinals)
        changed = replace(
            self,
            allocations=tuple(None if n in freed else index for n, index in enumerate(self.allocations)),
            unallocated=(*self.unallocated, *ordinals),
            sequences={n: number for n, number in self.sequences.items() if n not in freed},
            sequence=self.sequence + 1,
        )
        return _compacted(changed)

    def owned(self, affinity: Affinity | None, *, now: datetime) -> "Block":
        """Change hands."""
        claimed_at = _timestamp(now) if affinity is not None else ""
        return replace(self, affinity=affinity, claimed_at=claimed_at, sequence=self.sequence + 1)

    def touched(self) -> "Block":
        """Write it anew without a change, so that a write based on the old one fails."""
        return replace(self, sequence=self.sequence + 1)


def _compacted(block: Block) -> Block:
    """Drop attributes that nobody points to, and number the others anew."""
    used = sorted({index for index in block.allocations if index is not None})
    if len(used) == len(block.attributes):
        return block
    new = {old: n for n, old in enumerate(used)}
    return replace(
        block,
        attributes=tuple(block.attributes[old] for old in used),
        allocations=tuple(None if index is None else new[index] for index in block.allocations),
    )


def new_block(cidr: IPNetwork, affinity: Affinity | None, *, now: datetime) -> Block:
    """Make an empty block. Its sequence numbers start at the time, so that a later block's are higher."""
    size = cidr.num_addresses
    return Block(
        cidr=cidr,
        affinity=affinity,
        allocations=(None,) * size,
        unallocated=tuple(range(size)),
        sequence=int(now.timestamp() * 1_000_000_000),
        claimed_at=_timestamp(now) if affinity is not None else "",
    )


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _instant(text: str, now: datetime) -> datetime:
    """Read a time that another program may have written; one that makes no sense counts as now."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return now
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def claimed_before(block: Block, limit: datetime, *, now: datetime) -> bool:
    """Tell whether the block has been its owner's since before `limit`; never known for one without a time."""
    return bool(block.claimed_at) and _instant(block.claimed_at, now) < limit


def encode_block(block: Block) -> bytes:
    """Write the value that is stored."""
    value: dict[str, object] = {"cidr": str(block.cidr), "affinity": block.affinity}
    if block.claimed_at:
        value["affinity_claim_time"] = block.claimed_at
    value |= {
        "allocations": block.allocations,
        "unallocated": block.unallocated,
        "attributes": [_write_attribute(each) for each in block.attributes],
        "sequenceNumber": block.sequence,
        "sequenceNumberForAllocation": {str(n): number for n, number in block.sequences.items()},
        "deleted": block.deleted,
    }
    return msgspec.json.encode(value)


def _write_attribute(attribute: Attribute) -> dict[str, object]:
    value: dict[str, object] = {"handle_id": attribute.handle, "secondary": dict(attribute.secondary) or None}
    if attribute.alternate:
        value["alternateOwnerAttrs"] = dict(attribute.alternate)
    if attribute.released_at:
        value["releasedAt"] = attribute.released_at
    return value


class _AttributeWire(msgspec.Struct):
    handle_id: str | None = None
    secondary: dict[str, str] | None = None
    alternateOwnerAttrs: dict[str, str] | None = None  # noqa: N815 - Calico's spelling
    releasedAt: str | None = None  # noqa: N815


class _BlockWire(msgspec.Struct):
    cidr: str
    allocations: list[int | None]
    unallocated: list[int]
    attributes: list[_AttributeWire] = []
    affinity: str | None = None
    affinity_claim_time: str | None = None
    sequenceNumber: int = 0  # noqa: N815
    sequenceNumberForAllocation: dict[str, int] | None = None  # noqa: N815
    deleted: bool = False
    hostAffinity: str | None = None  # noqa: N815


_DECODER = msgspec.json.Decoder(_BlockWire)


def decode_block(value: bytes, *, at: str) -> Block:
    """Read a stored block; `at` names its key. Raises `Invalid` for one that contradicts itself."""
    try:
        wire = _DECODER.decode(value)
        cidr: IPv4Network | IPv6Network = ip_network(wire.cidr)
        sequences = {int(n): number for n, number in (wire.sequenceNumberForAllocation or {}).items()}
    except (*UNREADABLE, ValueError) as failed:
        raise Invalid(f"the stored block cannot be read: {failed}", to=at) from failed
    free = {n for n, index in enumerate(wire.allocations) if index is None}
    indexes = {index for index in wire.allocations if index is not None}
    consistent = (
        len(wire.allocations) == cidr.num_addresses
        and len(wire.unallocated) == len(free)
        and set(wire.unallocated) == free
        and all(0 <= index < len(wire.attributes) for index in indexes)
    )
    if not consistent:
        raise Invalid("the stored block contradicts itself", to=at, hint="its free and taken addresses do not add up")
    affinity = wire.affinity or (f"host:{wire.hostAffinity}" if wire.hostAffinity else None)
    return Block(
        cidr=cidr,
        affinity=None if affinity is None else Affinity(affinity),
        allocations=tuple(wire.allocations),
        unallocated=tuple(wire.unallocated),
        attributes=tuple(_read_attribute(each) for each in wire.attributes),
        sequence=wire.sequenceNumber,
        sequences=sequences,
        claimed_at=wire.affinity_claim_time or "",
        deleted=wire.deleted,
    )


def _read_attribute(wire: _AttributeWire) -> Attribute:
    return Attribute(
        handle=None if wire.handle_id is None else HandleID(wire.handle_id),
        secondary=wire.secondary or {},
        alternate=wire.alternateOwnerAttrs or {},
        released_at=wire.releasedAt or "",
    )
