"""One service's whole matter, put together anew at each reload; a `workers.Site`."""

import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from groundplane.errors import Denied
from groundplane.pki.operators import side
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.operators.log import JsonJournal
from groundplane.pki.server import parts
from groundplane.pki.server.log import Lines
from groundplane.pki.server.model import PREFIX, Answer, Call, Endpoint
from groundplane.pki.server.routes import DANGEROUS, NAMES, routes
from groundplane.pki.server.services import Services
from groundplane.pki.server.settings import Settings
from groundplane.pki.server.site import Server, context
from groundplane.pki.service import audit, health, metrics
from groundplane.pki.service.access import objections
from groundplane.pki.service.guard import Guard
from groundplane.pki.service.model import CALLER, Caller, Service
from groundplane.pki.service.replay import Replays


class Watcher:
    """An observer: a line in the log, a line of the audit, and the counters, for every call."""

    def __init__(self, journal: JsonJournal, log: AuditLog | None, replays: Replays | None) -> None:
        self._journal = journal
        self._replays = replays
        self._audit = log

    def admit(self, endpoint: Endpoint, call: Call) -> None:
        """The guard has decided who; here it is whether it is the first time. Raises Refused."""
        if self._replays is not None and endpoint.name == "authsign":
            self._replays.admit(call.body)

    def answered(self, endpoint: Endpoint, call: Call, answer: Answer, *, seconds: float) -> None:
        """Raises Unavailable if the audit cannot be written."""
        metrics.count(endpoint, answer, seconds=seconds)
        self._journal.event(
            "call",
            endpoint=endpoint.name,
            client=call.client,
            caller=(CALLER.get() or Caller()).word,
            status=answer.status,
            code=answer.code,
            seconds=round(seconds, 6),
        )
        if self._audit is not None:
            audit.note(self._audit, endpoint, call, answer)


class ServiceSite:
    """See the module. `listener` is the second door's, shared by all workers; None: there is none."""

    def __init__(self, inner: Server, services: Services, guard: Guard, *, listener: socket.socket | None) -> None:
        self._inner = inner
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
                checks=lambda: health.look(self._services),
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


def build(service: Service, *, journal: JsonJournal, lines: Lines, listener: socket.socket | None) -> ServiceSite:
    """Read everything that the configuration names. Raises CfsslError, and Denied for one that must not start."""
    settings = replace(service.settings, disable=_disabled(service))
    services = parts.services(settings, journal)
    endpoints = routes(services, disabled=settings.disable.split(","))
    names = frozenset(path.removeprefix(PREFIX) for path in endpoints)
    if found := list(objections(service, names)):
        hint = "add tls.clientCA or access rules, disable them, or listen on 127.0.0.1"
        raise Denied("; ".join(found), to=service.source, hint=hint)
    replays = None
    if service.replay_window is not None and service.replay_state is not None:
        replays = Replays(path=service.replay_state, window=service.replay_window, clock=time.time)
    log = None if service.audit is None else AuditLog(path=service.audit)
    inner = Server(
        services,
        endpoints,
        settings=settings,
        lines=lines,
        tls=_tls(settings, service),
        observer=Watcher(journal, log, replays),
        access_log=False,
    )
    guard = Guard(inner.application, service, journal=journal, refused=_counted(endpoints), flush=lines.flush)
    return ServiceSite(inner, services, guard, listener=listener)


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


def _now() -> datetime:
    return datetime.now(UTC)
