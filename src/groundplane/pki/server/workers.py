"""Several processes that share a listening socket, and the one that looks after them.

The master loads what is to be served, forks the workers, and starts another when one dies. SIGTERM and SIGINT: the
workers finish what they have begun, within `DRAIN` seconds. SIGHUP: the master loads everything anew; when that
succeeds each worker does too, and serves it from its next request on, old connections included; when it fails the old
stays. A worker whose master is gone ends.

Forking comes first: no thread and no event loop may exist before it. What a site needs of these it makes in `start`.
"""

import errno
import mmap
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, NoReturn, Protocol

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal

DRAIN = 20.0  # seconds
_SHORT_LIFE = 1.0  # seconds; a worker that dies sooner is not restarted at once
_MOST_WORKERS = 8
_LARGEST_PORT = 65535
_NOBODY = 2**31 - 1  # connections of a worker that is not there: nobody waits for it
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def ignored_from_the_start(number: signal.Signals) -> bool:
    """Whether whoever started this process wants it to survive the signal: a shell does of SIGINT for what ends in &.

    Holds as long as no handler has been set for it here.
    """
    return signal.getsignal(number) is signal.SIG_IGN


class Site(Protocol):
    """What is served. Made in the master and in each worker at a reload; `start` and `close` are called in workers."""

    @property
    def application(self) -> Any:
        """An ASGI application."""

    @property
    def tls(self) -> ssl.SSLContext | None:
        """For new connections; None serves HTTP."""

    def refuses(self, der: bytes) -> str | None:
        """What a client with this certificate is told instead of being served; None: it is welcome."""

    def start(self) -> None:
        """Open what a fork must not share: databases, threads."""

    def retire(self) -> None:
        """Another is served from now on, but for what has begun: give up what only one should have."""

    def close(self) -> None:
        """Let it go."""


class Board:
    """How many connections each worker has, in memory that all share, so that they can be even."""

    def __init__(self, size: int) -> None:
        self._cells = memoryview(mmap.mmap(-1, 4 * size)).cast("i")
        self._cells[:] = memoryview((_NOBODY).to_bytes(4, sys.byteorder) * size).cast("i")

    def put(self, place: int, count: int) -> None:
        """The count of one worker."""
        self._cells[place] = count

    def absent(self, place: int) -> None:
        """A worker that is not there."""
        self._cells[place] = _NOBODY

    def is_least(self, place: int) -> bool:
        """Whether nobody has fewer."""
        return self._cells[place] <= min(self._cells)


@dataclass(slots=True, kw_only=True)
class Master:
    """Serve what `load` makes at `listener` with `count` workers; `load` raises CfsslError.

    `told` hears of reloads, in the words of sd_notify(3).
    """

    load: Callable[[], Site]
    listener: socket.socket
    count: int
    journal: Journal
    flush: Callable[[], None] = lambda: None
    told: Callable[[str], None] = lambda _: None
    _site: Site = field(init=False)
    _board: Board = field(init=False)
    _workers: dict[int, tuple[int, float]] = field(default_factory=dict)
    _due: dict[int, float] = field(default_factory=dict)
    _lifeline: tuple[int, int] = (-1, -1)

    def run(self, site: Site) -> int:
        """Until a signal; `site` is the first. Returns the exit code."""
        # Before the forks: a worker that is still importing leaves all of the first connections to the others.
        import groundplane.pki.server.worker  # noqa: F401

        self._site = site
        self._board = Board(self.count)
        self._lifeline = os.pipe()
        self.listener.setblocking(False)
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            for place in range(self.count):
                self._fork(place)
            return self._watch()
        finally:
            for pid in self._workers:
                os.kill(pid, signal.SIGKILL)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _watch(self) -> int:
        while True:
            soonest = min(self._due.values(), default=None)
            wait = 3600.0 if soonest is None else max(0.0, soonest - time.monotonic())
            found = signal.sigtimedwait(_SIGNALS, wait)
            number = None if found is None else found.si_signo
            if number == signal.SIGTERM or (number == signal.SIGINT and not ignored_from_the_start(signal.SIGINT)):
                return self._drain()
            if number == signal.SIGHUP:
                self.told(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
                self._reload()
                self.told("READY=1")
            self._reap()
            for place in [place for place, due in self._due.items() if due <= time.monotonic()]:
                del self._due[place]
                self._fork(place)
            self.flush()

    def _reload(self) -> None:
        try:
            self._site = self.load()
        except CfsslError as bad:
            self.journal.error(f"reload failed, nothing is changed: {bad}")
            return
        for pid in self._workers:
            os.kill(pid, signal.SIGHUP)
        self.journal.info("reloaded")

    def _drain(self) -> int:
        for pid in self._workers:
            os.kill(pid, signal.SIGTERM)
        self._due.clear()
        end = time.monotonic() + DRAIN + 2
        while self._workers and (left := end - time.monotonic()) > 0:
            signal.sigtimedwait((signal.SIGCHLD,), min(left, 0.5))
            self._reap(restart=False)
        return 0

    def _reap(self, *, restart: bool = True) -> None:
        for pid, (place, started) in list(self._workers.items()):
            if os.waitpid(pid, os.WNOHANG)[0] == 0:
                continue
            del self._workers[pid]
            self._board.absent(place)
            if restart:
                self.journal.error(f"worker {pid} is gone; another takes its place")
                now = time.monotonic()
                self._due[place] = now if now - started > _SHORT_LIFE else now + _SHORT_LIFE

    def _fork(self, place: int) -> None:
        self.flush()  # or two would write it
        self._board.put(place, 0)
        pid = os.fork()
        if pid == 0:
            self._work(place)
        self._workers[pid] = (place, time.monotonic())

    def _work(self, place: int) -> NoReturn:
        code = 1
        try:
            os.close(self._lifeline[1])
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of a terminal; the master sees to it
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            from groundplane.pki.server.worker import Worker

            Worker(
                site=self._site,
                load=self.load,
                listener=self.listener,
                board=self._board,
                place=place,
                lifeline=self._lifeline[0],
                journal=self.journal,
                flush=self.flush,
            ).run()
            code = 0
        except Exception as mistake:  # noqa: BLE001 - said in one line; the master starts another
            self.journal.error(f"a worker ended: {type(mistake).__name__}: {mistake}")
        finally:
            self.flush()
            os._exit(code)


def worker_count(wanted: int = 0) -> int:
    """As many as there are processors for us, within reason, unless told."""
    return wanted or min(len(os.sched_getaffinity(0)), _MOST_WORKERS)


def _is_shorthand(address: str) -> bool:
    """What inet_aton(3) alone takes for an address: `0` would be all of them, and `127.1` is loopback."""
    try:
        ip_address(address)
    except ValueError:
        try:
            socket.inet_aton(address)
        except (OSError, UnicodeError):
            return False
        return True
    return False


def listen(address: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises CfsslError in Go's words."""
    from groundplane.pki.cfssl.errors import Plain

    shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if not 0 <= port <= _LARGEST_PORT:
        raise Plain(f"listen tcp: address {port}: invalid port")
    if _is_shorthand(address):
        raise Plain(f"listen tcp: lookup {address}: no such host")
    try:
        found = socket.getaddrinfo(address or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as unknown:
        raise Plain(f"listen tcp: lookup {address}: no such host") from unknown
    family, kind, protocol, _, place = min(found, key=lambda one: one[0] != socket.AF_INET6 or bool(address))
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6 and not address:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # all addresses, of both kinds
        listener.bind(place)
        listener.listen(1024)
    except (OSError, OverflowError) as bad:
        listener.close()
        number = getattr(bad, "errno", None)
        words = (os.strerror(number) if number else str(bad)).lower()
        raise Plain(f"listen tcp {shown}: {'listen' if number == errno.EOPNOTSUPP else 'bind'}: {words}") from bad
    return listener
