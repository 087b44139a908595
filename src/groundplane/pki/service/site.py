"""One service's whole matter, put together anew at each reload; a `workers.Site`."""

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from groundplane.errors import Denied, Invalid
from groundplane.pki.cfssl.errors import CfsslError, Coded
from groundplane.pki.operators import side
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.operators.log import JsonJournal
from groundplane.pki.operators.trail import Lost, Trail
from groundplane.pki.server import parts
from groundplane.pki.server.log import Lines
from groundplane.pki.server.model import PREFIX, Endpoint
from groundplane.pki.server.routes import DANGEROUS, NAMES, routes
from groundplane.pki.server.services import Services
from groundplane.pki.server.settings import Settings
from groundplane.pki.server.site import Server, context
from groundplane.pki.service import health, metrics, named
from groundplane.pki.service.access import objections
from groundplane.pki.service.guard import Guard
from groundplane.pki.service.model import Service
from groundplane.pki.service.observer import Watcher
from groundplane.pki.service.replay import Replays


class ServiceSite:
    """See the module. `listener` is the second door's, shared by all workers; None: there is none."""

    def __init__(
        self,
        inner: Server,
        services: Services,
        guard: Guard,
        *,
        trail: Trail | None,
        listener: socket.socket | None,
    ) -> None:
        self._inner = inner
        self._trail = trail
        self._services = services
        self._listener = listener
        self._side: side.SideServer | None = None
        self._task: Any = None
        self.application = guard

    @property
    def tls(self) -> ssl.SSLContext | None:
        """The first door's."""
        return self._inner.tls

    def refuses(self, der: bytes) -> str | None:
        """Nobody: the guard tells them apart."""
        return self._inner.refuses(der)

    def start(self) -> None:
        """In a worker: open the second door."""
        self._inner.start()
        if self._listener is not None:
            door = side.Side(
                metrics=lambda: metrics.exposition(health.ca_ends(self._services)),
                checks=lambda: health.look(self._services, self._trail),
            )
            self._side, self._task = side.serve(door, self._listener)

    def retire(self) -> None:
        """The successor has the second door."""
        if self._side is not None:
            self._side.should_exit = True

    def close(self) -> None:
        """Close both."""
        self.retire()
        self._inner.close()


def build(
    service: Service,
    *,
    journal: JsonJournal,
    lines: Lines,
    listener: socket.socket | None,
    lost: Lost,
    connect: bool = True,
) -> ServiceSite:
    """Read everything that the configuration names, and try it; `connect` False: but for the database. Writes nothing.

    Raises GroundplaneError for the first thing that is wrong: Denied for what would be open to everybody.
    """
    settings = replace(service.settings, disable=_disabled(service))
    try:
        named.check(service, connect=connect)
        services = parts.services(settings, journal)
        if services.no_bundles and (settings.ca_bundle or settings.int_bundle):
            raise Invalid(services.no_bundles, to=f"{service.source}: bundles", hint="mend what it names")
        endpoints = routes(services, disabled=settings.disable.split(","), told=journal.info)
        tls = _tls(settings, service)
    except CfsslError as bad:
        words = bad.text if isinstance(bad, Coded) else str(bad)
        raise Invalid(words, to=service.source, hint="mend what it names") from bad
    names = frozenset(path.removeprefix(PREFIX) for path in endpoints)
    if found := list(objections(service, names)):
        hint = "add tls.clientCA or access rules, disable them, or listen on 127.0.0.1"
        raise Denied("; ".join(found), to=service.source, hint=hint)
    replays = None
    if service.replay_window is not None and service.replay_state is not None:
        replays = Replays(path=service.replay_state, window=service.replay_window, clock=time.time)
    trail = None
    if service.audit is not None:
        trail = Trail(AuditLog(path=service.audit), lost=lost, failed=metrics.UNTOLD.inc)
    inner = Server(
        services,
        endpoints,
        settings=settings,
        lines=lines,
        tls=tls,
        observer=Watcher(journal, trail, replays),
        access_log=False,
    )
    guard = Guard(inner.application, service, journal=journal, refused=_counted(endpoints), flush=lines.flush)
    return ServiceSite(inner, services, guard, trail=trail, listener=listener)


def _disabled(service: Service) -> str:
    """What the file says, and the dangerous ones that it does not name."""
    off = {name for name in service.settings.disable.split(",") if name} | (DANGEROUS - service.enabled)
    return ",".join(sorted(off))


def _tls(settings: Settings, service: Service) -> ssl.SSLContext | None:
    """Client certificates are asked for, and needed only where no other way in is left."""
    made = context(settings)
    if made is not None and settings.mutual and any(rule.tokens or rule.anyone for rule in service.rules):
        made.verify_mode = ssl.CERT_OPTIONAL
    return made


def _counted(endpoints: Mapping[str, Endpoint]) -> Callable[[str, int], None]:
    known = NAMES & {path.removeprefix(PREFIX) for path in endpoints}
    return lambda endpoint, status: metrics.refused(endpoint, status, frozenset(known))
