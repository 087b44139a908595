"""The certificate database, as the ACME server uses it: record what is issued, find it again, revoke it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography import x509

from groundplane.pki.acme import metrics
from groundplane.pki.certdb import CertificateRecord, Status, record_of
from groundplane.pki.operators.audit import about as about_certificate
from groundplane.pki.operators.audit import before
from groundplane.pki.operators.trail import Trail


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

    def revoke(self, certificate: x509.Certificate, *, about: Mapping[str, str], reason: int, at: datetime) -> bool:
        """From now on; whether it was not yet. `about`: who asked. Raises NotFound."""


class WatchedLedger:
    """A ledger that counts, and that writes a line of the audit before anybody has what it is about."""

    def __init__(self, inner: Ledger, trail: Trail | None) -> None:
        self._inner = inner
        self._trail = trail

    def record(self, certificate: x509.Certificate, *, about: Mapping[str, str], now: datetime) -> None:
        """Raises Exists, and Unavailable if the line cannot be written."""
        with before(self._write, _line("issued", certificate, about)):
            self._inner.record(certificate, about=about, now=now)
        metrics.ISSUED.inc()

    def find(self, serial: int) -> Recorded | None:
        """By serial number."""
        return self._inner.find(serial)

    def revoke(self, certificate: x509.Certificate, *, about: Mapping[str, str], reason: int, at: datetime) -> bool:
        """From now on; whether it was not yet. Raises NotFound, and Unavailable if the line cannot be written."""
        line = {**_line("revoked", certificate, about), "reason": reason}
        with before(self._write, line):
            is_news = self._inner.revoke(certificate, about=about, reason=reason, at=at)
        if is_news:
            metrics.REVOKED.inc()
        else:  # somebody did it in this moment
            self._write({**line, "outcome": "unchanged"})
        return is_news

    def _write(self, line: Mapping[str, object]) -> None:
        if self._trail is not None:
            self._trail.write(line)


def _line(event: str, certificate: x509.Certificate, about: Mapping[str, str]) -> dict[str, object]:
    return {"door": "acme", "event": event, **about_certificate(certificate), **about}


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

    def revoke(self, certificate: x509.Certificate, *, about: Mapping[str, str], reason: int, at: datetime) -> bool:  # noqa: ARG002 - CFSSL's table has no place for who asked
        """From now on; whether it was not yet. Raises NotFound."""
        return self._database.withdraw(certificate.serial_number, self._key_id, reason=reason, at=at)
