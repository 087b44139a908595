"""What the allocator needs of a store, and two that give it: etcd, and one in memory.

All writes are compare-and-swap, several keys in one transaction: a writer that dies leaves either all of its changes or
none. Reads of several keys are of one moment.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from groundplane.aio import Retry
from groundplane.network.ipam.change import Change, Record

if TYPE_CHECKING:
    from groundplane.etcd import Client

_PATIENCE = Retry(within=timedelta(seconds=5))


class Store(Protocol):
    """Keys with values and revisions."""

    async def read(self, *keys: str) -> tuple[Record | None, ...]:
        """Read several keys; None for each that is not there."""

    async def list(self, prefix: str) -> tuple[Record, ...]:
        """Read all keys that begin so, in order."""

    async def commit(self, changes: Sequence[Change]) -> bool:
        """Make all changes, or, if any of the keys has moved on, none (False)."""


class MemoryStore:
    """A store in memory; what the tests of the allocator run on, and a model of etcd's promises."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}
        self._revision = 0

    async def read(self, *keys: str) -> tuple[Record | None, ...]:
        """Read several keys."""
        return tuple(self._records.get(key) for key in keys)

    async def list(self, prefix: str) -> tuple[Record, ...]:
        """Read all keys that begin so."""
        return tuple(self._records[key] for key in sorted(self._records) if key.startswith(prefix))

    async def commit(self, changes: Sequence[Change]) -> bool:
        """Make all changes or none."""
        for change in changes:
            found = self._records.get(change.key)
            if (found.revision if found else 0) != change.revision:
                return False
        self._revision += 1
        for change in changes:
            if change.value is None:
                self._records.pop(change.key, None)
            else:
                self._records[change.key] = Record(change.key, change.value, self._revision)
        return True


class EtcdStore:
    """The cluster's etcd."""

    def __init__(self, client: "Client") -> None:
        self._client = client

    async def read(self, *keys: str) -> tuple[Record | None, ...]:
        """Read several keys in one transaction: one round trip, one revision. At most 100."""
        from groundplane.etcd import Op

        # The client does not repeat transactions by itself, since most write; this one only reads.
        found = await _PATIENCE(lambda: self._client.transact((), [Op.get(key.encode()) for key in keys]))
        return tuple(
            Record(key, each.kvs[0].value, each.kvs[0].mod_revision) if each.kvs else None
            for key, each in zip(keys, found.responses, strict=True)
        )

    async def list(self, prefix: str) -> tuple[Record, ...]:
        """Read all keys that begin so."""
        found = await self._client.get_prefix(prefix.encode())
        return tuple(Record(kv.key.decode(errors="replace"), kv.value, kv.mod_revision) for kv in found.kvs)

    async def commit(self, changes: Sequence[Change]) -> bool:
        """Make all changes or none. After `Unavailable` nobody knows which."""
        from groundplane.etcd import Compare, Op

        # A key that is not there has revision 0 in a comparison.
        compare = [Compare.mod_revision(change.key.encode(), "=", change.revision) for change in changes]
        success = [
            Op.delete(change.key.encode()) if change.value is None else Op.put(change.key.encode(), change.value)
            for change in changes
        ]
        return (await self._client.transact(compare, success)).succeeded
