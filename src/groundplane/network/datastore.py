"""Resources and IPAM's state in etcd, in Calico's own layout: read, write by compare-and-swap, and watch.

What cannot be read is logged and passed over: one damaged value must not stop a host's network. A watch gives typed
events; `watch_all` begins with everything there is, and begins anew by itself where etcd has compacted the past away.
"""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from groundplane.errors import Exists, GroundplaneError, Invalid, NotFound, WrongState
from groundplane.network.calc.model import IPNetwork
from groundplane.network.ipam import keys
from groundplane.network.ipam.keys import AffinityState
from groundplane.network.resources import (
    BUILT_IN_TIERS,
    KINDS,
    Resource,
    ResourceKey,
    built_in_tier,
    decode,
    default_allow_profile,
    encode,
    etcd_key,
    etcd_prefix,
    key_of,
    parse_etcd_key,
)
from groundplane.network.resources.metadata import Meta
from groundplane.network.resources.policy import ALLOW_ALL_PROFILE
from groundplane.observe.log import logger
from groundplane.system.clock import Clock, SystemClock

if TYPE_CHECKING:
    from groundplane.etcd import Client, KeyValue

_LOG = logger("datastore")
_ROOT = b"/calico/"
_TRIES = 20

R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Changed:
    """A resource was written."""

    key: ResourceKey
    resource: Resource


@dataclass(frozen=True, slots=True)
class Removed:
    """A resource is gone, or what is stored of it can no longer be read."""

    key: ResourceKey


@dataclass(frozen=True, slots=True)
class BlockOwned:
    """A block is a host's now, confirmed."""

    cidr: IPNetwork
    host: str


@dataclass(frozen=True, slots=True)
class BlockLost:
    """A block is no longer (or not yet) a host's."""

    cidr: IPNetwork
    host: str


Event = Changed | Removed | BlockOwned | BlockLost


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events of one revision, in order. `fresh`: they are all there is, and what was known before is void."""

    events: tuple[Event, ...]
    revision: int
    fresh: bool = False


class Datastore:
    """The cluster's resources. `kind` is the resource's class throughout."""

    def __init__(self, client: "Client", *, clock: Clock | None = None) -> None:
        self._client = client
        self._clock = clock or SystemClock()

    async def get(self, kind: type[R], name: str, *, namespace: str = "") -> R | None:
        """Read one; None if it is not there. Raises Invalid if what is stored cannot be read."""
        key = _key(kind, name, namespace)
        if key.kind == "Profile" and name == ALLOW_ALL_PROFILE:
            return _as(kind, default_allow_profile())
        found = await self._client.get(etcd_key(key))
        return None if found is None else _as(kind, decode(key, found.value, revision=found.mod_revision))

    async def list(self, kind: type[R], *, namespace: str = "") -> tuple[R, ...]:
        """Read all of a kind (of one namespace, or of all), by key. Unreadable ones are logged and left out."""
        found = await self._client.get_prefix(etcd_prefix(kind.kind, namespace))
        resources = [_as(kind, event.resource) for kv in found.kvs if isinstance(event := parse_event(kv), Changed)]
        if kind.kind == "Profile":
            resources.insert(0, _as(kind, default_allow_profile()))
        return tuple(resources)

    async def create(self, resource: R) -> R:
        """Write one that must not be there yet. Returns it as it is stored: with uid, time and revision."""
        _refuse_built_in(resource)
        if resource.metadata.resource_version:
            raise Invalid("a new resource has no resourceVersion", to=key_of(resource), hint="remove it, or update")
        from groundplane.etcd import Compare, Op

        new, key = self._filled(resource), etcd_key(key_of(resource))
        result = await self._client.transact([Compare.version(key, "=", 0)], [Op.put(key, encode(new))])
        if not result.succeeded:
            raise Exists("already exists", to=key_of(resource), hint="update or apply it instead")
        return _at_revision(new, result.revision)

    async def update(self, resource: R) -> R:
        """Write one as changed from the revision it was read at. Raises WrongState if somebody else wrote since."""
        _refuse_built_in(resource)
        meta = resource.metadata
        if not (meta.resource_version.isdecimal() and meta.uid and meta.creation_timestamp):
            raise Invalid(
                "an update needs resourceVersion, uid and creationTimestamp", to=key_of(resource), hint="read it first"
            )
        from groundplane.etcd import Compare, Op

        key = etcd_key(key_of(resource))
        compare = [Compare.mod_revision(key, "=", int(meta.resource_version))]
        result = await self._client.transact(compare, [Op.put(key, encode(resource))], [Op.get(key)])
        if result.succeeded:
            return _at_revision(resource, result.revision)
        if not result.responses[0].kvs:
            raise NotFound("is not there", to=key_of(resource), hint="create or apply it instead")
        raise WrongState("was changed by somebody else since it was read", to=key_of(resource), hint="read it again")

    async def apply(self, resource: R) -> R:
        """Write one, there or not; its uid and creation time stay. Nothing is written if nothing changes."""
        _refuse_built_in(resource)
        for _ in range(_TRIES):
            there = await self._raw(key_of(resource))
            try:
                if there is None:
                    return await self.create(_at_revision(resource, 0))
                uid, created, revision, value = there
                meta = replace(resource.metadata, uid=uid, creation_timestamp=created, resource_version=revision)
                wanted = self._filled(replace(resource, metadata=meta))
                if encode(wanted) == value:
                    return wanted
                return await self.update(wanted)
            except (Exists, NotFound, WrongState):
                continue  # somebody wrote between our reading and our writing: read again
        raise WrongState(f"changed under us {_TRIES} times in a row", to=key_of(resource), hint="try again")

    async def delete(self, kind: type[Resource], name: str, *, namespace: str = "", revision: str = "") -> bool:
        """Remove one (if it is still at `revision`, where given); False if it was not there.

        A Node takes its own blocks and endpoints along only through `Allocator.release_host` and its caller.
        """
        key = _key(kind, name, namespace)
        if _built_in(key):
            raise WrongState("is built in", to=key, hint="it cannot be removed")
        raw = etcd_key(key)
        if not revision:
            return await self._client.delete(raw)
        if await self._client.delete(raw, mod_revision=int(revision)):
            return True
        if await self._client.get(raw) is None:
            return False
        raise WrongState("was changed by somebody else since it was read", to=key, hint="read it again")

    async def ensure_tiers(self) -> None:
        """Write the tiers that every cluster has, where they are missing."""
        for name in BUILT_IN_TIERS:
            try:
                await self.create(built_in_tier(name))
            except Exists:
                pass  # an earlier host's agent was here

    async def snapshot(self) -> Batch:
        """Read everything there is: resources, and who owns which block."""
        found = await self._client.get_prefix(_ROOT)
        events = [event for kv in found.kvs if (event := parse_event(kv)) is not None]
        kept = tuple(event for event in events if isinstance(event, Changed | BlockOwned))
        return Batch(events=kept, revision=found.revision, fresh=True)

    async def watch_all(self, *, snapshot: Batch | None = None) -> AsyncIterator[Batch]:
        """Give everything there is (or nothing, if the caller holds a `snapshot`), then what changes, for ever."""
        from groundplane.etcd import Compacted

        revision = snapshot.revision if snapshot else 0
        while True:
            if not revision:
                first = await self.snapshot()
                yield first
                revision = first.revision
            try:
                async for batch in self._client.watch(_ROOT, from_revision=revision + 1):
                    events = tuple(
                        found
                        for event in batch.events
                        if (found := parse_event(event.kv, deleted=event.deleted)) is not None
                    )
                    revision = batch.revision
                    if events:
                        yield Batch(events=events, revision=revision)
            except Compacted as gone:
                _LOG.info("datastore.compacted", revision=revision, reason=gone.happened)
                revision = 0

    def _filled(self, resource: R) -> R:
        meta = resource.metadata
        filled = replace(
            meta,
            uid=meta.uid or str(uuid.uuid4()),
            creation_timestamp=meta.creation_timestamp or _timestamp(self._clock.now()),
        )
        return replace(resource, metadata=filled)

    async def _raw(self, key: ResourceKey) -> tuple[str, str, str, bytes] | None:
        """Read what identifies the stored one; its spec may be of any age, or damaged: it is about to be replaced."""
        found = await self._client.get(etcd_key(key))
        if found is None:
            return None
        try:
            meta = decode(key, found.value, revision=found.mod_revision).metadata
        except Invalid as failed:
            _LOG.warning("datastore.replaced_unreadable", key=str(key), error=str(failed))
            return "", "", str(found.mod_revision), b""
        return meta.uid, meta.creation_timestamp, meta.resource_version, found.value


def parse_event(kv: "KeyValue", *, deleted: bool = False) -> Event | None:
    """Turn what is stored under a key into an event. None for what is of no concern here."""
    key = parse_etcd_key(kv.key)
    if key is not None:
        if deleted:
            return Removed(key)
        try:
            return Changed(key, decode(key, kv.value, revision=kv.mod_revision))
        except GroundplaneError as failed:
            _LOG.warning("datastore.unreadable", key=str(key), error=str(failed))
            return Removed(key)
    owner = keys.parse_affinity_key(kv.key.decode(errors="replace"))
    if owner is None:
        return None
    host, cidr = owner
    if not deleted:
        try:
            if keys.decode_affinity(kv.value, at=kv.key.decode(errors="replace")) is AffinityState.CONFIRMED:
                return BlockOwned(cidr, host)
        except GroundplaneError as failed:
            _LOG.warning("datastore.unreadable", key=kv.key.decode(errors="replace"), error=str(failed))
    return BlockLost(cidr, host)


def _key(kind: type[Meta], name: str, namespace: str) -> ResourceKey:
    if KINDS[kind.kind].namespaced:
        return ResourceKey(kind.kind, name, namespace or "default")
    return ResourceKey(kind.kind, name)


def _as(kind: type[R], resource: Resource) -> R:
    assert isinstance(resource, kind)
    return resource


def _built_in(key: ResourceKey) -> bool:
    if key.kind == "Profile":
        return key.name == ALLOW_ALL_PROFILE
    return key.kind == "Tier" and key.name in BUILT_IN_TIERS


def _refuse_built_in(resource: Resource) -> None:
    if resource.kind == "Profile" and resource.name == ALLOW_ALL_PROFILE:
        raise WrongState("is built in", to=key_of(resource), hint="make a profile of your own")


def _at_revision(resource: R, revision: int) -> R:
    return replace(resource, metadata=replace(resource.metadata, resource_version=str(revision) if revision else ""))


def _timestamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
