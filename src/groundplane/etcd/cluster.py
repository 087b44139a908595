"""The part of etcd's API that is about the cluster itself: members, health, alarms, maintenance."""

import time
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import grpc
import grpc.aio

from groundplane.errors import Denied, GroundplaneError
from groundplane.etcd import translate
from groundplane.etcd.calls import Calls
from groundplane.etcd.channel import to_error
from groundplane.etcd.model import Health, Member, MemberList, MemberStatus
from groundplane.etcd.proto import rpc_pb2 as rpc

_LONG = timedelta(minutes=5)


class ClusterCalls(Calls):
    """Members and maintenance. What names an endpoint asks that member and no other."""

    async def member_list(self) -> MemberList:
        """Who belongs to the cluster."""
        answer = await self._read("Cluster/MemberList", rpc.MemberListRequest(linearizable=True))
        return translate.member_list(answer)

    async def member_add(self, peer_urls: Sequence[str], *, learner: bool = True) -> tuple[Member, MemberList]:
        """Add a member that has yet to be started; it, and who belongs now.

        Raises Unavailable ("unhealthy cluster") until every member has been connected for five seconds.
        """
        answer = await self._write("Cluster/MemberAdd", rpc.MemberAddRequest(peerURLs=peer_urls, isLearner=learner))
        return translate.member(answer.member), translate.member_list(answer)

    async def member_promote(self, member: int) -> None:
        """Make a learner a voter. Raises WrongState while it has not caught up."""
        await self._write("Cluster/MemberPromote", rpc.MemberPromoteRequest(ID=member))

    async def member_remove(self, member: int) -> None:
        """Remove a member for ever: its id, and with it its data directory, is of no use any more."""
        await self._write("Cluster/MemberRemove", rpc.MemberRemoveRequest(ID=member))

    async def member_update(self, member: int, peer_urls: Sequence[str]) -> None:
        """Change where the others find a member; then restart it with the same URLs."""
        await self._write("Cluster/MemberUpdate", rpc.MemberUpdateRequest(ID=member, peerURLs=peer_urls))

    async def status(self, endpoint: str) -> MemberStatus:
        """What the member at `endpoint` says of itself; needs no quorum."""
        answer = await self._at(endpoint, "Maintenance/Status", rpc.StatusRequest())
        return translate.member_status(endpoint, answer)

    async def health(self, endpoint: str) -> Health:
        """Whether the member at `endpoint` commits: a linearizable read through it, and no alarm (as etcdctl 3.5)."""
        began = time.monotonic()
        error = ""
        try:
            try:
                await self._at(endpoint, "KV/Range", rpc.RangeRequest(key=b"health"))
            except Denied:
                pass  # to refuse this user the member had to agree with a quorum on who may read
            answer = await self._at(endpoint, "Maintenance/Alarm", rpc.AlarmRequest(action=rpc.AlarmRequest.GET))
            raised = sorted({rpc.AlarmType.Name(found.alarm) for found in answer.alarms})
            error = f"Active Alarm(s): {' '.join(raised)}" if raised else ""
        except Denied:
            pass  # alarms are for root alone where users are on
        except GroundplaneError as failed:
            error = failed.happened
        return Health(endpoint=endpoint, healthy=not error, seconds=time.monotonic() - began, error=error)

    async def alarms(self) -> tuple[tuple[int, str], ...]:
        """(member id, NOSPACE or CORRUPT) of every alarm raised."""
        answer = await self._read("Maintenance/Alarm", rpc.AlarmRequest(action=rpc.AlarmRequest.GET))
        return tuple((found.memberID, rpc.AlarmType.Name(found.alarm)) for found in answer.alarms)

    async def disarm(self, member: int, alarm: str) -> None:
        """Clear an alarm (NOSPACE or CORRUPT); without its cause gone, the next write raises it again."""
        request = rpc.AlarmRequest(action=rpc.AlarmRequest.DEACTIVATE, memberID=member, alarm=alarm)
        await self._write("Maintenance/Alarm", request)

    async def hash_kv(self, endpoint: str, *, revision: int = 0) -> tuple[int, int]:
        """(hash, compact revision) of a member's keys; comparable only at equal revisions of both kinds."""
        answer = await self._at(endpoint, "Maintenance/HashKV", rpc.HashKVRequest(revision=revision))
        return int(answer.hash), int(answer.compact_revision)

    async def defragment(self, endpoint: str, *, within: timedelta = _LONG) -> None:
        """Defragment one member, which serves nothing meanwhile."""
        await self._at(endpoint, "Maintenance/Defragment", rpc.DefragmentRequest(), within=within.total_seconds())

    async def move_leader(self, endpoint: str, target: int) -> None:
        """Ask the leader, which must be at `endpoint`, to hand over to the member `target`."""
        await self._at(endpoint, "Maintenance/MoveLeader", rpc.MoveLeaderRequest(targetID=target))

    async def compact(self, revision: int, *, physical: bool = False, within: timedelta | None = None) -> None:
        """Forget every revision before `revision`; `physical`: return when the space is free inside the file."""
        request = rpc.CompactionRequest(revision=revision, physical=physical)
        await self._write("KV/Compact", request, within=within.total_seconds() if within else None)

    async def snapshot(self, endpoint: str, *, within: timedelta = _LONG) -> AsyncIterator[bytes]:
        """The whole database of one member in pieces, the last being the SHA-256 of the others; see `snapshot.save`."""
        call = self._channels.call(endpoint, "Maintenance/Snapshot")(
            rpc.SnapshotRequest(), timeout=within.total_seconds()
        )
        try:
            async for piece in call:
                yield bytes(piece.blob)
        except grpc.aio.AioRpcError as refused:
            raise to_error(refused, endpoint) from refused
        finally:
            call.cancel()
