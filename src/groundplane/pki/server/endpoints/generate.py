"""newkey, newcert and init_ca: keys that the server makes for others."""

import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from groundplane.pki.cfssl.errors import CfsslError, Code, Plain
from groundplane.pki.cfssl.generate import NO_HOSTS, key_text, process
from groundplane.pki.cfssl.godecode import BOOL, STRING, Fields, Struct, decode_fields
from groundplane.pki.cfssl.gojson import Object, parse
from groundplane.pki.cfssl.request import REQUEST, Request, request_of
from groundplane.pki.cfssl.root import new_root
from groundplane.pki.cfssl.signers import SignRequest
from groundplane.pki.server.endpoints.sign import bundled
from groundplane.pki.server.model import Call, Result, bad_request
from groundplane.pki.server.services import Services

_NEWCERT = Struct("generator.genSignRequest", {"request": REQUEST, "profile": STRING, "label": STRING, "bundle": BOOL})
_NO_CA = "ca section only permitted in initca"


def newkey(services: Services, call: Call) -> Result:
    """A key and a request for it."""
    journal = services.journal
    journal.info("request for CSR")
    request = request_of(_read(services, call, REQUEST))
    csr, key = _key(services, request)
    sums = {"certificate_request": _sums(_csr_der(csr))}
    return Result(value={"private_key": key, "certificate_request": csr.decode(), "sums": sums})


def newcert(services: Services, call: Call) -> Result:
    """A key and its certificate."""
    journal, signers = services.journal, services.signers
    assert signers is not None
    journal.info("request for CSR")
    fields = _read(services, call, _NEWCERT)
    inner = fields.get("request")
    if "request" not in fields and _is_null(call.body):
        journal.warning("empty request received")
        raise bad_request("missing request section")
    request = request_of(inner if isinstance(inner, dict) else {})
    csr, key = _key(services, request)
    asked = SignRequest(csr_pem=csr, profile=_text(fields, "profile"), label=_text(fields, "label"))
    try:
        certificate = signers.sign(asked)
    except CfsslError as bad:
        journal.warning(f"failed to sign request: {bad}")
        raise
    value: dict[str, object] = {
        "certificate": certificate,
        "certificate_request": csr.decode(),
        "private_key": key,
        "sums": {
            "certificate": _sums(x509.load_pem_x509_certificate(certificate.encode()).public_bytes(Encoding.DER)),
            "certificate_request": _sums(_csr_der(csr)),
        },
    }
    result = bundled(services, value, certificate, wanted=fields.get("bundle") is True)
    if result.note is None and not request.words.hosts:
        return Result(value=result.value, note=(Code.REQUEST_REFUSED.number, NO_HOSTS))
    return result


def init_ca(services: Services, call: Call) -> Result:
    """A new CA."""
    journal = services.journal
    journal.info("setting up initial CA handler")
    request = request_of(_read(services, call, REQUEST))
    try:
        certificate, _, key = new_root(request, journal, services.clock, make_key=services.make_key)
    except CfsslError as bad:
        journal.warning(f"failed to initialise new CA: {bad}")
        raise
    return Result(value={"private_key": key_text(key), "certificate": certificate})


def _read(services: Services, call: Call, shape: Struct) -> Fields:
    try:
        return decode_fields(call.body, shape)
    except Plain as bad:
        services.journal.warning(f"failed to unmarshal request: {bad}")
        raise bad_request(str(bad)) from bad


def _key(services: Services, request: Request) -> tuple[bytes, str]:
    journal = services.journal
    if request.ca is not None:
        journal.warning("request received with CA section")
        raise bad_request(_NO_CA)
    try:
        csr, key = process(request, journal, make_key=services.make_key)
    except CfsslError as bad:
        journal.warning(f"failed to process CSR: {bad}")
        raise
    return csr, key_text(key)


def _is_null(body: bytes) -> bool:
    """Whether the request is there, but null."""
    value = parse(body)
    return isinstance(value, Object) and any(name.casefold() == "request" for name, _ in value.pairs)


def _csr_der(pem: bytes) -> bytes:
    return x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)


def _sums(der: bytes) -> dict[str, str]:
    """Digests as CFSSL shows them; the first two are for old clients only."""
    return {
        "md5": hashlib.md5(der, usedforsecurity=False).hexdigest().upper(),
        "sha-1": hashlib.sha1(der, usedforsecurity=False).hexdigest().upper(),
        "sha-256": hashlib.sha256(der).hexdigest().upper(),
    }


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
