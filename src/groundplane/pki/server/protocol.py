"""One connection: uvicorn's HTTP/1.1, with an end to every wait and a bound to every request's head.

A client has `WHOLE_REQUEST` seconds from its connection, or a request's first byte, to the request's last; and `IDLE`
between requests. What its certificate
calls it (mutual TLS) is found once a connection, and a name that is not wanted is told so for every request.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

WHOLE_REQUEST = 30.0  # seconds
IDLE = 75
LARGEST_HEAD = 64 << 10  # bytes

Doorkeeper = Callable[[asyncio.BaseTransport], Any]


class Connection(HttpToolsProtocol):
    """`doorkeeper` gives the application for a connection; `ended` is called when it is over."""

    doorkeeper: Doorkeeper | None = None
    ended: Callable[["Connection"], None] | None = None
    _deadline: asyncio.TimerHandle | None = None
    _head = 0
    _chunk = 0
    _in_head = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Choose the application, and begin to count the time."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if self.doorkeeper is not None:
            self.app = self.doorkeeper(transport)
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
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > LARGEST_HEAD and not self.transport.is_closing():
                self.transport.write(b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\r\n")
                self.transport.close()

    def on_message_begin(self) -> None:
        """A request begins; the data it begins in does not count, since a body may have filled it."""
        super().on_message_begin()
        self._in_head, self._head = True, -self._chunk
        self._arm()

    def on_headers_complete(self) -> None:
        """Its head is whole."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Its body is whole."""
        self._disarm()
        super().on_message_complete()

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
