"""One worker process: an event loop that takes connections from the shared socket and serves them.

Which worker takes a connection is decided by who has the fewest: the others leave it alone for a moment. A kernel
alone would give a burst of connections to whoever wakes first, and one processor would do all the work.
"""

import asyncio
import gc
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from functools import partial
from typing import Any

import uvloop
from uvicorn.config import Config
from uvicorn.server import ServerState

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.server.envelope import plain
from groundplane.pki.server.model import PEER
from groundplane.pki.server.protocol import IDLE, Connection
from groundplane.pki.server.workers import DRAIN, Board, Site

_AFTER_OTHERS = 0.002  # seconds: how long a worker with more connections leaves a new one to those with fewer
_OUT_OF_FILES = 0.2  # seconds to wait when no descriptor is to be had
_HANDSHAKE = 10.0
_MOST_CONNECTIONS = 4096
_OLD_SITE = 60.0  # seconds that what was replaced by a reload is kept for calls under way
_FORBIDDEN = 403
_GARBAGE = 20_000  # objects; Python's own 700 are fewer than two requests make


@dataclass(slots=True, kw_only=True)
class Worker:
    """See the module. `lifeline` ends when the master does."""

    site: Site
    load: Callable[[], Site]
    listener: socket.socket
    board: Board
    place: int
    lifeline: int
    journal: Journal
    flush: Callable[[], None] = lambda: None
    _state: ServerState = field(default_factory=ServerState)
    _config: Config = field(init=False)
    _stop: asyncio.Event = field(init=False)
    _group: asyncio.TaskGroup = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _pending: int = 0
    _waited: bool = False
    _listening: bool = False

    def run(self) -> None:
        """Until the master says so, or is gone."""
        gc.freeze()  # what was loaded stays: to look through it, and unshare its memory, gains nothing
        gc.set_threshold(_GARBAGE)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        self._config = Config(
            self._dispatch,
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=IDLE,
        )
        self._config.load()
        self._config.loaded_app = self._dispatch
        self._stop = asyncio.Event()
        self._loop = loop = asyncio.get_running_loop()
        self.site.start()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload)
        loop.add_reader(self.lifeline, self._stop.set)
        async with asyncio.TaskGroup() as self._group:
            self._tick()
            self._listen()
            await self._stop.wait()
            await self._drain()
        self.site.close()

    async def _dispatch(self, scope: Any, receive: Any, send: Any) -> None:
        """Always the newest site, also on old connections."""
        await self.site.application(scope, receive, send)

    def _tick(self) -> None:
        """The date header, once a second, and the count, should it ever be off."""
        self._state.default_headers = [(b"date", formatdate(time.time(), usegmt=True).encode())]
        self._count()
        self.flush()
        self._loop.call_later(1, self._tick)

    def _reload(self) -> None:
        try:
            fresh = self.load()
            fresh.start()
        except CfsslError as bad:
            self.journal.error(f"reload failed, nothing is changed: {bad}")
            return
        old, self.site = self.site, fresh
        old.retire()
        self._loop.call_later(_OLD_SITE, old.close)

    def _listen(self) -> None:
        if not self._listening and not self._stop.is_set():
            self._listening = True
            self._loop.add_reader(self.listener, self._take)

    def _deafen(self) -> None:
        if self._listening:
            self._listening = False
            self._loop.remove_reader(self.listener)

    def _later(self, seconds: float) -> None:
        self._deafen()
        self._loop.call_later(seconds, self._listen)

    def _take(self) -> None:
        """One connection for each wake: the others have their turn."""
        if not self._waited and not self.board.is_least(self.place):
            self._waited = True
            self._later(_AFTER_OTHERS)
            return
        self._waited = False
        if len(self._state.connections) + self._pending >= _MOST_CONNECTIONS:
            self._later(_OUT_OF_FILES)
            return
        try:
            taken, _ = self.listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # another worker was quicker, or the client thought better of it
        except OSError as bad:
            self.journal.error(f"cannot accept a connection: {bad.strerror or bad}")
            self._later(_OUT_OF_FILES)
            return
        taken.setblocking(False)
        taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pending += 1
        self._count()
        self._group.create_task(self._connect(taken))

    async def _connect(self, taken: socket.socket) -> None:
        tls = self.site.tls
        limit = {} if tls is None else {"ssl_handshake_timeout": _HANDSHAKE}
        try:
            await self._loop.connect_accepted_socket(self._connection, taken, ssl=tls, **limit)
        except (TimeoutError, OSError, ConnectionError) as failed:
            taken.close()
            if tls is not None and not isinstance(failed, ConnectionError):
                reason = getattr(failed, "reason", None) or type(failed).__name__
                self.journal.info(f"TLS handshake failed: {reason}")
        finally:
            self._pending -= 1
            self._count()

    def _connection(self) -> Connection:
        made = Connection(config=self._config, server_state=self._state, app_state={}, _loop=self._loop)
        made.doorkeeper = self._choose
        made.ended = self._ended
        made.present = self._present
        return made

    def _present(self) -> object:
        return self.site.application

    def _choose(self, transport: asyncio.BaseTransport) -> tuple[Any, bool]:
        """The application for a connection, and whether its client is welcome: else it is only told so."""
        secured = transport.get_extra_info("ssl_object")
        if secured is None:
            return self._dispatch, True
        shown = secured.getpeercert(binary_form=True) or b""
        words = self.site.refuses(shown)
        return (partial(self._known, shown), True) if words is None else (partial(_refuse, words), False)

    async def _known(self, shown: bytes, scope: Any, receive: Any, send: Any) -> None:
        """A connection whose client showed this certificate, or none."""
        scope[PEER] = shown
        await self._dispatch(scope, receive, send)

    def _ended(self, _: Connection) -> None:
        self._count()

    def _count(self) -> None:
        self.board.put(self.place, len(self._state.connections) + self._pending)

    async def _drain(self) -> None:
        """Take nothing new; let what has begun end."""
        self._deafen()
        self.board.absent(self.place)
        self.listener.close()
        for connection in list(self._state.connections):
            connection.shutdown()
        end = self._loop.time() + DRAIN
        while (self._state.connections or self._state.tasks or self._pending) and self._loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.02)  # uvicorn has no event for it
        for task in list(self._state.tasks):
            task.cancel()
        for connection in list(self._state.connections):
            connection.transport.abort()


async def _refuse(words: str, _scope: Any, _receive: Any, send: Any) -> None:
    answer = plain(_FORBIDDEN, words)
    headers = [*answer.headers, (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
