"""Serve a responder: in as many processes as there are processors, until a signal; SIGHUP reads everything anew."""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from groundplane.aio.lifetime import notify
from groundplane.errors import GroundplaneError, Invalid, NotFound
from groundplane.pki.certdb import CertificateDatabase, DatabaseConfig, read_database_config
from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.cfssl.journal import Journal, Level
from groundplane.pki.keystore.open import open_ca_key
from groundplane.pki.keystore.uri import is_uri
from groundplane.pki.ocsp.ledger import look_in
from groundplane.pki.ocsp.responder import Responder, open_responder
from groundplane.pki.ocsp.site import Opened, ResponderSite
from groundplane.pki.ocsp.sources import Live
from groundplane.pki.operators.counters import counting
from groundplane.pki.operators.log import LEVELS, JsonJournal
from groundplane.pki.operators.watch import watching
from groundplane.pki.seen import load_certificate
from groundplane.pki.server.log import Lines
from groundplane.pki.server.workers import Master, listen, worker_count

_MOST_PORTS = 65535
_PATIENCE = timedelta(seconds=2)  # with the database: clients of OCSP do not wait long


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """Files of a live responder. Without `responder` the CA answers itself; `key` is of whichever answers.

    `metrics`: host and port of the operators' door, or None. `level`: one of `operators.log.LEVELS`.
    """

    database: Path
    ca: Path
    key: str
    responder: Path | None
    interval: timedelta
    path: str = "/"
    password: bytes | None = field(default=None, repr=False)
    metrics: tuple[str, int] | None = None
    level: str = "info"


def run_live(settings: LiveSettings, *, address: str, port: int, workers: int) -> None:
    """Until a signal; SIGHUP, or a file that changes, loads anew. Raises GroundplaneError where it cannot begin."""
    _read(settings)  # the kind of error is lost below
    lines = Lines()
    least = LEVELS[settings.level]
    journal = JsonJournal(write=lines.write, clock=lambda: datetime.now(UTC), least=least, component="ocsp")
    with ExitStack() as stack:
        door = None
        try:
            if settings.metrics is not None:
                stack.enter_context(counting())
                door = stack.enter_context(listen(*settings.metrics))

            def load() -> ResponderSite:
                try:
                    opener = _opener(*_read(settings), settings.interval, journal=journal, counted=door is not None)
                except GroundplaneError as bad:
                    raise Plain(str(bad)) from bad
                return ResponderSite(open=opener, journal=journal, path=settings.path, door=door)

            stack.enter_context(watching(lambda: files_of(settings)))
            run(
                load,
                load(),
                address=address,
                port=port,
                workers=workers,
                journal=journal,
                flush=lines.flush,
                told=notify,
                hopeful=False,
            )
        except CfsslError as bad:
            hint = "choose another --address, --port or --metrics"
            raise Invalid(str(bad), to=f"{address}:{port}", hint=hint) from bad
        finally:
            lines.flush()


def files_of(settings: LiveSettings) -> tuple[Path, ...]:
    """Everything that is read again when it is loaded anew."""
    key = () if is_uri(settings.key) else (Path(settings.key),)
    delegate = () if settings.responder is None else (settings.responder,)
    return (settings.database, settings.ca, *delegate, *key)


def run(
    load: Callable[[], ResponderSite],
    site: ResponderSite,
    *,
    address: str,
    port: int,
    workers: int,
    journal: Journal,
    flush: Callable[[], None] = lambda: None,
    told: Callable[[str], None] = lambda _: None,
    hopeful: bool = True,
) -> None:
    """Serve `site`, and what `load` makes after a SIGHUP; `told` hears sd_notify(3)'s words.

    `hopeful`: the log says that it listens before it is tried, as CFSSL does. Raises CfsslError where it cannot listen.
    """
    logging.getLogger("uvicorn.error").disabled = True  # it tells of bad requests with tracebacks
    listening = f"Now listening on {f'[{address}]' if ':' in address else address}:{port}"
    if hopeful:
        journal.info(listening)
    if not 0 <= port <= _MOST_PORTS:
        raise Plain(f"listen tcp: address {port}: invalid port")
    listener = listen(address, port)
    if not hopeful:
        journal.info(listening)
    flush()
    told("READY=1")
    count = worker_count(workers)
    Master(load=load, listener=listener, count=count, journal=journal, flush=flush, told=told).run(site)
    told("STOPPING=1")


def _read(settings: LiveSettings) -> tuple[DatabaseConfig, Responder]:
    """Everything that the files say. Raises GroundplaneError."""
    config = read_database_config(_content(settings.database), source=str(settings.database))
    ca = load_certificate(_content(settings.ca), source=str(settings.ca))
    theirs = settings.responder
    certificate = ca if theirs is None else load_certificate(_content(theirs), source=str(theirs))
    now = datetime.now(UTC)
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        span = f"from {certificate.not_valid_before_utc:%F %T} to {certificate.not_valid_after_utc:%F %T} UTC"
        raise Invalid(f"it is valid only {span}", to=str(theirs or settings.ca), hint="renew it")
    signer = open_ca_key(settings.key, password=settings.password)
    return config, open_responder(ca, certificate, signer)


def _opener(
    config: DatabaseConfig, responder: Responder, interval: timedelta, *, journal: JsonJournal, counted: bool
) -> Callable[[], Opened]:
    def said(outcome: str, seconds: float) -> None:
        journal.detail("answered", outcome=outcome, milliseconds=round(seconds * 1000, 3))

    each = [said] if journal.least <= Level.DEBUG else []

    def opener() -> Opened:
        database = CertificateDatabase.open(config, patience=_PATIENCE)
        responders = (responder,)
        source = Live(responders=responders, look=look_in(database, responders), interval=interval)
        if not counted:
            return Opened(source=source, end=database.close, answered=_all(each))
        from groundplane.pki.ocsp import health, metrics
        from groundplane.pki.operators.side import Side

        ends = responder.certificate.not_valid_after_utc.timestamp()
        side = Side(metrics=lambda: metrics.exposition(ends), checks=lambda: health.look(database, responder))
        source.signed = metrics.signed
        return Opened(source=source, end=database.close, side=side, answered=_all([metrics.count, *each]))

    return opener


def _all(observers: Sequence[Callable[[str, float], None]]) -> Callable[[str, float], None]:
    if len(observers) == 1:
        return observers[0]

    def tell(outcome: str, seconds: float) -> None:
        for observer in observers:
            observer(outcome, seconds)

    return tell


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
