"""Claiming and giving up a block: what is stored now -> the writes that must succeed together. Pure.

A host has a block if the affinity key is confirmed and the block names the host. Calico makes its writes one by one,
and so passes through states that are neither here nor there: an affinity pending or pending deletion, a block without
its affinity, an affinity without its block. Our writes are one transaction, so none of ours stays half done; what a
Calico host (or its crash) left half done is completed or undone by the next claim.
"""

from dataclasses import dataclass
from datetime import datetime

from groundplane.network.calc.model import IPNetwork
from groundplane.network.ipam.block import Block, encode_block, host_affinity, new_block
from groundplane.network.ipam.change import Change
from groundplane.network.ipam.keys import AffinityState, affinity_key, block_key, encode_affinity


@dataclass(frozen=True, slots=True)
class Stored:
    """What was read of one block: revisions are 0 for what is not there."""

    cidr: IPNetwork
    affinity: AffinityState | None
    affinity_revision: int
    block: Block | None
    block_revision: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """The block is the host's once `changes` (none, if it already is) are made; `block` is what is stored then."""

    block: Block
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The block is another's, or nobody's; `changes` take our mistaken affinity away, if there is one."""

    changes: tuple[Change, ...]


def claim(stored: Stored, host: str, *, now: datetime) -> Claimed | Refused:
    """Decide how a host gets a block, from whatever state it is in."""
    confirm = Change(
        affinity_key(host, stored.cidr), stored.affinity_revision, encode_affinity(AffinityState.CONFIRMED)
    )
    if stored.block is None:
        block = new_block(stored.cidr, host_affinity(host), now=now)
        return Claimed(block, (confirm, Change(block_key(stored.cidr), 0, encode_block(block))))
    if not stored.block.owned_by(host):
        if stored.affinity is None:
            return Refused(())
        return Refused((Change(confirm.key, stored.affinity_revision, None),))
    if stored.affinity is AffinityState.CONFIRMED:
        return Claimed(stored.block, ())
    # Written anew: whoever was taking the block away, having read it before, must fail.
    block = stored.block.touched()
    return Claimed(block, (confirm, Change(block_key(stored.cidr), stored.block_revision, encode_block(block))))


def give_up(stored: Stored, host: str, *, now: datetime) -> tuple[Change, ...]:
    """Decide how a host lets go of a block: an empty one is deleted, another is left without an owner."""
    changes: list[Change] = []
    if stored.affinity is not None:
        changes.append(Change(affinity_key(host, stored.cidr), stored.affinity_revision, None))
    if stored.block is not None and stored.block.owned_by(host):
        value = None if stored.block.empty else encode_block(stored.block.owned(None, now=now))
        changes.append(Change(block_key(stored.cidr), stored.block_revision, value))
    return tuple(changes)


def reclaim(stored: Stored, host: str, *, owner: str, owner_revision: int, now: datetime) -> Claimed:
    """Decide how a host takes over another's empty block. Any use of it since it was read makes the writes fail."""
    assert stored.block is not None
    block = stored.block.owned(host_affinity(host), now=now)
    changes = [
        Change(affinity_key(host, stored.cidr), stored.affinity_revision, encode_affinity(AffinityState.CONFIRMED)),
        Change(block_key(stored.cidr), stored.block_revision, encode_block(block)),
    ]
    if owner_revision:
        changes.insert(0, Change(affinity_key(owner, stored.cidr), owner_revision, None))
    return Claimed(block, tuple(changes))
