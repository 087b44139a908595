"""Serve: bind, load, fork, until a signal."""

import logging
from dataclasses import replace

from groundplane.pki.cfssl.journal import Journal, Level
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
    quiet = replace(journal, least=Level.ERROR)  # what is there was said at the start

    def load() -> Server:
        try:
            return build(settings, journal=quiet, lines=lines)
        finally:
            lines.flush()

    Master(load=load, listener=listener, count=worker_count(workers), journal=journal, flush=lines.flush).run(site)
