"""The responder's door: ASGI. It bounds what comes in, asks the source, and replies in every case."""

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.ocsp import http
from groundplane.pki.ocsp.model import MAX_REQUEST_BYTES, Request
from groundplane.pki.ocsp.sources import Source
from groundplane.pki.operators.log import REQUEST_ID, request_id

_NOT_MODIFIED = 304
_THREADS = 8
_WAITING = 512  # questions for a source that blocks, those it is being asked included

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class ResponderApp:
    """`path`: where the responder is; below it, GET requests bring their question in the path.

    `answered` is told of each request what came of it, and in how many seconds; requests have names then, which are
    in the log, and go back to the client.
    """

    def __init__(
        self,
        source: Source,
        *,
        journal: Journal,
        path: str = "/",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        answered: Callable[[str, float], None] | None = None,
    ) -> None:
        self._source = source
        self._journal = journal
        self._path = path.rstrip("/").encode()
        self._clock = clock
        self._answered = answered
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0

    def close(self) -> None:
        """No more requests will come."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        if self._answered is None:
            if (reply := await self._reply(scope, receive)) is not None:
                await _send(reply, scope["method"], send)
            return
        begun = time.perf_counter()
        given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
        name = request_id(given.decode("latin-1"))
        token = REQUEST_ID.set(name)
        try:
            if (reply := await self._reply(scope, receive)) is not None:
                self._answered(reply.outcome, time.perf_counter() - begun)
                await _send(reply, scope["method"], send, (b"x-request-id", name.encode()))
        finally:
            REQUEST_ID.reset(token)

    async def _reply(self, scope: Scope, receive: Receive) -> http.Reply | None:
        path: bytes = scope["raw_path"]
        if path != self._path and not path.startswith(self._path + b"/"):
            return http.NOT_FOUND
        method: str = scope["method"]
        try:
            body = await _body(receive) if method == "POST" else b""
            data, request = http.find_request(method, path[len(self._path) + 1 :], body)
        except _Gone:
            return None
        except http.Unreadable as bad:
            self._journal.debug(bad.why)
            return bad.reply
        etag = next((value for name, value in scope["headers"] if name == b"if-none-match"), b"")
        if not self._source.blocking:
            return self._ask(data, request, etag)
        if self._waiting >= _WAITING:
            return http.BUSY
        if self._pool is None:  # not before a server forks
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="ocsp")
        self._waiting += 1
        try:
            loop, named = asyncio.get_running_loop(), copy_context().run
            return await loop.run_in_executor(self._pool, named, self._ask, data, request, etag)
        finally:
            self._waiting -= 1

    def _ask(self, data: bytes, request: Request, etag: bytes) -> http.Reply:
        now = self._clock()
        try:
            answer = self._source.answer(request, now)
        except Exception as failed:  # noqa: BLE001 - whatever a source's outside world may throw: the client hears 500
            self._journal.info(f"Error retrieving response for request: {_about(data, request)}, error: {failed}")
            return http.FAILED
        if answer is None:
            self._journal.info(f"No response found for request: {_about(data, request)}")
        return http.reply_of(answer, if_none_match=etag, now=now)


async def _send(reply: http.Reply, method: str, send: Send, *further: tuple[bytes, bytes]) -> None:
    headers = [*reply.headers, *further]
    if reply.status != _NOT_MODIFIED and method != "HEAD":  # these have no length, as in Go
        headers.append((b"content-length", b"%d" % len(reply.body)))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


class _Gone(Exception):
    """The client went away."""


async def _body(receive: Receive) -> bytes:
    """The whole body. Raises _Gone, and Unreadable for one that does not end within the bound."""
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > MAX_REQUEST_BYTES:
            raise http.Unreadable(http.TOO_LARGE, "a body without end")
    return b"".join(parts)


def _about(data: bytes, request: Request) -> str:
    return f"serial {request.first.serial:x}, request body {base64.b64encode(data).decode()}"
