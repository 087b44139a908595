"""Sending one call to one of several endpoints: which, in what order, and when it may be sent again.

A call goes to the endpoint that answered last, and on to the next while one cannot be reached. A read that gets no
answer is asked of the next endpoint too, within the same deadline; a write only if it is certain that it was not sent.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from groundplane.errors import DeadlineExceeded, GroundplaneError, Unavailable
from groundplane.etcd.channel import Channels, not_sent, to_error
from groundplane.etcd.model import TLSFiles


class Calls:
    """The endpoints of one client, and how it speaks to them."""

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

    @property
    def tls(self) -> TLSFiles | None:
        """The files that this client proves itself with."""
        return self._channels.tls

    async def _at(self, endpoint: str, method: str, request: Any, *, within: float | None = None) -> Any:
        """One call to one endpoint."""
        try:
            return await self._channels.call(endpoint, method)(request, timeout=within or self._timeout)
        except grpc.aio.AioRpcError as refused:
            raise to_error(refused, endpoint) from refused

    async def _once(self, endpoint: str, method: str, request: Any, *, within: float) -> Any:
        """One message each way over a stream."""
        call = self._channels.call(endpoint, method)(timeout=within)
        try:
            await call.write(request)
            answer = await call.read()
        except grpc.aio.AioRpcError as refused:
            raise to_error(refused, endpoint) from refused
        finally:
            call.cancel()
        if answer is grpc.aio.EOF:  # type: ignore[attr-defined] # grpc-stubs lack it
            raise Unavailable("ended the stream without an answer", to=endpoint, hint="try again")
        return answer

    async def _read(self, method: str, request: Any, *, stream: bool = False) -> Any:
        return await self._anywhere(method, request, idempotent=True, stream=stream)

    async def _write(self, method: str, request: Any, *, within: float | None = None) -> Any:
        return await self._anywhere(method, request, idempotent=False, within=within)

    async def _anywhere(
        self, method: str, request: Any, *, idempotent: bool, stream: bool = False, within: float | None = None
    ) -> Any:
        """Try each endpoint once, beginning with the one that answered last; all within the one deadline."""
        loop, count, first = asyncio.get_running_loop(), len(self.endpoints), self._preferred
        end = loop.time() + (within or self._timeout)
        send = self._once if stream else self._at
        failures: list[GroundplaneError] = []
        for offset in range(count):
            number = (first + offset) % count
            left = end - loop.time()
            if left <= 0:
                break
            # A member that hangs must leave time for the others; the last may use it all.
            share = left / 2 if idempotent and offset < count - 1 else left
            try:
                answer = await send(self.endpoints[number], method, request, within=share)
            except (Unavailable, DeadlineExceeded) as failed:
                self._preferred = (number + 1) % count
                failures.append(failed)
                if not idempotent and not not_sent(failed):
                    raise
                continue
            self._preferred = number
            return answer
        # The first failure tells more than the last: later endpoints had less time.
        raise next((failed for failed in failures if isinstance(failed, Unavailable)), failures[0])
