"""A request for a signature as CFSSL's JSON: what a client sends, and what a server that honours all of it reads."""

import binascii
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from string import hexdigits
from typing import cast

from groundplane.pki.cfssl import gotext
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.godecode import BOOL, STRING, Custom, Fields, Sequence, Struct
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.gojson import Number, Object
from groundplane.pki.cfssl.request import SUBJECT, subject_from
from groundplane.pki.cfssl.signers import SignRequest
from groundplane.pki.model import RawExtension
from groundplane.pki.name import (
    COMMON_NAME,
    COUNTRY,
    LOCALITY,
    OID,
    ORGANIZATION,
    ORGANIZATIONAL_UNIT,
    PROVINCE,
    SERIAL_NUMBER,
    Subject,
)

_NO_TIME = "0001-01-01T00:00:00Z"
_NAMES: Mapping[OID, str] = {
    COUNTRY: "C",
    PROVINCE: "ST",
    LOCALITY: "L",
    ORGANIZATION: "O",
    ORGANIZATIONAL_UNIT: "OU",
}
_LONGEST_SERIAL = 400  # digits; nobody waits for the conversion of more


def integer(value: object) -> object:
    """A number of any size, or nothing. Raises Plain."""
    if value is None:
        return None
    if isinstance(value, Number) and len(value.text) <= _LONGEST_SERIAL:
        try:
            return int(value.text)
        except ValueError:
            pass  # a fraction or an exponent: refused below
    raise Plain("math/big: cannot unmarshal into a *big.Int")


def _identifier(value: object) -> object:
    return gotext.identifier(value)


def _metadata(value: object) -> object:
    if value is not None and not isinstance(value, Object):
        raise Plain("json: cannot unmarshal into Go struct field SignRequest.metadata of type map[string]interface {}")
    return plain(value)


SIGN_REQUEST = Struct(
    "signer.SignRequest",
    {
        "hosts": Sequence(STRING),
        **dict.fromkeys(("certificate_request", "profile", "crl_override", "label"), STRING),
        "subject": SUBJECT,
        "serial": Custom("*big.Int", integer),
        "extensions": Sequence(
            Struct("signer.Extension", {"id": Custom("config.OID", _identifier), "critical": BOOL, "value": STRING})
        ),
        **dict.fromkeys(("NotBefore", "NotAfter"), Custom("time.Time", gotext.date)),
        "ReturnPrecert": BOOL,
        "metadata": Custom("map[string]interface {}", _metadata),
    },
)


def request_json(request: SignRequest) -> bytes:
    """As CFSSL's client sends it, in its order."""
    fields: dict[str, object] = {
        "hosts": None if request.hosts is None else list(request.hosts),
        "certificate_request": request.csr_pem.decode(errors="replace"),
    }
    if request.subject is not None:
        fields["subject"] = _subject(request.subject)
    fields |= {"profile": request.profile, "crl_override": request.crl_override, "label": request.label}
    if request.serial is not None:
        fields["serial"] = request.serial
    if request.extensions:
        fields["extensions"] = [
            {"id": one.oid, "critical": one.critical, "value": one.value.hex()} for one in request.extensions
        ]
    fields |= {
        "NotBefore": _time(request.not_before),
        "NotAfter": _time(request.not_after),
        "ReturnPrecert": request.return_precert,
        "metadata": None if request.metadata is None else dict(request.metadata),
    }
    return compact(fields).encode()


def info_json(*, label: str, profile: str) -> bytes:
    """The question who would sign."""
    return compact({"label": label, "profile": profile}).encode()


def request_from(fields: Fields) -> SignRequest:
    """From its fields (`SIGN_REQUEST` is their shape). Raises CfsslError for what cannot be asked for."""
    hosts, subject, metadata = fields.get("hosts"), fields.get("subject"), fields.get("metadata")
    given = fields.get("extensions")
    return SignRequest(
        csr_pem=_text(fields, "certificate_request").encode(),
        hosts=tuple(str(host or "") for host in hosts) if isinstance(hosts, list) else None,
        subject=subject_from(subject) if isinstance(subject, dict) else None,
        profile=_text(fields, "profile"),
        label=_text(fields, "label"),
        serial=cast("int | None", fields.get("serial")),
        crl_override=_text(fields, "crl_override"),
        extensions=tuple(map(_extension, given)) if isinstance(given, list) else (),
        not_before=_instant(fields, "NotBefore"),
        not_after=_instant(fields, "NotAfter"),
        return_precert=fields.get("ReturnPrecert") is True,
        metadata=metadata if isinstance(metadata, dict) else None,
    )


def plain(value: object) -> object:
    """JSON as Python has it."""
    match value:
        case Object(pairs):
            return {name: plain(inner) for name, inner in pairs}
        case list():
            return [plain(inner) for inner in value]
        case Number(text):
            return _number(text)
        case _:
            return value


def _number(text: str) -> int | float:
    if text.lstrip("-").isdigit() and len(text) <= _LONGEST_SERIAL:
        return int(text)
    found = float(text)
    if not math.isfinite(found):
        raise Plain(f"json: cannot unmarshal number {text} into Go value of type float64")
    return found


def _subject(subject: Subject) -> dict[str, object]:
    """One name for each of its parts: a server puts those of a kind together, in this order."""
    parts = [attribute for rdn in subject.rdns for attribute in rdn]
    last = {attribute.oid: attribute.value for attribute in parts}
    return {
        "CN": last.get(COMMON_NAME, ""),
        "names": [{_NAMES[attribute.oid]: attribute.value} for attribute in parts if attribute.oid in _NAMES],
        "SerialNumber": last.get(SERIAL_NUMBER, ""),
    }


def _time(when: datetime | None) -> str:
    return _NO_TIME if when is None else when.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant(fields: Fields, name: str) -> datetime | None:
    text = _text(fields, name)
    if not text or text == _NO_TIME:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as bad:
        raise Plain(f"no certificate can have the date {gotext.quote(text)}") from bad


def _extension(value: object) -> RawExtension:
    fields = value if isinstance(value, dict) else {}
    try:
        octets = binascii.unhexlify(_text(fields, "value"))
    except ValueError as bad:
        raise Coded(Code.EXTENSION_REFUSED, _not_hex(_text(fields, "value"))) from bad
    return RawExtension(oid=OID(_text(fields, "id")), critical=fields.get("critical") is True, value=octets)


def _not_hex(text: str) -> str:
    """What Go says of it."""
    for octet in text.encode():
        char = chr(octet)
        if char not in hexdigits:
            return f"encoding/hex: invalid byte: U+{octet:04X}" + (f" '{char}'" if char.isprintable() else "")
    return "encoding/hex: odd length hex string"


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
