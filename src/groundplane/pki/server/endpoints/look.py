"""info, certinfo and health: what there is to see."""

from typing import TYPE_CHECKING

from groundplane.errors import Invalid
from groundplane.pki.cfssl.certinfo import certificate_info
from groundplane.pki.cfssl.errors import CfsslError, Code, Coded, Plain
from groundplane.pki.cfssl.godecode import STRING, Mapped, Struct, decode_fields
from groundplane.pki.cfssl.material import parse_certificate
from groundplane.pki.server.model import Call, Result, bad_request
from groundplane.pki.server.services import Services

if TYPE_CHECKING:
    from cryptography import x509

_INFO = Struct("info.Req", {"label": STRING, "profile": STRING})


def info(services: Services, call: Call) -> Result:
    """Who signs, and how."""
    assert services.signers is not None
    try:
        fields = decode_fields(call.body, _INFO)
    except Plain as bad:
        services.journal.warning(f"failed to unmarshal request: {bad}")
        raise bad_request(str(bad)) from bad
    found = services.signers.info(label=str(fields.get("label", "")), profile=str(fields.get("profile", "")))
    usages = None if found.usages is None else list(found.usages)
    return Result(value={"certificate": found.certificate.rstrip("\n"), "usages": usages, "expiry": found.expiry})


def health(_services: Services, _call: Call) -> Result:
    """It answers, so it is."""
    return Result(value={"healthy": True})


def certinfo(services: Services, call: Call) -> Result:
    """What a certificate says: one that is given, that a server shows, or that the database has."""
    journal = services.journal
    blob = parameters(services, call, (("certificate",), ("domain",), ("serial", "authority_key_id")))
    if "domain" in blob and "certificate" not in blob:
        try:
            certificate = _of_server(blob["domain"])
        except CfsslError as bad:
            journal.warning(f"couldn't parse remote certificate: {bad}")
            raise
    elif "certificate" in blob:
        try:
            certificate = parse_certificate(blob["certificate"].encode())
        except CfsslError as bad:
            journal.warning(f"bad PEM certificate: {bad}")
            raise
    else:
        certificate = _recorded(services, blob["serial"], blob["authority_key_id"])
    try:
        return Result(value=certificate_info(certificate))
    except Invalid as odd:
        raise Coded(Code.CERTIFICATE_PARSE) from odd


def parameters(services: Services, call: Call, sets: tuple[tuple[str, ...], ...]) -> dict[str, str]:
    """The body's strings, in which one of `sets` must be whole. Raises Plain, Refused."""
    try:
        fields = decode_fields(call.body, Mapped(STRING))
        if not any(all(name in fields for name in names) for names in sets):
            raise bad_request("no valid parameter sets found")
    except CfsslError as bad:
        services.journal.warning(f"invalid request: {bad}")
        raise
    return {name: value if isinstance(value, str) else "" for name, value in fields.items()}


def _of_server(domain: str) -> "x509.Certificate":
    from groundplane.pki.cfssl.domain import domain_certificate

    return domain_certificate(domain)


def _recorded(services: Services, serial: str, key: str) -> "x509.Certificate":
    """From the database, by a number in decimal and a key in any form. Raises CfsslError."""
    journal = services.journal
    if services.database is None:
        journal.warning("could not find certificates with db access")
        raise Plain("cannot lookup certificate from serial without db access")
    from groundplane.pki.certdb.model import key_id, serial_number

    try:
        found = services.database.find(serial_number(serial), key_id(key))
    except Invalid:
        found = None
    if found is None:
        words = "no certificate found"
        journal.warning(f"couldn't find certificate: {words}")
        raise Plain(words)
    return parse_certificate(found.pem.encode())
