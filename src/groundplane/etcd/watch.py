"""A watch that outlives the member that serves it.

It carries the next revision it needs. Whatever breaks the stream, it is opened again from there, at the next endpoint:
etcd keeps old revisions, so nothing is lost, and asking from the revision after the last one seen doubles nothing.
etcd puts all events of a revision into one response, so a batch is whole.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from groundplane.errors import Unavailable
from groundplane.etcd import translate
from groundplane.etcd.channel import Channels
from groundplane.etcd.channel import translate as to_error
from groundplane.etcd.model import Compacted, EtcdRefused, EventBatch, prefix_end
from groundplane.etcd.proto import rpc_pb2 as rpc

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0
# A partitioned member then ends the stream with "no leader", and the watch moves on, instead of hanging there.
_METADATA = (("hasleader", "true"),)


async def watch(channels: Channels, prefix: bytes, *, from_revision: int, previous: bool) -> AsyncIterator[EventBatch]:
    """Batches of changes, for ever. Raises Compacted when `from_revision` (or where it got to) is gone.

    Backpressure is HTTP/2's: while the caller does not ask for the next batch, etcd is not read.
    """
    wanted, number, pause = from_revision, 0, _FIRST_PAUSE
    while True:
        endpoint = channels.endpoints[number % len(channels.endpoints)]
        call = channels.call(endpoint, "Watch/Watch")(metadata=_METADATA)
        try:
            await call.write(_create(prefix, wanted, previous=previous))
            async for answer in call:
                _check(answer, prefix)
                pause = _FIRST_PAUSE
                if answer.events:
                    last = max(found.kv.mod_revision for found in answer.events)
                    wanted = last + 1
                    yield EventBatch(revision=last, events=tuple(translate.event(found) for found in answer.events))
        except grpc.aio.AioRpcError as refused:
            failed = to_error(refused, endpoint)
            if not isinstance(failed, Unavailable):
                raise failed from refused
        finally:
            call.cancel()
        number += 1
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE)


def _create(prefix: bytes, revision: int, *, previous: bool) -> Any:
    return rpc.WatchRequest(
        create_request=rpc.WatchCreateRequest(
            key=prefix or b"\0", range_end=prefix_end(prefix), start_revision=revision, prev_kv=previous
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
