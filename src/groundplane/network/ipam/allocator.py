"""Gives out addresses and takes them back, over a `Store` that hosts share.

Every write is a compare-and-swap of all that changes together: the block, the handle's count, and for a new block the
affinity. On a conflict the state is read again and decided anew, a bounded number of times; since one writer's conflict
is another's success, all together always make progress. A caller that dies leaves no write half done.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Interface, IPv6Interface, ip_interface
from typing import TypeVar

from groundplane.errors import Exhausted, Exists, GroundplaneError, Invalid, NotFound, Unavailable, WrongState
from groundplane.network.calc.model import IPAddress, IPNetwork
from groundplane.network.ipam import keys
from groundplane.network.ipam.affinity import Claimed, Refused, Stored, claim, give_up, reclaim
from groundplane.network.ipam.block import (
    Attribute,
    Block,
    HandleID,
    claimed_before,
    decode_block,
    encode_block,
    host_affinity,
    new_block,
)
from groundplane.network.ipam.change import Change, Record
from groundplane.network.ipam.keys import AffinityState, Config, Handle
from groundplane.network.ipam.plan import block_of, candidates, pool_of
from groundplane.network.ipam.store import Store
from groundplane.network.resources.pool import IPPool, Use
from groundplane.observe.log import logger
from groundplane.system.clock import Clock, SystemClock

_LOG = logger("ipam")
_TRIES = 100
_SETTLED = timedelta(minutes=1)
"""How old an empty block must be before another host may take it: its owner may be about to use it."""

Interface = IPv4Interface | IPv6Interface
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """An address to give back. Where a handle or a sequence number is given, it must still be the holder's."""

    address: IPAddress
    handle: HandleID | None = None
    sequence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    host: str
    handle: HandleID
    attribute: Attribute
    config: Config
    reserved: Collection[IPNetwork] = ()


@dataclass(slots=True)
class _View:
    """A block and a handle at one moment, and what to write back."""

    cidr: IPNetwork
    block: Block | None
    block_revision: int
    handle_id: HandleID | None
    handle: Handle
    handle_revision: int
    affinity: AffinityState | None = None
    affinity_revision: int = 0
    changes: dict[str, Change] = field(default_factory=dict)

    def stored(self) -> Stored:
        return Stored(self.cidr, self.affinity, self.affinity_revision, self.block, self.block_revision)

    def put_block(self, block: Block) -> None:
        """Write the block; one that is nobody's is deleted with its last address."""
        key = keys.block_key(self.cidr)
        gone = block.affinity is None and block.empty and not any(each.released_at for each in block.attributes)
        self.changes[key] = Change(key, self.block_revision, None if gone else encode_block(block))

    def count(self, by: int) -> None:
        if self.handle_id is None:
            return
        handle, key = self.handle.changed(self.cidr, by), keys.handle_key(self.handle_id)
        if handle.blocks:
            self.changes[key] = Change(key, self.handle_revision, keys.encode_handle(handle))
        elif self.handle_revision:
            self.changes[key] = Change(key, self.handle_revision, None)


class Allocator:
    """The one way to addresses: CNI, tunnels and the command line all come here."""

    def __init__(self, store: Store, *, clock: Clock | None = None) -> None:
        self._store = store
        self._clock = clock or SystemClock()

    async def auto_assign(
        self,
        *,
        handle: HandleID,
        host: str,
        pools: Sequence[IPPool],
        count: int = 1,
        attributes: Mapping[str, str] | None = None,
        reserved: Collection[IPNetwork] = (),
    ) -> tuple[Interface, ...]:
        """Assign `count` addresses of pools (all of one family; see `choose_pools`), each with its block's mask.

        The host's own blocks come first, then new ones, then, unless affinity is strict, other hosts'.
        Raises Exhausted, having kept nothing, if fewer are to be had.
        """
        if not pools or len({pool.cidr.version for pool in pools}) != 1:
            raise Invalid("addresses come from pools of one family", to=handle, hint="ask once per family")
        request = _Request(
            host=host,
            handle=handle,
            attribute=Attribute(handle=handle, secondary=attributes or {}),
            config=await self._config(),
            reserved=reserved,
        )
        got: list[Interface] = []
        try:
            for source in (self._from_own, self._from_new, self._from_others):
                await source(request, pools, count, got)
                if len(got) >= count:
                    return tuple(got)
        except GroundplaneError:
            await self._return(got, handle)
            raise
        await self._return(got, handle)
        ranges = ", ".join(str(pool.cidr) for pool in pools)
        raise Exhausted(
            f"{len(got)} free of {count} wanted", to=ranges, hint="add an IPPool, or remove pods that are not needed"
        )

    async def _return(self, got: Sequence[Interface], handle: HandleID) -> None:
        if got:
            await self.release_ips([Release(address=each.ip, handle=handle) for each in got])

    async def _from_own(self, request: _Request, pools: Sequence[IPPool], count: int, got: list[Interface]) -> None:
        for cidr, _ in await self._affinities(request.host, pools[0].cidr.version):
            if len(got) < count and _in_pools(cidr, pools):
                got += await self._claim_and_take(cidr, count - len(got), request)

    async def _from_new(self, request: _Request, pools: Sequence[IPPool], count: int, got: list[Interface]) -> None:
        if not request.config.auto_allocate_blocks:
            return
        version = pools[0].cidr.version
        owned = len(await self._affinities(request.host, version))
        limit = request.config.max_blocks or keys.DEFAULT_MAX_BLOCKS
        blocks = await self.blocks(version)
        existing = {block.cidr for block in blocks}
        for pool in pools:
            # Blocks of another size are left from before the pool was made anew: their addresses may be in use.
            odd = [cidr for cidr in existing if cidr.prefixlen != pool.block_size and cidr.overlaps(pool.cidr)]
            for cidr in candidates(pool, request.host):
                if len(got) >= count or owned >= limit:
                    return
                if cidr in existing or any(cidr.overlaps(each) for each in odd):
                    continue
                taken = await self._claim_and_take(cidr, count - len(got), request)
                owned += bool(taken)
                got += taken
        for block in blocks:
            if len(got) >= count or owned >= limit:
                return
            if self._reclaimable(block, request.host) and _in_pools(block.cidr, pools):
                taken = await self._reclaim_and_take(block.cidr, count - len(got), request)
                owned += bool(taken)
                got += taken

    async def _from_others(self, request: _Request, pools: Sequence[IPPool], count: int, got: list[Interface]) -> None:
        if request.config.strict_affinity:
            return
        existing = {block.cidr for block in await self.blocks(pools[0].cidr.version) if block.free}
        for pool in pools:
            for cidr in candidates(pool, request.host):
                if len(got) >= count:
                    return
                if cidr in existing:
                    got += await self._borrow(cidr, count - len(got), request)

    async def _claim_and_take(self, cidr: IPNetwork, count: int, request: _Request) -> list[Interface]:
        """Take from a block that is the host's, or will be by the same write; nothing if it is another's."""
        return await self._repeat(cidr, lambda view: self._claimed(view, count, request), request.handle, request.host)

    def _claimed(self, view: _View, count: int, request: _Request) -> list[Interface]:
        found = claim(view.stored(), request.host, now=self._clock.now())
        view.changes = {change.key: change for change in found.changes}
        if isinstance(found, Refused):
            return []
        return self._take(view, found, count, request)

    def _take(self, view: _View, found: Claimed, count: int, request: _Request) -> list[Interface]:
        block = found.block.collected(now=self._clock.now(), cooldown=request.config.cooldown)
        block, addresses = block.take(count, request.attribute, reserved=request.reserved)
        if addresses:
            view.put_block(block)
            view.count(len(addresses))
        return _interfaces(addresses, view.cidr)

    def _reclaimable(self, block: Block, host: str) -> bool:
        now = self._clock.now()
        return (
            block.empty
            and block.affinity is not None
            and block.affinity.startswith("host:")
            and not block.owned_by(host)
            and claimed_before(block, now - _SETTLED, now=now)
        )

    async def _reclaim_and_take(self, cidr: IPNetwork, count: int, request: _Request) -> list[Interface]:
        for _ in range(_TRIES):
            view = await self._view(cidr, request.handle, request.host)
            if view.block is None or view.block.affinity is None or not self._reclaimable(view.block, request.host):
                return []
            owner = view.block.affinity.removeprefix("host:")
            [record] = await self._store.read(keys.affinity_key(owner, cidr))
            found = reclaim(
                view.stored(),
                request.host,
                owner=owner,
                owner_revision=record.revision if record else 0,
                now=self._clock.now(),
            )
            view.changes = {change.key: change for change in found.changes}
            got = self._take(view, found, count, request)
            if await self._store.commit(tuple(view.changes.values())):
                return got
        raise _contended(cidr)

    async def _borrow(self, cidr: IPNetwork, count: int, request: _Request) -> list[Interface]:
        def decide(view: _View) -> list[Interface]:
            if view.block is None:
                return []
            return self._take(view, Claimed(view.block, ()), count, request)

        return await self._repeat(cidr, decide, request.handle, request.host)

    async def assign_ip(
        self,
        address: IPAddress,
        *,
        handle: HandleID,
        host: str,
        pools: Sequence[IPPool],
        attributes: Mapping[str, str] | None = None,
        use: Use = Use.WORKLOAD,
    ) -> Interface:
        """Assign this very address.

        Raises Exists if it is taken, WrongState if affinity is strict and its block is another host's.
        """
        cidr = block_of(address, pool_of(address, pools, use=use))
        config = await self._config()
        attribute = Attribute(handle=handle, secondary=attributes or {})
        if any(block.cidr != cidr and block.cidr.overlaps(cidr) for block in await self.blocks(address.version)):
            raise WrongState("lies in a block of another size", to=address, hint="wait until that block is released")

        def decide(view: _View) -> Interface:
            now = self._clock.now()
            found = claim(view.stored(), host, now=now)
            if isinstance(found, Claimed):
                view.changes = {change.key: change for change in found.changes}
                block = found.block
            elif config.strict_affinity:
                raise WrongState("is in another host's block", to=address, hint="choose an address of this host's")
            else:
                assert view.block is not None
                block = view.block
            changed = block.collected(now=now, cooldown=config.cooldown).take_exactly(address, attribute)
            if changed is None:
                holder = block.holder(address)
                who = holder.handle if holder else None
                raise Exists(f"is already assigned to {who or 'nobody that is known'}", to=address)
            view.put_block(changed)
            view.count(1)
            return ip_interface((address, cidr.prefixlen))

        return await self._repeat(cidr, decide, handle, host)

    async def release_by_handle(self, handle: HandleID) -> tuple[IPAddress, ...]:
        """Give back all that a handle holds. Raises NotFound if there is no such handle."""
        config = await self._config()
        [record] = await self._store.read(keys.handle_key(handle))
        if record is None:
            raise NotFound("holds no address", to=handle)

        def decide(view: _View) -> tuple[IPAddress, ...]:
            held = () if view.block is None else view.block.held(handle)
            if view.block is not None and held:
                view.put_block(view.block.give_back(held, now=self._clock.now(), cooldown=config.cooldown))
            view.count(-view.handle.blocks.get(view.cidr, 0))
            return held

        released: list[IPAddress] = []
        for cidr in keys.decode_handle(record.value, at=record.key).blocks:
            released += await self._repeat(cidr, decide, handle)
        return tuple(released)

    async def release_ips(self, releases: Sequence[Release]) -> tuple[IPAddress, ...]:
        """Give back single addresses; returns those that nobody held. Raises WrongState if a guard fails."""
        config = await self._config()
        unknown: list[IPAddress] = []
        left = {release.address: release for release in releases}
        for version in {address.version for address in left}:
            for block in await self.blocks(version):
                inside = {address: each for address, each in left.items() if address in block.cidr}
                for handle in {holder.handle for address in inside if (holder := block.holder(address))}:
                    mine = [each for address, each in inside.items() if _held_by(block, address, handle)]
                    if await self._release(block.cidr, handle, mine, config):
                        left = {address: each for address, each in left.items() if each not in mine}
        unknown += left
        return tuple(sorted(unknown, key=int))

    async def _release(
        self, cidr: IPNetwork, handle: HandleID | None, releases: Sequence[Release], config: Config
    ) -> bool:
        def decide(view: _View) -> bool:
            if view.block is None:
                return False
            for release in releases:
                _guard(view.block, release)
            held = [each.address for each in releases if _held_by(view.block, each.address, handle)]
            if not held:
                return False
            view.put_block(view.block.give_back(held, now=self._clock.now(), cooldown=config.cooldown))
            view.count(-len(held))
            return True

        return await self._repeat(cidr, decide, handle)

    async def addresses_of(self, handle: HandleID) -> tuple[Interface, ...]:
        """List what a handle holds; nothing if there is no such handle."""
        [record] = await self._store.read(keys.handle_key(handle))
        if record is None:
            return ()
        found: list[Interface] = []
        for cidr in sorted(keys.decode_handle(record.value, at=record.key).blocks, key=int_of):
            view = await self._view(cidr, handle)
            found += _interfaces(() if view.block is None else view.block.held(handle), cidr)
        return tuple(found)

    async def tunnel_address(self, *, host: str, pools: Sequence[IPPool]) -> Interface:
        """Find the address of the host's IP-in-IP tunnel, or assign one; an address outside the pools is given back."""
        handle = tunnel_handle(host)
        for held in await self.addresses_of(handle):
            if any(pool.cidr.version == held.version and held.ip in pool.cidr for pool in pools):
                return held
            await self.release_ips([Release(address=held.ip, handle=handle)])
        attributes = {"node": host, "type": "ipipTunnelAddress"}
        [found] = await self.auto_assign(handle=handle, host=host, pools=pools, attributes=attributes)
        return found

    async def blocks_of(self, host: str, *, version: int = 4) -> tuple[IPNetwork, ...]:
        """List the blocks that are a host's, confirmed."""
        found = await self._affinities(host, version)
        return tuple(cidr for cidr, state in found if state is AffinityState.CONFIRMED)

    async def blocks(self, version: int = 4) -> tuple[Block, ...]:
        """List all blocks of a family. One that cannot be read is logged and left out."""
        found = []
        for record in await self._store.list(keys.blocks_prefix(version)):
            try:
                block = decode_block(record.value, at=record.key)
            except Invalid as failed:
                _LOG.warning("ipam.unreadable", key=record.key, error=str(failed))
                cidr = keys.parse_block_key(record.key)
                if cidr is None:
                    continue
                block = _untouchable(cidr)
            found.append(block)
        return tuple(found)

    async def give_up_block(self, host: str, cidr: IPNetwork, *, only_empty: bool = True) -> bool:
        """Let a host's block go; False if it is in use and `only_empty`, else one in use is left without an owner."""

        def decide(view: _View) -> bool:
            if only_empty and view.block is not None and view.block.owned_by(host) and not view.block.empty:
                return False
            changes = give_up(view.stored(), host, now=self._clock.now())
            view.changes = {change.key: change for change in changes}
            return True

        return await self._repeat(cidr, decide, None, host)

    async def release_host(self, host: str) -> None:
        """Give up all that a host had, as when its node is deleted: its tunnel's address and its blocks."""
        try:
            await self.release_by_handle(tunnel_handle(host))
        except NotFound:
            pass  # a host without encapsulated pools never had one
        for version in (4, 6):
            for cidr, _ in await self._affinities(host, version):
                await self.give_up_block(host, cidr, only_empty=False)

    async def _config(self) -> Config:
        [record] = await self._store.read(keys.CONFIG_KEY)
        return keys.decode_config(record.value if record else None)

    async def _affinities(self, host: str, version: int) -> list[tuple[IPNetwork, AffinityState]]:
        found = []
        for record in await self._store.list(keys.affinities_prefix(host, version)):
            parsed = keys.parse_affinity_key(record.key)
            if parsed is not None:
                found.append((parsed[1], keys.decode_affinity(record.value, at=record.key)))
        return sorted(found, key=lambda each: int_of(each[0]))

    async def _view(self, cidr: IPNetwork, handle: HandleID | None, host: str = "") -> _View:
        wanted = [keys.block_key(cidr)]
        if handle is not None:
            wanted.append(keys.handle_key(handle))
        if host:
            wanted.append(keys.affinity_key(host, cidr))
        found = dict(zip(wanted, await self._store.read(*wanted), strict=True))
        block = found[keys.block_key(cidr)]
        counted = found[keys.handle_key(handle)] if handle is not None else None
        affinity = found[keys.affinity_key(host, cidr)] if host else None
        return _View(
            cidr=cidr,
            block=decode_block(block.value, at=block.key) if block else None,
            block_revision=_revision(block),
            handle_id=handle,
            handle=keys.decode_handle(counted.value, at=counted.key) if counted else Handle(),
            handle_revision=_revision(counted),
            affinity=keys.decode_affinity(affinity.value, at=affinity.key) if affinity else None,
            affinity_revision=_revision(affinity),
        )

    async def _repeat(
        self, cidr: IPNetwork, decide: Callable[[_View], T], handle: HandleID | None, host: str = ""
    ) -> T:
        """Read, decide, write; once more if somebody else wrote in between."""
        for _ in range(_TRIES):
            view = await self._view(cidr, handle, host)
            answer = decide(view)
            if not view.changes or await self._store.commit(tuple(view.changes.values())):
                return answer
        raise _contended(cidr)


def tunnel_handle(host: str) -> HandleID:
    """Name the handle of a host's IP-in-IP tunnel address."""
    return HandleID(f"ipip-tunnel-addr-{host}")


def int_of(cidr: IPNetwork) -> int:
    """Order networks of one family."""
    return int(cidr.network_address)


def _revision(record: Record | None) -> int:
    return record.revision if record else 0


def _in_pools(cidr: IPNetwork, pools: Sequence[IPPool]) -> bool:
    return any(cidr.prefixlen == pool.block_size and cidr.network_address in pool.cidr for pool in pools)


def _interfaces(addresses: Sequence[IPAddress], cidr: IPNetwork) -> list[Interface]:
    return [ip_interface((address, cidr.prefixlen)) for address in addresses]


def _held_by(block: Block, address: IPAddress, handle: HandleID | None) -> bool:
    holder = block.holder(address)
    return holder is not None and not holder.released_at and holder.handle == handle


def _guard(block: Block, release: Release) -> None:
    """Refuse to release what has been given to another since."""
    ordinal = block.ordinal(release.address)
    if release.sequence is not None and block.sequences.get(ordinal, 0) != release.sequence:
        raise WrongState("was assigned anew since", to=release.address, hint="read it again before releasing it")
    holder = block.holder(release.address)
    if holder is None or holder.released_at or release.handle is None:
        return
    if holder.handle != release.handle:
        raise WrongState(f"is held by {holder.handle}, not {release.handle}", to=release.address)


def _contended(cidr: IPNetwork) -> GroundplaneError:
    return Unavailable(f"changed under us {_TRIES} times in a row", to=cidr, hint="try again")


def _untouchable(cidr: IPNetwork) -> Block:
    """Stand in for a block that cannot be read: it exists, and has nothing to give."""
    block = new_block(cidr, host_affinity("?"), now=datetime.fromtimestamp(0, UTC))
    held = Attribute(secondary={"note": "unreadable"})
    return block.take(block.free, held)[0]
