"""What a service's configuration names, tried before it is served: a server that could not do its work does not start.

CFSSL's own server starts without what it cannot read, and with a key that is not its CA's.
"""

from datetime import timedelta
from pathlib import Path

from cryptography import x509

from groundplane.errors import Invalid, NotFound, Unavailable, of_os
from groundplane.pki.authority import Authority
from groundplane.pki.certdb import CertificateDatabase, read_database_config
from groundplane.pki.certdb.faults import StoreFailed
from groundplane.pki.keystore.open import open_ca_key
from groundplane.pki.ocsp.responder import open_responder
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.operators.place import need_writable
from groundplane.pki.seen import load_certificate, same_key
from groundplane.pki.server import parts
from groundplane.pki.server.settings import Settings
from groundplane.pki.service.model import Service
from groundplane.pki.service.watch import named_in

_PATIENCE = timedelta(seconds=5)  # with a database that is just being started, too


def check(service: Service, *, connect: bool) -> None:
    """Writes and makes nothing. `connect`: ask the database too. Raises GroundplaneError, CfsslError."""
    settings = service.settings
    if service.metrics == service.listen:
        raise Invalid(
            f"metrics are at {service.metrics}, too", to=f"{service.source}: listen", hint="choose another port"
        )
    for path in named_in(service).values():
        _read(path)
    if service.audit is not None:
        AuditLog(path=service.audit).check()
    if service.replay_state is not None:
        try:
            need_writable(service.replay_state)
        except OSError as bad:
            raise of_os(bad, to=service.replay_state) from bad
    if _signs_here(settings):
        _check_ca(settings)
    if settings.responder:
        _check_responder(settings)
    if settings.secured:
        _check_tls(settings)
    if settings.db_config and connect:
        _check_database(Path(settings.db_config))


def _signs_here(settings: Settings) -> bool:
    from groundplane.pki.cfssl.signers import needs_local

    return needs_local(parts.policy(settings), settings.remote)


def _check_ca(settings: Settings) -> None:
    path = _path(settings.ca)
    Authority(_certificate(path), open_ca_key(settings.ca_key, password=settings.ca_password or None), source=str(path))


def _check_responder(settings: Settings) -> None:
    certificate = _certificate(Path(settings.responder))
    open_responder(_certificate(_path(settings.ca)), certificate, open_ca_key(settings.responder_key))


def _check_tls(settings: Settings) -> None:
    certificate = _certificate(Path(settings.tls_cert))
    if not same_key(certificate, open_ca_key(settings.tls_key).public_key):
        happened = f"the key is not that of {settings.tls_cert}"
        raise Invalid(happened, to=settings.tls_key, hint="give the two that belong together")
    if settings.mutual_tls_ca:
        _certificate(Path(settings.mutual_tls_ca))


def _check_database(path: Path) -> None:
    database = CertificateDatabase.open(
        read_database_config(_read(path), source=str(path)), connections=1, patience=_PATIENCE
    )
    source = database.source
    try:
        if source.driver == "sqlite3" and not source.in_memory and not source.arguments.get("uri"):
            file = Path(source.name)
            if not file.exists():  # or asking would make an empty one
                hint = f"make it: groundplane pki db init --db-config {path}"
                raise NotFound("there is no such database", to=file, hint=hint)
        database.ping()
    except StoreFailed as bad:
        hint = f"name another, or if it is new: groundplane pki db init --db-config {path}"
        raise Unavailable(f"certificates cannot be looked up in it: {bad.words}", to=path, hint=hint) from bad
    finally:
        database.close()


def _certificate(path: Path) -> x509.Certificate:
    return load_certificate(_read(path), source=str(path))


def _path(text: str) -> Path:
    return Path(text.removeprefix("file:"))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
