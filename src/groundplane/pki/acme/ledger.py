"""The certificate database, as the ACME server uses it: record what is issued, find it again, revoke it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography import x509

from groundplane.pki.acme import metrics
from groundplane.pki.certdb import CertificateRecord, Status, record_of
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.seen import see


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A certificate of the database."""

    pem: str
    revoked: bool


class Ledger(Protocol):
    """What was issued. A certificate that was not recorded does not leave the server."""

    def record(self, certificate: x509.Certificate, *, about: Mapping[str, str], now: datetime) -> None:
        """Raises Exists if its serial number is recorded already."""

    def find(self, serial: int) -> Recorded | None:
        """By serial number."""

    def revoke(self, serial: int, *, reason: int, at: datetime) -> bool:
        """From now on; whether it was not yet. Raises NotFound."""


class WatchedLedger:
    """A ledger that counts, and that writes a line of the audit before anybody has what it is about."""

    def __init__(self, inner: Ledger, audit: AuditLog | None) -> None:
        self._inner = inner
        self._audit = audit

    def record(self, certificate: x509.Certificate, *, about: Mapping[str, str], now: datetime) -> None:
        """Raises Exists, and Unavailable if the line cannot be written."""
        self._inner.record(certificate, about=about, now=now)
        metrics.ISSUED.inc()
        names = alternative_names(certificate)
        self._line(
            "issued",
            certificate.serial_number,
            names=names,
            not_after=f"{certificate.not_valid_after_utc:%FT%TZ}",
            **about,
        )

    def find(self, serial: int) -> Recorded | None:
        """By serial number."""
        return self._inner.find(serial)

    def revoke(self, serial: int, *, reason: int, at: datetime) -> bool:
        """From now on; whether it was not yet. Raises NotFound, and Unavailable if the line cannot be written."""
        is_news = self._inner.revoke(serial, reason=reason, at=at)
        if is_news:
            metrics.REVOKED.inc()
            self._line("revoked", serial, reason=reason)
        return is_news

    def _line(self, event: str, serial: int, **fields: object) -> None:
        if self._audit is not None:
            self._audit.write({"door": "acme", "event": event, "serial": str(serial), **fields})


def alternative_names(certificate: x509.Certificate) -> list[str]:
    """Its DNS names and addresses."""
    return list(see(certificate).names.texts())


class Database(Protocol):
    """What is used of `certdb.CertificateDatabase`."""

    def insert(self, record: CertificateRecord) -> None:
        """A new row."""

    def find(self, serial: int, authority_key_id: str) -> CertificateRecord | None:
        """The row of this name."""

    def withdraw(self, serial: int, authority_key_id: str, *, reason: int, at: datetime) -> bool:
        """Revoke it for good; whether it was not yet. Raises NotFound."""


class CertificateLedger:
    """CFSSL's table of certificates."""

    def __init__(self, database: Database, *, authority_key_id: str, label: str = "acme") -> None:
        self._database = database
        self._key_id = authority_key_id
        self._label = label

    def record(self, certificate: x509.Certificate, *, about: Mapping[str, str], now: datetime) -> None:
        """Raises Exists if its serial number is recorded already."""
        self._database.insert(record_of(certificate, label=self._label, metadata=about, now=now))

    def find(self, serial: int) -> Recorded | None:
        """By serial number."""
        found = self._database.find(serial, self._key_id)
        return None if found is None else Recorded(pem=found.pem, revoked=found.status is Status.REVOKED)

    def revoke(self, serial: int, *, reason: int, at: datetime) -> bool:
        """From now on; whether it was not yet. Raises NotFound."""
        return self._database.withdraw(serial, self._key_id, reason=reason, at=at)
