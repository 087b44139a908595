"""Health with depth: whether the responder could answer now."""

from datetime import UTC, datetime, timedelta

from groundplane.pki.certdb import CertificateDatabase
from groundplane.pki.ocsp.responder import Responder
from groundplane.pki.operators.side import Check, tried

_SOON = timedelta(days=1)  # what a delegate is renewed within


def look(database: CertificateDatabase, responder: Responder) -> tuple[Check, ...]:
    """Try everything: the database, the responder's certificate, its key."""
    return (
        tried("database", database.ping),
        tried("certificate", lambda: _certificate(responder)),
        tried("key", lambda: responder.key.sign_bytes(b"health")),
    )


def _certificate(responder: Responder) -> None:
    end = responder.certificate.not_valid_after_utc
    if end - datetime.now(UTC) <= _SOON:
        raise ValueError(f"the responder's certificate ends on {end:%F %H:%M}")
