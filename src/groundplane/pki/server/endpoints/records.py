"""revoke and certadd: what the certificate database is told."""

import re
from datetime import UTC, datetime
from typing import cast

from groundplane.pki.certdb.model import CertificateRecord, Status
from groundplane.pki.certdb.record import authority_key_id_of
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.godecode import ANY, INT, STRING, Custom, Fields, Struct, decode_fields
from groundplane.pki.cfssl.gojson import Number, Object
from groundplane.pki.cfssl.gotext import date
from groundplane.pki.cfssl.material import parse_certificate
from groundplane.pki.cfssl.ocsp import reason_of
from groundplane.pki.server.model import Call, Refused, Result, bad_request
from groundplane.pki.server.services import Services

_TIME = Custom("time.Time", date)
_REVOKE = Struct("revoke.jsonRevokeRequest", dict.fromkeys(("serial", "authority_key_id", "reason"), STRING))
_ADD = Struct(
    "certadd.AddRequest",
    {
        **dict.fromkeys(("serial_number", "authority_key_identifier", "ca_label", "status"), STRING),
        "reason": INT,
        **dict.fromkeys(("expiry", "revoked_at", "issued_at", "not_before"), _TIME),
        **dict.fromkeys(("pem", "common_name"), STRING),
        **dict.fromkeys(("metadata", "sans"), ANY),
    },
)
_DECIMAL = re.compile(r"[+-]?[0-9]{1,400}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})*")
_NO_TIME = "0001-01-01T00:00:00Z"
_REASONS = frozenset({0, 1, 2, 3, 4, 5, 6, 8, 9, 10})
_STATUSES = frozenset({"good", "revoked", "unknown"})


def revoke(services: Services, call: Call) -> Result:
    """Take a certificate back, from the database's next query on."""
    assert services.database is not None
    try:
        fields = decode_fields(call.body, _REVOKE)
    except Plain as bad:
        raise bad_request("Unable to parse revocation request") from bad
    serial = _text(fields, "serial")
    if not serial:
        raise bad_request("serial number is required but not provided")
    try:
        reason = reason_of(_text(fields, "reason"))
    except CfsslError as unknown:
        raise bad_request("Invalid reason code") from unknown
    key = _text(fields, "authority_key_id")
    services.database.revoke_exactly(serial, key, reason=reason, at=services.clock())
    return Result(value={})


def certadd(services: Services, call: Call) -> Result:
    """Record a certificate that was made elsewhere; everything said of it must be true."""
    try:
        fields = decode_fields(call.body, _ADD)
    except Plain as bad:
        raise bad_request("Unable to parse certificate addition request") from bad
    record = _record(fields)
    if services.database is None:
        raise Coded(Code.STORE_UNKNOWN, "unknown db object, please check SetDB method")
    services.database.insert(record)
    return Result(value={})


def _record(fields: Fields) -> CertificateRecord:
    """In the order in which CFSSL checks it. Raises Refused."""
    serial, key, status, pem = (
        _text(fields, name) for name in ("serial_number", "authority_key_identifier", "status", "pem")
    )
    revoked_at, expiry, reason = (
        _time(fields, "revoked_at"),
        _time(fields, "expiry"),
        cast("int", fields.get("reason", 0)),
    )
    is_revoked = status == Status.REVOKED.value
    for wrong, words in (
        (not serial, "Serial number is required but not provided"),
        (not key, "Authority key identifier is required but not provided"),
        (status not in _STATUSES, "Invalid certificate status"),
        (is_revoked and revoked_at is None, "Revoked certificate should specify when it was revoked"),
        (is_revoked and reason not in _REASONS, "Invalid certificate status reason code"),
        (not pem, "The provided certificate is empty"),
        (expiry is None, "Expiry is required but not provided"),
    ):
        if wrong:
            raise bad_request(words)
    try:
        certificate = parse_certificate(pem.encode())
    except CfsslError as bad:
        raise bad_request("Unable to parse PEM encoded certificates") from bad
    if not _DECIMAL.fullmatch(serial):
        raise bad_request("Unable to parse serial key of request")
    if int(serial) != certificate.serial_number:
        raise bad_request("Serial key of request and certificate do not match")
    if not _HEX.fullmatch(key):
        raise bad_request("Unable to decode authority key identifier")
    if key.lower() != authority_key_id_of(certificate):
        raise bad_request("Authority key identifier of request and certificate do not match")
    if expiry != certificate.not_valid_after_utc or not str(fields["expiry"]).endswith("Z"):
        raise bad_request("Expiry of request and certificate do not match")
    if status not in {one.value for one in Status}:
        raise _unknown_status()
    metadata, sans = _plain(fields.get("metadata")), _plain(fields.get("sans"))
    return CertificateRecord(
        serial=certificate.serial_number,
        authority_key_id=key.lower(),
        pem=pem,
        expiry=certificate.not_valid_after_utc,
        status=Status(status),
        reason=reason,
        revoked_at=revoked_at,
        ca_label=_text(fields, "ca_label"),
        issued_at=_time(fields, "issued_at"),
        not_before=_time(fields, "not_before"),
        metadata=metadata if isinstance(metadata, dict) else None,
        sans=tuple(map(str, sans)) if isinstance(sans, list) else (),
        common_name=_text(fields, "common_name"),
    )


def _unknown_status() -> Refused:
    """CFSSL records a status that no query of its own finds again; here it is good or revoked."""
    return bad_request("Invalid certificate status")


def _time(fields: Fields, name: str) -> datetime | None:
    """A date of the request; Go's zero is none. Raises Refused for one that Python cannot hold."""
    text = fields.get(name)
    if not isinstance(text, str) or text == _NO_TIME:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as bad:
        raise bad_request("Unable to parse certificate addition request") from bad


def _plain(value: object) -> object:
    """JSON as Python has it."""
    match value:
        case Object(pairs):
            return {name: _plain(inner) for name, inner in pairs}
        case list():
            return [_plain(inner) for inner in value]
        case Number(text):
            return int(text) if text.lstrip("-").isdigit() else float(text)
        case _:
            return value


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
