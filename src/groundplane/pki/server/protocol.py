"""One connection: uvicorn's HTTP/1.1, with an end to every wait and a bound to every request's head.

A client has `WHOLE_REQUEST` seconds from its connection, or a request's first byte, to the request's last, and `IDLE`
between two. What its certificate calls it (mutual TLS) is found once a connection, and a name that is not wanted is
told so for every request.

A client may ask for another protocol in its head, as Java's does of every plain server. It stays with HTTP/1.1 (RFC
9110, section 7.8): the parser, which would take the rest for that protocol, reads the head anew without the question.

Plain requests to endpoints that answer at once do so here, without the tasks, events and messages of ASGI, which took
a fifth of a signature's time. Everything else (queries, escapes, pipelines, expectations, long bodies) goes through it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from groundplane.pki.server.app import Application
from groundplane.pki.server.model import Call, Endpoint

WHOLE_REQUEST = 30.0  # seconds
IDLE = 75
LARGEST_HEAD = 64 << 10  # bytes

_UNUSUAL = frozenset({b"transfer-encoding"})
_OF_UPGRADES = frozenset({b"upgrade", b"http2-settings"})
_CONTINUE = b"HTTP/1.1 100 "
Doorkeeper = Callable[[asyncio.BaseTransport], tuple[Any, bool]]


class Connection(HttpToolsProtocol):
    """`doorkeeper` gives the application for a connection, and whether it is welcome; `ended` is called at its end.

    `present` is asked for the application of the moment, for requests that need nothing else; None for none such.
    """

    present: Callable[[], object] | None = None
    _endpoint: Endpoint | None = None
    _application: Application | None = None
    _parts: list[bytes]
    _peer = ""
    doorkeeper: Doorkeeper | None = None
    ended: Callable[["Connection"], None] | None = None
    _deadline: asyncio.TimerHandle | None = None
    _head = 0
    _chunk = 0
    _in_head = False
    _in_message = False
    _asks = False
    _leaving = False
    _welcome = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Choose the application, and begin to count the time."""
        super().connection_made(transport)  # type: ignore[arg-type]
        host, port = self.client or ("", 0)
        self._peer = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self.doorkeeper is not None:
            self.app, self._welcome = self.doorkeeper(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Free what it held."""
        self._disarm()
        super().connection_lost(exc)
        if self.ended is not None:
            self.ended(self)

    def data_received(self, data: bytes) -> None:
        """Refuse a head without end."""
        self._chunk = len(data)
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")
        if self._in_message:
            self._arm()  # not before: most requests come whole
        if self._in_head:
            self._head += len(data)
            if self._head > LARGEST_HEAD and not self.transport.is_closing():
                self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
                self.transport.close()

    def _feed(self, data: bytes) -> None:
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stopped:
                if not self._asks:
                    return  # a CONNECT, which is answered, and then means nothing more
                data = self._asked_plainly() + data[stopped.args[0] :]
                self._asks = False
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
            else:
                return

    def _asked_plainly(self) -> bytes:
        """The head that was read, without what asks for another protocol."""
        version = self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                words = [word.strip() for word in value.split(b",")]
                value = b", ".join(word for word in words if word.lower() not in _OF_UPGRADES)  # noqa: PLW2901
            if value and name not in _OF_UPGRADES:
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """A request begins; the data it begins in does not count, since a body may have filled it."""
        super().on_message_begin()
        self._in_message = self._in_head = True
        self._head = -self._chunk

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        self._asks = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if self._asks:
            return  # it stops here, and is read anew
        self._endpoint = self._find()
        if self._endpoint is None:
            super().on_headers_complete()
            self.cycle.transport = _Titled(self.transport)  # type: ignore[assignment]  # before its task runs
        else:
            self._parts = []

    def on_body(self, body: bytes) -> None:
        """Some of its body; as much as was announced, which is not too much."""
        if self._endpoint is None:
            super().on_body(body)
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        """Its body is whole."""
        if self._asks:
            return
        self._in_message = False
        self._disarm()
        if self._endpoint is None:
            super().on_message_complete()
        else:
            self._answer(self._endpoint)
            self._endpoint = None

    def _find(self) -> Endpoint | None:
        """The endpoint of a request that needs nothing of ASGI."""
        application = self.present() if self.present is not None and self._welcome else None
        busy = (self.cycle is not None and not self.cycle.response_complete) or self.pipeline
        if not isinstance(application, Application) or busy or self.expect_100_continue:
            return None
        length = b"0"
        for name, value in self.headers:
            if name == b"content-length":
                length = value
            elif name in _UNUSUAL:
                return None
        if not length.isdigit() or len(length) > len(str(application.body_limit)):
            return None
        self._application = application
        found = application.direct(self.parser.get_method(), self.url)
        return found if int(length) <= application.body_limit else None

    def _answer(self, endpoint: Endpoint) -> None:
        assert self._application is not None
        call = Call(
            method=self.parser.get_method().decode("ascii"),
            path=self.url.decode("ascii"),
            body=b"".join(self._parts),
            client=self._peer,
        )
        answer = self._application.answer_now(endpoint, call)
        keep = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive() and not self._leaving
        lines = [STATUS_LINE[answer.status]]
        for name, value in (*self.server_state.default_headers, *answer.headers):
            lines += (name.title(), b": ", value, b"\r\n")
        lines += (b"Content-Length: ", str(len(answer.body)).encode(), b"\r\n")
        lines += (b"\r\n" if keep else b"Connection: close\r\n\r\n", answer.body)
        self.transport.write(b"".join(lines))
        self._unset_keepalive_if_required()
        if keep:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        else:
            self.transport.close()

    def shutdown(self) -> None:
        """The server is leaving: a request whose body is on its way is answered still."""
        self._leaving = True
        if self._endpoint is None:
            super().shutdown()

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(WHOLE_REQUEST, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()


class _Titled:
    """A transport for one answer, whose headers have their names as Go and most servers write them: `Content-Type`.

    They mean the same in any case, but scripts look for them in this one.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._has_head = False

    def write(self, data: bytes) -> None:
        """The head comes first, and whole."""
        if not self._has_head and not data.startswith(_CONTINUE):
            self._has_head = True
            head, blank, body = data.partition(b"\r\n\r\n")
            status, *lines = head.split(b"\r\n")
            parts = (line.partition(b":") for line in lines)
            named = [b"".join((name.title(), colon, value)) for name, colon, value in parts]
            data = b"\r\n".join([status, *named]) + blank + body
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
