"""Serve: load, bind, fork, until a signal."""

import logging
import re

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.multiroot.site import MultirootSite, Settings, build
from groundplane.pki.server.log import Lines
from groundplane.pki.server.services import utc_now
from groundplane.pki.server.workers import Master, listen, worker_count

_PLACE = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*)):([^:]*)")
_LARGEST_PORT = 65535


def run(settings: Settings, *, journal: Journal, lines: Lines, workers: int = 0) -> None:
    """Raises CfsslError where it cannot begin."""
    logging.getLogger("uvicorn.error").disabled = True  # it tells of bad requests with tracebacks
    try:
        site, counters = build(settings, journal=journal, clock=utc_now, counters=None, flush=lines.flush)
        journal.info(f"Now listening on {'https:// ' if settings.secured else ''}{settings.address}")
        host, port = parse_place(settings.address)
        listener = listen(host, port)
    finally:
        lines.flush()

    def load() -> MultirootSite:
        with lines.unheard():
            return build(settings, journal=journal, clock=utc_now, counters=counters, flush=lines.flush)[0]

    Master(load=load, listener=listener, count=worker_count(workers), journal=journal, flush=lines.flush).run(site)


def parse_place(text: str) -> tuple[str, int]:
    """Host and port; no host is all addresses. Raises Plain in Go's words."""
    found = _PLACE.fullmatch(text)
    if found is None:
        what = "too many colons in address" if ":" in text else "missing port in address"
        raise Plain(f"listen tcp: address {text}: {what}")
    host, port = found[1] or found[2] or "", found[3]
    if port in {"http", "https"}:
        return host, 80 if port == "http" else 443
    if port and (not port.isascii() or not port.isdigit()):
        raise Plain(f"listen tcp: lookup tcp/{port}: unknown port")
    if len(port) > 5 or int(port or 0) > _LARGEST_PORT:  # noqa: PLR2004 - digits of a port
        raise Plain(f"listen tcp: address {port}: invalid port")
    return host, int(port or 0)
