"""An asyncio client of etcd v3: keys, transactions, watches, leases here; members and maintenance in `cluster`.

How calls find an endpoint, and when one is sent again, is in `calls`.
"""

import math
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from groundplane.errors import Exhausted
from groundplane.etcd import translate
from groundplane.etcd.cluster import ClusterCalls
from groundplane.etcd.model import (
    Compacted,
    Compare,
    EventBatch,
    KeyValue,
    Op,
    Snapshot,
    TxnResult,
    prefix_end,
)
from groundplane.etcd.proto import rpc_pb2 as rpc

_PAGE = 2000
_TRIES = 3


class Client(ClusterCalls):
    """One client; close it when done, or use it as an async context manager."""

    async def get(self, key: bytes, *, serializable: bool = False) -> KeyValue | None:
        """A key, None if it is not there. `serializable`: from the member asked, without a quorum; may be old."""
        answer = await self._read("KV/Range", rpc.RangeRequest(key=key, serializable=serializable))
        return translate.key_value(answer.kvs[0]) if answer.kvs else None

    async def get_prefix(self, prefix: bytes, *, revision: int = 0) -> Snapshot:
        """Every key that begins with `prefix`, at one revision (0: now), read in pages. Raises Compacted."""
        for _ in range(_TRIES - 1):
            try:
                return await self._pages(prefix, revision)
            except Compacted:
                if revision:
                    raise
                # Compacted between two pages: read all of it again, at the revision that is now.
        return await self._pages(prefix, revision)

    async def _pages(self, prefix: bytes, revision: int) -> Snapshot:
        end, key, page = prefix_end(prefix), prefix or b"\0", _PAGE
        found: list[KeyValue] = []
        while True:
            request = rpc.RangeRequest(key=key, range_end=end, limit=page, revision=revision)
            try:
                answer = await self._read("KV/Range", request)
            except Exhausted:
                if page == 1:
                    raise
                page = max(1, page // 8)  # larger than a message may be: values can be of a megabyte and more
                continue
            revision = revision or answer.header.revision
            found.extend(translate.key_value(kv) for kv in answer.kvs)
            if not answer.more:
                return Snapshot(kvs=tuple(found), revision=revision)
            key = answer.kvs[-1].key + b"\0"

    async def put(self, key: bytes, value: bytes, *, lease: int = 0) -> int:
        """Write a key; the revision of the write."""
        answer = await self._write("KV/Put", rpc.PutRequest(key=key, value=value, lease=lease))
        return int(answer.header.revision)

    async def delete(self, key: bytes, *, mod_revision: int | None = None) -> bool:
        """Remove a key (if it was last written at `mod_revision`, where given); False if nothing was removed."""
        if mod_revision is None:
            answer = await self._write("KV/DeleteRange", rpc.DeleteRangeRequest(key=key))
            return bool(answer.deleted)
        result = await self.transact([Compare.mod_revision(key, "=", mod_revision)], [Op.delete(key)])
        return result.succeeded and bool(result.responses[0].deleted)

    async def delete_prefix(self, prefix: bytes) -> int:
        """Remove every key that begins with `prefix`; how many there were."""
        request = rpc.DeleteRangeRequest(key=prefix or b"\0", range_end=prefix_end(prefix))
        return int((await self._write("KV/DeleteRange", request)).deleted)

    async def transact(
        self, compare: Sequence[Compare], success: Sequence[Op], failure: Sequence[Op] = ()
    ) -> TxnResult:
        """Run `success` if every comparison holds, else `failure`; all at one revision."""
        answer = await self._write("KV/Txn", translate.transaction(compare, success, failure))
        return translate.transaction_result(answer)

    def watch(self, prefix: bytes, *, from_revision: int, previous: bool = False) -> AsyncIterator[EventBatch]:
        """Every change under `prefix` from `from_revision` on, over any member's death; see `watch.watch`."""
        from groundplane.etcd.watch import watch

        return watch(self._channels, prefix, from_revision=from_revision, previous=previous)

    async def lease_grant(self, ttl: timedelta) -> int:
        """A new lease. Its life is at least `ttl`, and never below one and a half election timeouts."""
        request = rpc.LeaseGrantRequest(TTL=max(1, math.ceil(ttl.total_seconds())))
        answer = await self._write("Lease/LeaseGrant", request)
        return int(answer.ID)

    async def lease_keep_alive(self, lease: int) -> int:
        """Renew a lease once; the seconds it now has, 0 if it is gone."""
        answer = await self._read("Lease/LeaseKeepAlive", rpc.LeaseKeepAliveRequest(ID=lease), stream=True)
        return int(answer.TTL)

    async def lease_time_to_live(self, lease: int) -> int:
        """The whole seconds that a lease has left, -1 if it is gone."""
        answer = await self._read("Lease/LeaseTimeToLive", rpc.LeaseTimeToLiveRequest(ID=lease))
        return int(answer.TTL)

    async def lease_revoke(self, lease: int) -> None:
        """End a lease and every key that hangs on it."""
        await self._write("Lease/LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease))
