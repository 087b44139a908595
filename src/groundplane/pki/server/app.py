"""The door: ASGI around a table of endpoints. It finds the endpoint, bounds what comes in, and answers in every case.

Endpoints that may take long run in a few threads, with a short queue before them; when that is full the answer is 503.
The others run in the event loop itself, one at a time, which is what a processor's signatures do anyway.
"""

import asyncio
import contextvars
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from groundplane.errors import GroundplaneError
from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.server import envelope
from groundplane.pki.server.model import ANY, Answer, Call, Endpoint, Observer, Refused, Result
from groundplane.pki.server.mux import moved

BODY_LIMIT = 4 << 20  # bytes; a request for a certificate has some two thousand
THREADS = 8
WAITING = 256  # calls for a thread, those that run included
_DIGITS = 20  # of a length; more of them mean more than any limit
_TOO_LARGE, _BUSY, _NOT_FOUND, _NOT_ALLOWED = 413, 503, 404, 405

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Pages(Protocol):
    """What is served beside the API."""

    def answer(self, call: Call) -> Answer | None:
        """A page, or None where there is none."""


class Nobody:
    """An observer that lets everything pass."""

    def admit(self, endpoint: Endpoint, call: Call) -> None:
        """Always."""

    def answered(self, endpoint: Endpoint, call: Call, answer: Answer, *, seconds: float) -> Answer:  # noqa: ARG002
        """Noted by nobody."""
        return answer


class Gone(Exception):
    """The client went away before its request was whole."""


class Application:
    """`endpoints` by path. `flush` is called after each answer, for logs that are written together.

    `access_log` False: the observer tells of the calls, not the journal.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        *,
        journal: Journal,
        pages: Pages | None = None,
        observer: Observer | None = None,
        flush: Callable[[], None] = lambda: None,
        body_limit: int = BODY_LIMIT,
        access_log: bool = True,
    ) -> None:
        self._endpoints = endpoints
        self._journal = journal
        self._pages = pages
        self._observer = observer or Nobody()
        self._flush = flush
        self._limit = body_limit
        self._access_log = access_log
        self._pool: ThreadPoolExecutor | None = None
        self._waiting = 0
        self._direct = {
            (b"POST" if endpoint.method == ANY else endpoint.method.encode(), path.encode()): endpoint
            for path, endpoint in endpoints.items()
            if not endpoint.blocking
        }

    @property
    def body_limit(self) -> int:
        """The most that a request may have, in bytes."""
        return self._limit

    def direct(self, method: bytes, url: bytes) -> Endpoint | None:
        """The endpoint that answers at once, if this is one: `answer_now` may be used instead of the whole of ASGI."""
        return self._direct.get((method, url))

    def answer_now(self, endpoint: Endpoint, call: Call) -> Answer:
        """The answer of such an endpoint; logged and flushed."""
        start = time.perf_counter()
        answer = self._run(endpoint, call)
        if endpoint.logged:
            self._line(call, answer)
        answer = self._observer.answered(endpoint, call, answer, seconds=time.perf_counter() - start)
        self._flush()
        return answer

    def close(self) -> None:
        """No more calls will come; those in threads end by themselves."""
        if self._pool is not None:
            self._pool.shutdown(wait=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        query: bytes = scope["query_string"]
        host, port = scope["client"] or ("", 0)
        client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        call = Call(method=scope["method"], path=scope["path"], query=query.decode("latin-1"), client=client)
        try:
            endpoint = self._endpoints.get(call.path)
            if endpoint is None:
                body = await self._body(scope, receive)
                answer = self._beside(call)
            else:
                body = await self._body(scope, receive)
                call = Call(method=call.method, path=call.path, query=call.query, body=body, client=client)
                answer = await self._answer(endpoint, call)
        except Gone:
            return
        except Refused as refused:
            answer = envelope.failure(refused)
            self._line(call, answer)
        await send({"type": "http.response.start", "status": answer.status, "headers": _headers(answer)})
        await send({"type": "http.response.body", "body": answer.body})
        self._flush()

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises Refused for one that is too large, unread if it says so itself."""
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value[:_DIGITS]) > self._limit:
                raise self._too_large()
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        body: bytes = message.get("body", b"")
        if not message.get("more_body", False) and len(body) <= self._limit:
            return body
        parts, size = [body], len(body)
        while message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._limit:
                raise self._too_large()
        if size > self._limit:
            raise self._too_large()
        return b"".join(parts)

    def _too_large(self) -> Refused:
        return Refused(_TOO_LARGE, f"the request is larger than {self._limit} bytes")

    def _beside(self, call: Call) -> Answer:
        if (place := moved(call)) is not None:
            return place
        page = None if self._pages is None else self._pages.answer(call)
        return page or envelope.plain(_NOT_FOUND, "404 page not found")

    async def _answer(self, endpoint: Endpoint, call: Call) -> Answer:
        start = time.perf_counter()
        if endpoint.method not in {ANY, call.method}:
            answer = envelope.failure(Refused(_NOT_ALLOWED, f'Method is not allowed:"{call.method}"'))
        elif endpoint.blocking:
            answer = await self._in_thread(endpoint, call)
        else:
            answer = self._run(endpoint, call)
        if endpoint.logged:
            self._line(call, answer)
        return self._observer.answered(endpoint, call, answer, seconds=time.perf_counter() - start)

    async def _in_thread(self, endpoint: Endpoint, call: Call) -> Answer:
        if self._waiting >= WAITING:
            return envelope.failure(Refused(_BUSY, "too many requests are waiting; try again later"))
        if self._pool is None:  # not before the workers are forked
            self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="endpoint")
        self._waiting += 1
        try:
            run = contextvars.copy_context().run  # so that a log knows whose call it is
            return await asyncio.get_running_loop().run_in_executor(self._pool, run, self._run, endpoint, call)
        finally:
            self._waiting -= 1

    def _run(self, endpoint: Endpoint, call: Call) -> Answer:
        try:
            self._observer.admit(endpoint, call)
            result: Result | Answer = endpoint.run(call)
            return result if isinstance(result, Answer) else envelope.success(result)
        except (CfsslError, GroundplaneError) as refused:
            return envelope.failure(refused)
        except Exception as mistake:  # noqa: BLE001 - no input may end a worker or show a traceback
            self._journal.error(f"{endpoint.name}: internal error: {type(mistake).__name__}: {mistake}")
            return envelope.broken()

    def _line(self, call: Call, answer: Answer) -> None:
        if self._access_log:
            self._journal.info(f'{call.client} - "{call.method} {call.url}" {answer.code}')


def _headers(answer: Answer) -> list[tuple[bytes, bytes]]:
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    return [*headers, (b"connection", b"close")] if answer.status == _TOO_LARGE else headers
