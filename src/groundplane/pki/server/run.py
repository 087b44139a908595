"""Serve: bind, load, fork, until a signal."""

import logging

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.server.log import Lines
from groundplane.pki.server.settings import Settings
from groundplane.pki.server.site import Server, build, listening
from groundplane.pki.server.workers import Master, listen, worker_count


def run(settings: Settings, *, journal: Journal, lines: Lines, workers: int = 0) -> None:
    """Raises CfsslError where it cannot begin."""
    logging.getLogger("uvicorn.error").disabled = True  # it tells of bad requests with tracebacks
    try:
        site = build(settings, journal=journal, lines=lines)
        journal.info(listening(settings))
        listener = listen(settings.address, settings.port)
    finally:
        lines.flush()

    def load() -> Server:
        with lines.unheard():
            return build(settings, journal=journal, lines=lines)

    Master(load=load, listener=listener, count=worker_count(workers), journal=journal, flush=lines.flush).run(site)
