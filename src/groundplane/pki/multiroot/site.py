"""One multirootca's whole matter, from its settings; a reload makes another. See `groundplane.pki.server.workers`."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.multiroot.counters import RootCounters
from groundplane.pki.multiroot.endpoints import Roots, endpoints
from groundplane.pki.multiroot.roots import Root, load_roots
from groundplane.pki.server.app import Application
from groundplane.pki.server.tls import server_context


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The program's flags. Files are named, not read: a reload reads them again."""

    roots: str
    address: str = ":8888"
    label: str = ""
    tls_cert: str = ""
    tls_key: str = ""

    @property
    def secured(self) -> bool:
        """Whether it speaks TLS: one of the two files is enough to want it."""
        return bool(self.tls_cert or self.tls_key)


class MultirootSite:
    """See the module; a `workers.Site`."""

    def __init__(self, application: Application, tls: ssl.SSLContext | None, roots: dict[str, Root]) -> None:
        self.application = application
        self.tls = tls
        self.roots = roots

    def refuses(self, _der: bytes) -> str | None:
        """Nobody: clients show no certificates here."""
        return None

    def start(self) -> None:
        """Nothing is open before."""

    def retire(self) -> None:
        """There is nothing that only one should have."""

    def close(self) -> None:
        """Threads and databases."""
        self.application.close()
        for root in self.roots.values():
            if root.signers.database is not None:
                root.signers.database.close()


def build(
    settings: Settings,
    *,
    journal: Journal,
    clock: Callable[[], datetime],
    counters: RootCounters | None,
    flush: Callable[[], None],
) -> tuple[MultirootSite, RootCounters]:
    """Read everything. Raises CfsslError."""
    roots = load_roots(settings.roots, clock=clock, journal=journal)
    counters = counters or RootCounters(roots)
    counters.know(roots)
    known = Roots(roots=roots, default=settings.label, counters=counters, journal=journal)
    application = Application(endpoints(known), journal=journal, flush=flush)
    return MultirootSite(application, context(settings), roots), counters


def context(settings: Settings) -> ssl.SSLContext | None:
    """TLS, if it is asked for. Raises CfsslError."""
    if not settings.secured:
        return None
    return server_context(certificate=Path(settings.tls_cert), key=Path(settings.tls_key), clients=None, oldest="")
