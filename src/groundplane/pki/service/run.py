"""Serve: bind, load, fork, until a signal; SIGHUP, or a file that changes, loads anew."""

import contextlib
import logging
import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from groundplane.aio.lifetime import notify
from groundplane.errors import Failed, GroundplaneError
from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.operators.counters import counting
from groundplane.pki.operators.log import LEVELS, JsonJournal
from groundplane.pki.operators.trail import Lost
from groundplane.pki.operators.watch import watching
from groundplane.pki.server.log import Lines
from groundplane.pki.server.site import listening
from groundplane.pki.server.workers import Master, Site, listen, worker_count
from groundplane.pki.service.model import Address, Service
from groundplane.pki.service.watch import files_of


def run(path: Path, load: Callable[[], Service]) -> int:
    """Serve what `load` reads from `path`. Raises GroundplaneError where it cannot begin; returns the exit code."""
    logging.getLogger("uvicorn.error").disabled = True  # it tells of bad requests with tracebacks
    service = load()
    lines = Lines()
    journal = JsonJournal(write=lines.write, clock=_now, least=LEVELS[service.level])
    with contextlib.ExitStack() as stack:
        stack.enter_context(counting())
        from groundplane.pki.service.site import build

        lost, first = Lost(), os.getpid()
        try:
            side = None if service.metrics is None else stack.enter_context(_listen(service.metrics))
            site = build(service, journal=journal, lines=lines, listener=side, lost=lost)
            listener = stack.enter_context(_listen(service.listen))
        except CfsslError as bad:
            raise Failed(str(bad), to=service.source, hint="choose another address") from bad
        finally:
            lines.flush()
        journal.info(listening(service.settings))

        def again() -> Site:
            is_first = os.getpid() == first  # the workers load what the master has tried, between their calls
            try:
                with lines.unheard():
                    return build(load(), journal=journal, lines=lines, listener=side, lost=lost, connect=is_first)
            except GroundplaneError as bad:
                raise Plain(str(bad)) from bad
            except Exception as mistake:  # ours: what is served stays, as with one in the file
                raise Plain(f"internal error: {type(mistake).__name__}: {mistake}") from mistake

        stack.enter_context(watching(lambda: files_of(load(), path)))
        notify("READY=1")
        count = worker_count(service.workers)
        master = Master(load=again, listener=listener, count=count, journal=journal, flush=lines.flush, told=notify)
        code = master.run(site)
        notify("STOPPING=1")
        return code


def check(load: Callable[[], Service]) -> Service:
    """Read and try everything as `run` does, but bind nothing and write nothing. Raises GroundplaneError."""
    from groundplane.pki.service.site import build

    service, lines = load(), Lines()
    journal = JsonJournal(write=lambda _: None, clock=_now)
    build(service, journal=journal, lines=lines, listener=None, lost=Lost()).close()
    return service


def read(path: Path) -> bytes:
    """The configuration's bytes. Raises NotFound."""
    from groundplane.errors import NotFound

    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="give --config") from bad


def _listen(address: Address) -> socket.socket:
    return listen(address.host, address.port)


def _now() -> datetime:
    return datetime.now(UTC)
