"""Serve a responder: in as many processes as there are processors, until a signal; SIGHUP reads everything anew."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from groundplane.errors import GroundplaneError, Invalid, NotFound
from groundplane.pki.certdb import CertificateDatabase, DatabaseConfig, read_database_config
from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.keystore.open import open_ca_key
from groundplane.pki.ocsp.ledger import look_in
from groundplane.pki.ocsp.responder import Responder, open_responder
from groundplane.pki.ocsp.site import ResponderSite
from groundplane.pki.ocsp.sources import Live, Source
from groundplane.pki.seen import load_certificate
from groundplane.pki.server.workers import Master, listen, worker_count

_MOST_PORTS = 65535
_PATIENCE = timedelta(seconds=2)  # with the database: clients of OCSP do not wait long


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSettings:
    """Files of a live responder. Without `responder` the CA answers itself; `key` is of whichever answers."""

    database: Path
    ca: Path
    key: str
    responder: Path | None
    interval: timedelta
    path: str = "/"
    password: bytes | None = field(default=None, repr=False)


def run_live(settings: LiveSettings, *, address: str, port: int, workers: int, journal: Journal) -> None:
    """Until a signal. Raises GroundplaneError where it cannot begin."""
    _read(settings)  # the kind of error is lost below

    def load() -> ResponderSite:
        try:
            opener = _opener(*_read(settings), settings.interval)
        except GroundplaneError as bad:
            raise Plain(str(bad)) from bad
        return ResponderSite(open_source=opener, journal=journal, path=settings.path)

    try:
        run(load, load(), address=address, port=port, workers=workers, journal=journal)
    except CfsslError as bad:
        raise Invalid(str(bad), to=f"{address}:{port}", hint="choose another --address or --port") from bad


def run(
    load: Callable[[], ResponderSite], site: ResponderSite, *, address: str, port: int, workers: int, journal: Journal
) -> None:
    """Serve `site`, and what `load` makes after a SIGHUP. Raises CfsslError where it cannot listen."""
    logging.getLogger("uvicorn.error").disabled = True  # it tells of bad requests with tracebacks
    journal.info(f"Now listening on {f'[{address}]' if ':' in address else address}:{port}")
    if not 0 <= port <= _MOST_PORTS:
        raise Plain(f"listen tcp: address {port}: invalid port")
    listener = listen(address, port)
    Master(load=load, listener=listener, count=worker_count(workers), journal=journal).run(site)


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
    config: DatabaseConfig, responder: Responder, interval: timedelta
) -> Callable[[], tuple[Source, Callable[[], None]]]:
    def opener() -> tuple[Source, Callable[[], None]]:
        database = CertificateDatabase.open(config, patience=_PATIENCE)
        responders = (responder,)
        return Live(responders=responders, look=look_in(database, responders), interval=interval), database.close

    return opener


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
