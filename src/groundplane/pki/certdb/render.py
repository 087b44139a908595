"""Records as rows of a table and as JSON."""

from datetime import datetime

from cryptography import x509

from groundplane.errors import Invalid
from groundplane.pki.certdb.model import REASON_NAMES, CertificateRecord, Status
from groundplane.pki.seen import see

HEADER = ("STATE", "EXPIRES", "SERIAL", "NAME", "LABEL", "AUTHORITY")


def table_row(record: CertificateRecord, *, now: datetime) -> tuple[str, ...]:
    """A row under HEADER."""
    name = name_of(record) or next(iter(record.sans), "")
    expiry = f"{record.expiry:%F %H:%M}"
    return state(record, now=now), expiry, str(record.serial), name, record.ca_label, record.authority_key_id


def state(record: CertificateRecord, *, now: datetime) -> str:
    """`good`, `expired`, or `revoked` and why."""
    if record.status is Status.REVOKED:
        return f"revoked ({REASON_NAMES.get(record.reason, record.reason)})" if record.reason else "revoked"
    return "expired" if record.expiry <= now else "good"


def as_object(record: CertificateRecord, *, now: datetime) -> dict[str, object]:
    """For JSON: times are RFC 3339 in UTC, what is unset is null."""
    return {
        "serial": str(record.serial),
        "serialHex": f"{record.serial:x}",
        "authorityKeyId": record.authority_key_id,
        "status": record.status.value,
        "expired": record.expiry <= now,
        "reason": REASON_NAMES.get(record.reason, str(record.reason)) if record.status is Status.REVOKED else None,
        "revokedAt": _time(record.revoked_at),
        "issuedAt": _time(record.issued_at),
        "notBefore": _time(record.not_before),
        "expiry": _time(record.expiry),
        "commonName": name_of(record),
        "dnsNames": list(record.sans),
        "label": record.ca_label,
        "metadata": dict(record.metadata) if record.metadata is not None else None,
        "pem": record.pem,
    }


def name_of(record: CertificateRecord) -> str:
    """Its common name; the certificate's own word, where the row has none: those of CFSSL 1.2.0 have not."""
    if record.common_name or record.sans:
        return record.common_name
    try:
        return see(x509.load_pem_x509_certificate(record.pem.encode())).subject.common_name
    except (ValueError, Invalid):
        return ""


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else f"{instant:%Y-%m-%dT%H:%M:%SZ}"
