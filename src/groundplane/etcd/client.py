"""An asyncio client of etcd v3: keys, transactions, leases, members, maintenance; watches are in `watch`.

Several endpoints: a call goes to the one that answered last, and on to the next while one is not reachable. A write is
sent again only when the failure shows that it was not sent; otherwise the caller learns that it does not know.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio

from groundplane.errors import GroundplaneError, Unavailable
from groundplane.etcd import translate
from groundplane.etcd.channel import Channels
from groundplane.etcd.channel import translate as to_error
from groundplane.etcd.model import (
    Compare,
    EventBatch,
    Health,
    KeyValue,
    MemberList,
    MemberStatus,
    Op,
    Snapshot,
    TLSFiles,
    TxnResult,
    prefix_end,
)
from groundplane.etcd.proto import rpc_pb2 as rpc

T = TypeVar("T")
_PAGE = 2000
_NOT_SENT = ("failed to connect", "connection refused", "no route to host", "network is unreachable", "handshake")


class Client:
    """One client; close it when done, or use it as an async context manager."""

    def __init__(
        self, endpoints: Sequence[str], *, tls: TLSFiles | None, timeout: timedelta = timedelta(seconds=5)
    ) -> None:
        self._channels = Channels(endpoints, tls)
        self._timeout = timeout.total_seconds()
        self._preferred = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop every connection."""
        await self._channels.close()

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The endpoints, as they were given."""
        return self._channels.endpoints

    # -- keys -----------------------------------------------------------------------------------------------------

    async def get(self, key: bytes, *, serializable: bool = False) -> KeyValue | None:
        """A key, None if it is not there. `serializable`: from the member asked, without a quorum; may be old."""
        answer = await self._read("KV/Range", rpc.RangeRequest(key=key, serializable=serializable))
        return translate.key_value(answer.kvs[0]) if answer.kvs else None

    async def get_prefix(self, prefix: bytes, *, revision: int = 0) -> Snapshot:
        """Every key that begins with `prefix`, at one revision (0: now), read in pages."""
        end, key = prefix_end(prefix), prefix or b"\0"
        found: list[KeyValue] = []
        while True:
            request = rpc.RangeRequest(key=key, range_end=end, limit=_PAGE, revision=revision)
            answer = await self._read("KV/Range", request)
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

    # -- leases ---------------------------------------------------------------------------------------------------

    async def lease_grant(self, ttl: timedelta) -> int:
        """A new lease. Its life is at least `ttl`, and never below one and a half election timeouts."""
        answer = await self._write("Lease/LeaseGrant", rpc.LeaseGrantRequest(TTL=max(1, round(ttl.total_seconds()))))
        return int(answer.ID)

    async def lease_keep_alive(self, lease: int) -> int:
        """Renew a lease once; the seconds it now has, 0 if it is gone."""

        async def once(endpoint: str) -> Any:
            call = self._channels.call(endpoint, "Lease/LeaseKeepAlive")(timeout=self._timeout)
            await call.write(rpc.LeaseKeepAliveRequest(ID=lease))
            answer = await call.read()
            await call.done_writing()
            return answer

        return int((await self._anywhere(once, idempotent=True)).TTL)

    async def lease_revoke(self, lease: int) -> None:
        """End a lease and every key that hangs on it."""
        await self._write("Lease/LeaseRevoke", rpc.LeaseRevokeRequest(ID=lease))

    # -- cluster and maintenance ----------------------------------------------------------------------------------

    async def member_list(self) -> MemberList:
        """Who belongs to the cluster."""
        answer = await self._read("Cluster/MemberList", rpc.MemberListRequest(linearizable=True))
        return translate.member_list(answer)

    async def status(self, endpoint: str) -> MemberStatus:
        """What the member at `endpoint` says of itself; needs no quorum."""
        answer = await self._at(endpoint, "Maintenance/Status", rpc.StatusRequest())
        return translate.member_status(endpoint, answer)

    async def health(self, endpoint: str) -> Health:
        """Whether the member at `endpoint` commits: a linearizable read through it, as etcdctl does, and its alarms."""
        began = time.monotonic()
        try:
            await self._at(endpoint, "KV/Range", rpc.RangeRequest(key=b"health"))
        except GroundplaneError as failed:
            return Health(endpoint=endpoint, healthy=False, seconds=time.monotonic() - began, error=failed.happened)
        return Health(endpoint=endpoint, healthy=True, seconds=time.monotonic() - began)

    async def alarms(self) -> tuple[tuple[int, str], ...]:
        """(member id, NOSPACE or CORRUPT) of every alarm raised."""
        answer = await self._read("Maintenance/Alarm", rpc.AlarmRequest(action=rpc.AlarmRequest.GET))
        return tuple((found.memberID, rpc.AlarmType.Name(found.alarm)) for found in answer.alarms)

    async def hash_kv(self, endpoint: str, *, revision: int = 0) -> tuple[int, int]:
        """(hash, compact revision) of a member's keys; comparable only at equal revisions of both kinds."""
        answer = await self._at(endpoint, "Maintenance/HashKV", rpc.HashKVRequest(revision=revision))
        return int(answer.hash), int(answer.compact_revision)

    async def defragment(self, endpoint: str, *, within: timedelta = timedelta(minutes=5)) -> None:
        """Defragment one member, which serves nothing meanwhile."""
        await self._at(endpoint, "Maintenance/Defragment", rpc.DefragmentRequest(), within=within.total_seconds())

    async def move_leader(self, endpoint: str, target: int) -> None:
        """Ask the leader, which must be at `endpoint`, to hand over to the member `target`."""
        await self._at(endpoint, "Maintenance/MoveLeader", rpc.MoveLeaderRequest(targetID=target))

    async def compact(self, revision: int, *, physical: bool = False) -> None:
        """Forget every revision before `revision`."""
        await self._write("KV/Compact", rpc.CompactionRequest(revision=revision, physical=physical))

    # -- sending --------------------------------------------------------------------------------------------------

    async def _at(self, endpoint: str, method: str, request: Any, *, within: float | None = None) -> Any:
        try:
            return await self._channels.call(endpoint, method)(request, timeout=within or self._timeout)
        except grpc.aio.AioRpcError as refused:
            raise to_error(refused, endpoint) from refused

    async def _read(self, method: str, request: Any) -> Any:
        return await self._anywhere(lambda endpoint: self._at(endpoint, method, request), idempotent=True)

    async def _write(self, method: str, request: Any) -> Any:
        return await self._anywhere(lambda endpoint: self._at(endpoint, method, request), idempotent=False)

    async def _anywhere(self, send: Callable[[str], Awaitable[T]], *, idempotent: bool) -> T:
        """Try each endpoint once, beginning with the one that answered last."""
        count = len(self.endpoints)
        last: GroundplaneError | None = None
        for offset in range(count):
            number = (self._preferred + offset) % count
            try:
                answer = await send(self.endpoints[number])
            except Unavailable as failed:
                last = failed
                if not idempotent and not any(words in failed.happened.lower() for words in _NOT_SENT):
                    raise
                continue
            except grpc.aio.AioRpcError as refused:
                last = to_error(refused, self.endpoints[number])
                if not isinstance(last, Unavailable):
                    raise last from refused
                continue
            self._preferred = number
            return answer
        assert last is not None  # there is at least one endpoint
        raise last
