"""One server's whole matter, from its settings: services, endpoints, page, TLS. A reload makes another.

Made in the master before it forks, so it opens nothing that a fork must not share; `start`, in a worker, opens the
database.
"""

import ssl
from collections.abc import Mapping
from pathlib import Path

from groundplane.errors import Invalid
from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.scan.pattern import Pattern
from groundplane.pki.server import parts
from groundplane.pki.server.app import Application
from groundplane.pki.server.log import Lines
from groundplane.pki.server.model import Endpoint, Observer
from groundplane.pki.server.pages import Page
from groundplane.pki.server.routes import PAGES, routes
from groundplane.pki.server.services import Services
from groundplane.pki.server.settings import Settings
from groundplane.pki.server.tls import common_name, server_context


class Server:
    """See the module; a `workers.Site`."""

    def __init__(
        self,
        services: Services,
        endpoints: Mapping[str, Endpoint],
        *,
        settings: Settings,
        lines: Lines,
        tls: ssl.SSLContext | None,
        observer: Observer | None = None,
        access_log: bool = True,
    ) -> None:
        self._services = services
        self._wanted = Pattern(settings.mutual_tls_cn) if settings.mutual and settings.mutual_tls_cn else None
        self._wanted_text = settings.mutual_tls_cn
        self.tls = tls
        self.application = Application(
            endpoints,
            journal=services.journal,
            pages=None if PAGES in settings.disable.split(",") else Page(),
            observer=observer,
            flush=lines.flush,
            access_log=access_log,
        )

    def refuses(self, der: bytes) -> str | None:
        """Clients whose common name is not the wanted one."""
        if self._wanted is None:
            return None
        name = common_name(der)
        if self._wanted(name):
            return None
        words = f'Rejected client cert CN "{name}" does not match regex {self._wanted_text}'
        self._services.journal.warning(words)
        return "Invalid CN"

    def start(self) -> None:
        """Nothing is open before."""

    def retire(self) -> None:
        """There is nothing that only one should have."""

    def close(self) -> None:
        """Threads and database."""
        self.application.close()
        if self._services.database is not None:
            self._services.database.close()


def build(settings: Settings, *, journal: Journal, lines: Lines, observer: Observer | None = None) -> Server:
    """Read everything, and say in the log what is there. Raises CfsslError for what CFSSL would not start with."""
    services = parts.services(settings, journal)
    disabled = settings.disable.split(",") if settings.disable else []
    endpoints = routes(services, disabled=disabled)
    try:
        Pattern(settings.mutual_tls_cn)
    except Invalid as bad:
        raise Plain(f"malformed CN regex: {bad.happened}") from bad
    return Server(services, endpoints, settings=settings, lines=lines, tls=context(settings), observer=observer)


def context(settings: Settings) -> ssl.SSLContext | None:
    """TLS, if it is asked for. Raises CfsslError."""
    if not settings.secured:
        return None
    return server_context(
        certificate=Path(settings.tls_cert),
        key=Path(settings.tls_key),
        clients=Path(settings.mutual_tls_ca) if settings.mutual else None,
        oldest=settings.min_tls_version,
    )


def listening(settings: Settings) -> str:
    """The line that says so."""
    if settings.mutual:
        return f"Now listening with mutual TLS on https://{settings.place}"
    return f"Now listening on {'https://' if settings.secured else ''}{settings.place}"
