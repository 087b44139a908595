"""Health with depth: not only whether it answers, but whether it could do its work now."""

from datetime import UTC, datetime, timedelta

from cryptography import x509

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.load import certificate_of_pem
from groundplane.pki.operators.side import Check, tried
from groundplane.pki.operators.trail import Trail
from groundplane.pki.server.services import Services

_SOON = timedelta(days=7)


def look(services: Services, trail: Trail | None) -> tuple[Check, ...]:
    """Try everything: the CA's certificate and key, the database, the audit."""
    checks = [tried("ca", lambda: _ca(services))]
    if services.database is not None:
        checks.append(tried("database", services.database.ping))
    if trail is not None:
        checks.append(tried("audit", trail.check))
    return tuple(checks)


def ca_ends(services: Services) -> float | None:
    """When the CA's certificate ends, in Unix time; None where there is no CA here."""
    certificate = _certificate(services)
    return None if certificate is None else certificate.not_valid_after_utc.timestamp()


def _ca(services: Services) -> None:
    if services.signers is None:
        raise ValueError("there is no CA")
    certificate = _certificate(services)
    if certificate is None:
        return
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    if left <= _SOON:
        raise ValueError(f"the CA ends on {certificate.not_valid_after_utc:%F %H:%M}")


def _certificate(services: Services) -> x509.Certificate | None:
    if services.signers is None:
        return None
    try:
        info = services.signers.info(label="", profile="")
        return certificate_of_pem(info.certificate.encode())
    except (CfsslError, ValueError):
        return None
