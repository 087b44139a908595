"""sign and authsign: a request becomes a certificate, for anybody or for those who know a profile's key."""

from typing import cast

from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.cfssl.gobytes import octets
from groundplane.pki.cfssl.godecode import BOOL, STRING, Custom, Fields, Sequence, Struct, decode_fields
from groundplane.pki.cfssl.gojson import Number
from groundplane.pki.cfssl.request import SUBJECT, subject_from
from groundplane.pki.cfssl.signers import SignRequest
from groundplane.pki.cfssl.tokens import is_genuine
from groundplane.pki.remote.wire import integer
from groundplane.pki.server.envelope import NO_BUNDLER
from groundplane.pki.server.model import Call, Result, bad_request
from groundplane.pki.server.services import Services


def _timestamp(value: object) -> object:
    if value is None or (isinstance(value, Number) and value.text.lstrip("-").isdigit()):
        return None  # nobody looks at it
    raise _misfit(value, "timestamp", "int64")


def _misfit(value: object, field: str, wanted: str) -> Plain:
    kinds = ((bool, "bool"), (str, "string"), (list, "array"))
    kind = next((word for kind, word in kinds if isinstance(value, kind)), "object")
    kind = f"number {value.text}" if isinstance(value, Number) and wanted == "int64" else kind
    kind = "number" if isinstance(value, Number) and wanted != "int64" else kind
    return Plain(f"json: cannot unmarshal {kind} into Go struct field AuthenticatedRequest.{field} of type {wanted}")


_SIGN = Struct(
    "signhandler.jsonSignRequest",
    {
        **dict.fromkeys(("hostname", "certificate_request", "profile", "label"), STRING),
        "hosts": Sequence(STRING),
        "subject": SUBJECT,
        "serial": Custom("*big.Int", integer),
        "bundle": BOOL,
    },
)
AUTHENTICATED = Struct(
    "auth.AuthenticatedRequest",
    {
        "timestamp": Custom("int64", _timestamp),
        **{field: octets(f"AuthenticatedRequest.{field}") for field in ("remote_address", "token", "request")},
    },
)


def sign(services: Services, call: Call) -> Result:
    """For profiles without a key."""
    journal = services.journal
    journal.info("signature request received")
    try:
        fields = decode_fields(call.body, _SIGN)
    except Plain as bad:
        raise bad_request("Unable to parse sign request") from bad
    request = _request(fields)
    if services.keys_of(request.profile):
        journal.error("profile requires authentication")
        raise bad_request("authentication required")
    assert services.signers is not None
    try:
        certificate = services.signers.sign(request)
    except CfsslError as bad:
        journal.warning(f"failed to sign request: {bad}")
        raise
    return _signed(services, fields, certificate)


def authsign(services: Services, call: Call) -> Result:
    """For profiles with a key: the request is inside another, with a token that only the key can have made."""
    journal = services.journal
    journal.info("signature request received")
    try:
        outer = decode_fields(call.body, AUTHENTICATED)
    except Plain as bad:
        journal.error(f"failed to unmarshal authenticated request: {bad}")
        raise bad_request(str(bad)) from bad
    body, token = (cast("bytes", outer.get(name, b"")) for name in ("request", "token"))
    try:
        fields = decode_fields(body, _SIGN)
    except Plain as bad:
        journal.error(f"failed to unmarshal request from authenticated request: {bad}")
        raise bad_request("Unable to parse authenticated sign request") from bad
    keys = services.keys_of(_text(fields, "profile"))
    if not keys:
        journal.error("profile has no authentication provider")
        raise bad_request("no authentication provider")
    if not is_genuine(token, body, keys):
        journal.warning("received authenticated request with invalid token")
        raise bad_request("invalid token")
    request = _request(fields)
    assert services.signers is not None
    try:
        certificate = services.signers.sign(request)
    except CfsslError as bad:
        journal.error(f"signature failed: {bad}")
        raise
    return _signed(services, fields, certificate)


def bundled(services: Services, value: dict[str, object], certificate: str, *, wanted: bool) -> Result:
    """`value`, with the chain of `certificate` where it is wanted, or word that nobody here can make one."""
    if not wanted:
        return Result(value=value)
    if services.sign_bundles is None:
        return Result(value=value, note=NO_BUNDLER)
    bundle = services.sign_bundles.of_certificate(certificate.encode(), b"", flavor="optimal", name="", address="")
    return Result(value={"bundle": bundle, **value})


def _request(fields: Fields) -> SignRequest:
    """What is asked for. Raises Refused without a request."""
    csr = _text(fields, "certificate_request")
    if not csr:
        raise bad_request("missing parameter 'certificate_request'")
    hosts, subject = fields.get("hosts"), fields.get("subject")
    given = tuple(str(host or "") for host in hosts) if isinstance(hosts, list) else None
    return SignRequest(
        csr_pem=csr.encode(),
        hosts=tuple(_text(fields, "hostname").split(",")) if _text(fields, "hostname") else given,
        subject=subject_from(subject) if isinstance(subject, dict) else None,
        profile=_text(fields, "profile"),
        label=_text(fields, "label"),
        serial=cast("int | None", fields.get("serial")),
    )


def _signed(services: Services, fields: Fields, certificate: str) -> Result:
    result = bundled(services, {"certificate": certificate}, certificate, wanted=fields.get("bundle") is True)
    if result.note is None:
        services.journal.info("wrote response")
    return result


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
