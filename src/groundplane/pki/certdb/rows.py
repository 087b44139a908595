"""Records to rows of the tables, and back."""

from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from groundplane.errors import Invalid
from groundplane.pki.certdb.columns import UNSET, names_of
from groundplane.pki.certdb.model import CertificateRecord, OcspRecord, Search, Status
from groundplane.pki.certdb.tables import CERTIFICATES

Row = Mapping[str, Any]


def row_of(record: CertificateRecord) -> dict[str, object]:
    """Every column of `certificates`."""
    return {
        "serial_number": str(record.serial),
        "authority_key_identifier": record.authority_key_id,
        "ca_label": record.ca_label,
        "status": record.status.value,
        "reason": record.reason,
        "expiry": record.expiry,
        "revoked_at": record.revoked_at,
        "pem": record.pem,
        "issued_at": record.issued_at,
        "not_before": record.not_before,
        "metadata": record.metadata,
        "sans": list(record.sans) or None,
        "common_name": record.common_name,
    }


def record_from(row: Row) -> CertificateRecord:
    """A record; columns that an old table lacks are as if they were unset. Raises Invalid."""
    status = str(row["status"])
    metadata = row.get("metadata")
    return CertificateRecord(
        serial=_serial(row["serial_number"]),
        authority_key_id=row["authority_key_identifier"],
        pem=row["pem"],
        expiry=row["expiry"] or UNSET,
        # What is not good is revoked: an unknown word must not pass for good.
        status=Status.GOOD if status == Status.GOOD else Status.REVOKED,
        reason=row["reason"] or 0,
        revoked_at=row["revoked_at"],
        ca_label=row["ca_label"],
        issued_at=row.get("issued_at"),
        not_before=row.get("not_before"),
        metadata=metadata if isinstance(metadata, Mapping) else None,
        sans=names_of(row.get("sans")),
        common_name=row.get("common_name") or "",
    )


def response_from(row: Row) -> OcspRecord:
    """An OCSP response. Raises Invalid."""
    return OcspRecord(
        serial=_serial(row["serial_number"]),
        authority_key_id=row["authority_key_identifier"],
        body=row["body"],
        expiry=row["expiry"] or UNSET,
    )


def _serial(text: str) -> int:
    try:
        return int(text)
    except ValueError as bad:
        hint = "mend or delete that row"
        raise Invalid(f"a row's serial number is {text!r}", to="certificate database", hint=hint) from bad


def is_named(record: CertificateRecord, search: Search) -> bool:
    """Whether `search.name` is a part of one of its names."""
    part = search.name.casefold()
    return not part or any(part in name.casefold() for name in (record.common_name, *record.sans))


def conditions(search: Search) -> Iterator[sa.ColumnElement[bool]]:
    """What the database can decide of `search`: everything but names and the limit."""
    columns = CERTIFICATES.c
    if search.status is not None:
        yield columns.status == search.status.value
    if search.label is not None:
        yield columns.ca_label == search.label
    if search.authority_key_id is not None:
        yield columns.authority_key_identifier == search.authority_key_id
    if search.serial is not None:
        yield columns.serial_number == str(search.serial)
    if search.expires_before is not None:
        yield columns.expiry < search.expires_before
    if search.expires_after is not None:
        yield columns.expiry >= search.expires_after
