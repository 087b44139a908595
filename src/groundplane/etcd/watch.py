"""A watch that outlives the member that serves it.

It carries the next revision it needs. Whatever breaks the stream, it is opened again from there, at the next endpoint:
etcd keeps old revisions, so nothing is lost, and asking from the revision after the last one seen doubles nothing.

What moves that revision on: events, up to the last whole revision; a notice of progress, since etcd sends one only when
everything before it has been sent (a quiet watch thus survives a compaction); and, for a watch from now, the revision
at which it was made.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from groundplane.errors import Unavailable
from groundplane.etcd import translate
from groundplane.etcd.channel import Channels, to_error
from groundplane.etcd.model import Compacted, EtcdRefused, EventBatch, prefix_end
from groundplane.etcd.proto import rpc_pb2 as rpc

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
# A partitioned member then ends the stream with "no leader", and the watch moves on, instead of hanging there.
_METADATA = (("hasleader", "true"),)


async def watch(channels: Channels, prefix: bytes, *, from_revision: int, previous: bool) -> AsyncIterator[EventBatch]:
    """Batches of changes, for ever. Raises Compacted when `from_revision` (or where it got to) is gone.

    `from_revision` 0: from now. Backpressure is HTTP/2's: while the caller does not ask for the next batch, etcd is
    not read; at most one response is held, cut by etcd at its own limit of a request.
    """
    position = Position(from_revision)
    number, pause = 0, _FIRST_PAUSE
    while True:
        endpoint = channels.endpoints[number % len(channels.endpoints)]
        call = channels.call(endpoint, "Watch/Watch")(metadata=_METADATA)
        position.restart()
        try:
            await call.write(_create(prefix, position.wanted, previous=previous))
            async for answer in call:
                _check(answer, prefix)
                pause = _FIRST_PAUSE
                batch = position.take(answer)
                if batch is not None:
                    yield batch
        except grpc.aio.AioRpcError as refused:
            failed = to_error(refused, endpoint)
            if not isinstance(failed, Unavailable):
                raise failed from refused
        finally:
            call.cancel()
        number += 1
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


class Position:
    """How far a watch has got: `wanted` is the first revision not seen whole, 0 until a watch from now is made."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self._partial: list[Any] = []

    def restart(self) -> None:
        """Forget the beginning of a revision whose rest was not seen: it is sent again."""
        self._partial = []

    def take(self, answer: Any) -> EventBatch | None:
        """Move on past a response; the whole revisions that it completes, if any."""
        if answer.events or self._partial:
            return self._whole([*self._partial, *answer.events], more=answer.fragment)
        # Created says nothing about what was sent before, so it moves only a watch from now.
        if not answer.created or not self.wanted:
            self.wanted = max(self.wanted, answer.header.revision + 1)
        return None

    def _whole(self, events: list[Any], *, more: bool) -> EventBatch | None:
        """Hold back the last revision while its rest is still to come (a response cut in fragments)."""
        last = events[-1].kv.mod_revision if more else 0
        self._partial = [found for found in events if found.kv.mod_revision == last]
        whole = [found for found in events if found.kv.mod_revision != last]
        if not whole:
            return None
        self.wanted = whole[-1].kv.mod_revision + 1
        return EventBatch(revision=self.wanted - 1, events=tuple(translate.event(found) for found in whole))


def _create(prefix: bytes, revision: int, *, previous: bool) -> Any:
    return rpc.WatchRequest(
        create_request=rpc.WatchCreateRequest(
            key=prefix or b"\0",
            range_end=prefix_end(prefix),
            start_revision=revision,
            prev_kv=previous,
            progress_notify=True,
            fragment=True,
        )
    )


def _check(answer: Any, prefix: bytes) -> None:
    if not answer.canceled:
        return
    if answer.compact_revision:
        raise Compacted(
            f"revisions before {answer.compact_revision} are gone",
            to=prefix.decode("utf-8", "replace"),
            hint="list again and watch from there",
            revision=answer.compact_revision,
        )
    raise EtcdRefused(f"the watch was canceled: {answer.cancel_reason}", to=prefix.decode("utf-8", "replace"))
