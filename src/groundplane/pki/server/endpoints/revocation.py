"""ocspsign, crl and gencrl: what is said about certificates that were taken back."""

import base64
import re
from datetime import UTC, datetime, timedelta

from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.cfssl.godecode import INT, STRING, Fields, Sequence, Struct, decode_fields
from groundplane.pki.cfssl.material import parse_certificate, parse_key
from groundplane.pki.server.endpoints.scans import query_of
from groundplane.pki.server.model import Call, Result, bad_request
from groundplane.pki.server.services import Services

_OCSP = Struct(
    "ocsp.jsonSignRequest",
    {**dict.fromkeys(("certificate", "status", "revoked_at", "issuer_hash"), STRING), "reason": INT},
)
_GENCRL = Struct(
    "gencrl.jsonCRLRequest",
    {**dict.fromkeys(("certificate", "issuingKey", "expireTime"), STRING), "serialNumber": Sequence(STRING)},
)
_DIGESTS = frozenset({"MD5", "SHA1", "SHA256", "SHA384", "SHA512"})
_WEEK = timedelta(days=7)
_SERIAL = re.compile(r"[0-9]{1,60}")
_MOST_SERIALS = 100_000


def ocspsign(services: Services, call: Call) -> Result:
    """A response about one certificate."""
    assert services.responses is not None
    try:
        fields = decode_fields(call.body, _OCSP)
    except Plain as bad:
        raise bad_request("Unable to parse sign request") from bad
    certificate = _text(fields, "certificate").encode()
    try:
        parse_certificate(certificate)
    except CfsslError as bad:
        services.journal.error(f"Error from ParseCertificatePEM{bad}")
        raise bad_request("Malformed certificate") from bad
    status = str(fields.get("status", "good"))
    reason, revoked_at = 0, None
    if status == "revoked":
        given = fields.get("reason", 0)
        reason = given if isinstance(given, int) else 0
        revoked_at = _day(_text(fields, "revoked_at"))
    digest = _text(fields, "issuer_hash")
    if digest and digest not in _DIGESTS:
        raise bad_request("Unsupported hash algorithm in request")
    made = services.responses.sign(certificate, status=status, reason=reason, revoked_at=revoked_at, issuer_hash=digest)
    return Result(value={"ocspResponse": base64.b64encode(made).decode()})


def crl(services: Services, call: Call) -> Result:
    """All that the database has as revoked and not run out."""
    assert services.lists is not None
    within = _WEEK
    if text := query_of(call).get("expiry", ""):
        services.journal.info(f"requested expiry time of {text}")
        within = gotext.duration(text)
    return Result(value=base64.b64encode(services.lists.make(within)).decode())


def gencrl(services: Services, call: Call) -> Result:
    """A list of given numbers, by a CA that the caller brings."""
    from groundplane.pki.cfssl.crl import crl_of_serials, read_seconds

    journal = services.journal
    try:
        fields = decode_fields(call.body, _GENCRL)
    except Plain as bad:
        journal.error(str(bad))
        raise
    within = read_seconds(_text(fields, "expireTime"))
    try:
        certificate = parse_certificate(_text(fields, "certificate").encode())
    except CfsslError as bad:
        journal.error(f"error from ParseCertificatePEM{bad}")
        raise bad_request("malformed certificate") from bad
    given = fields.get("serialNumber")
    numbers = [str(number or "") for number in given] if isinstance(given, list) else []
    if len(numbers) > _MOST_SERIALS or not all(_SERIAL.fullmatch(number) for number in numbers):
        raise bad_request("malformed serial number")  # CFSSL takes it for 0
    try:
        key = parse_key(_text(fields, "issuingKey").encode())
    except CfsslError as bad:
        raise bad_request("malformed Private Key") from bad
    made = crl_of_serials(certificate, key, [int(number) for number in numbers], within=within, now=services.clock())
    return Result(value=base64.b64encode(made).decode())


def _day(text: str) -> datetime | None:
    if text in {"", "now"}:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as bad:
        raise bad_request("Malformed revocation time") from bad


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
