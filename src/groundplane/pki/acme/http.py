"""uvicorn, bounded: so many connections, and so long for a handshake and for the head of a request.

uvicorn bounds the size of a head (h11) and the pause between requests, but would wait for ever for a head that comes
letter by letter, and takes as many connections as the kernel does. Signals are left to `aio.lifetime`.
"""

import asyncio
import resource
import socket
import ssl
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS = 1000  # at a time; the next one is closed at once
HEAD_WITHIN = 10.0  # seconds, for TLS and then for each request's head, the pause before it included
_LARGEST_HEAD = 16 << 10
_STOP_WITHIN = 10
_FILES = CONNECTIONS + 1000  # descriptors: for those in their handshake, the database and validations too


class Bounded(H11Protocol):
    """One connection."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Closed at once where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """A head that is whole stops the clock."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """The next head may come."""
        super().on_response_complete()
        idle = self.cycle is None or self.cycle.response_complete
        if idle and not self.transport.is_closing():
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is waited for."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(HEAD_WITHIN, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class Server(uvicorn.Server):
    """Serves `app` at a bound socket; `ready` is set once it does. `should_exit` ends it."""

    def __init__(self, app: ASGIApp, context: ssl.SSLContext) -> None:
        super().__init__(_config(app, context))
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Not here."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn does it, but a handshake has an end."""
        _allow_files()
        loop = asyncio.get_running_loop()

        def connection() -> asyncio.Protocol:
            return Bounded(config=self.config, server_state=self.server_state, app_state={}, _loop=loop)

        self.servers = [
            await loop.create_server(
                connection,
                sock=listener,
                ssl=self.config.ssl,
                backlog=self.config.backlog,
                ssl_handshake_timeout=HEAD_WITHIN,
            )
            for listener in sockets or []
        ]
        self.started = True
        self.ready.set()


def _config(app: ASGIApp, context: ssl.SSLContext) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=Bounded,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=int(HEAD_WITHIN),
        timeout_graceful_shutdown=_STOP_WITHIN,
        h11_max_incomplete_event_size=_LARGEST_HEAD,
        ssl_context_factory=lambda _config, _usual: context,
    )


def _allow_files() -> None:
    """As many descriptors as the bounds need, where the system lets us: many start a daemon with 1024."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
