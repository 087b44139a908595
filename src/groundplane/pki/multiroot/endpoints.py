"""authsign, info and metrics of `multirootca`, with its statuses: they are not those of `cfssl serve`.

A request that fails is not printed, as CFSSL does it: it has a token in it, which whoever reads the log could use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

from cryptography import x509

from groundplane.pki.cfssl.errors import CfsslError, Plain
from groundplane.pki.cfssl.godecode import STRING, Fields, Struct, decode_fields
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.tokens import is_genuine
from groundplane.pki.multiroot.counters import RootCounters
from groundplane.pki.multiroot.roots import Root
from groundplane.pki.remote.wire import SIGN_REQUEST, request_from
from groundplane.pki.server.endpoints.sign import AUTHENTICATED
from groundplane.pki.server.model import ANY, PREFIX, Answer, Call, Endpoint, Result, bad_request

_TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)
_METRICS = ((b"content-type", b"text/plain; version=0.0.4; charset=utf-8"),)
_OK, _BAD_REQUEST, _UNAUTHORIZED, _FORBIDDEN, _NOT_ALLOWED = 200, 400, 401, 403, 405
_INFO = Struct("info.Req", {"label": STRING, "profile": STRING})
_FAILED = 1  # the code of every error here


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """What the endpoints know: the CAs by label, and whose a request without a label is."""

    roots: Mapping[str, Root]
    default: str
    counters: RootCounters
    journal: Journal


class _Fails(Exception):
    """A status, what the caller is told, and what only the log is."""

    def __init__(self, status: int, text: str, log: str = "") -> None:
        self.status, self.text, self.log = status, text, log
        super().__init__(text)


def endpoints(roots: Roots) -> dict[str, Endpoint]:
    """By path."""
    quick = all(root.quick for root in roots.roots.values())
    return {
        f"{PREFIX}authsign": Endpoint(
            name="authsign", method=ANY, run=partial(authsign, roots), blocking=not quick, logged=False
        ),
        f"{PREFIX}info": Endpoint(name="info", method="POST", run=partial(info, roots)),
        "/metrics": Endpoint(name="metrics", method=ANY, run=partial(metrics, roots), logged=False),
    }


def authsign(roots: Roots, call: Call) -> Answer:
    """A certificate by the CA of the request's label, for whoever has the key of its profile."""
    try:
        text = _signed(roots, call)
    except _Fails as why:
        roots.counters.bad_input()
        reason = f" ({why.log})" if why.log else ""
        roots.journal.error(f"[HTTP {why.status}] {_FAILED} - {why.text}{reason}")
        errors = [{"code": _FAILED, "message": why.text}]
        return _answer(why.status, {"success": False, "result": None, "errors": errors, "messages": []})
    result = {"certificate": text}
    return _answer(_OK, {"success": True, "result": result, "errors": [], "messages": []})


def info(roots: Roots, call: Call) -> Result:
    """Certificate and profile of the CA with that label."""
    try:
        fields = decode_fields(call.body, _INFO)
    except Plain as bad:
        roots.journal.warning(f"failed to unmarshal request: {bad}")
        raise bad_request(str(bad)) from bad
    root = roots.roots.get(_text(fields, "label") or roots.default)
    if root is None:
        roots.journal.warning("request for invalid endpoint")
        raise bad_request("bad label")
    try:
        found = root.signers.info(label=root.label, profile=_text(fields, "profile"))
    except CfsslError as bad:
        roots.journal.info(f"error getting certificate: {bad}")
        raise
    usages = None if found.usages is None else list(found.usages)
    return Result(value={"certificate": found.certificate, "usages": usages, "expiry": found.expiry})


def metrics(roots: Roots, _call: Call) -> Answer:
    """In Prometheus's text form."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.core import CounterMetricFamily

    class Collector:
        def collect(self) -> list[CounterMetricFamily]:
            families = []
            for name, what, rows in sorted(roots.counters.rows(), key=lambda row: row[0]):
                if not rows:
                    continue
                family = CounterMetricFamily(name, what, labels=tuple(rows[0][0]))
                for labels, value in rows:
                    family.add_metric(tuple(labels.values()), value)
                families.append(family)
            return families

    registry = CollectorRegistry()
    registry.register(Collector())
    return Answer(status=_OK, body=generate_latest(registry), headers=_METRICS, code=_OK)


def _signed(roots: Roots, call: Call) -> str:
    """The certificate. Raises _Fails."""
    if call.method != "POST":
        raise _Fails(_NOT_ALLOWED, "only POST is permitted")
    outer = _decoded(call.body, AUTHENTICATED, "while unmarshaling request body")
    body, token = (cast("bytes", outer.get(name, b"")) for name in ("request", "token"))
    fields = _decoded(body, SIGN_REQUEST, "while unmarshalling authenticated request")
    label, profile = _text(fields, "label") or roots.default, _text(fields, "profile")
    root = roots.roots.get(label)
    if root is not None and not root.admits(call.client.rpartition(":")[0].strip("[]")):
        raise _Fails(_FORBIDDEN, "not authorised", "because IP is not whitelisted")
    if root is None:
        raise _Fails(_BAD_REQUEST, "bad request", f"request is for non-existent label {label}")
    roots.counters.request(label)
    _check_token(root, profile, token, body)
    if not _text(fields, "certificate_request"):
        raise _Fails(_BAD_REQUEST, "invalid request", "empty request")
    try:
        request = request_from({**fields, "label": label})
        made = root.signers.sign(request)
    except CfsslError as bad:
        roots.counters.errored(label)
        raise _Fails(_BAD_REQUEST, "bad request", f"signature failed: {bad}") from bad
    serial = x509.load_pem_x509_certificate(made.encode()).serial_number
    roots.journal.info(f"signature: requester={call.client}, label={label}, profile={profile}, serialno={serial}")
    return made


def _check_token(root: Root, profile: str, token: bytes, body: bytes) -> None:
    """Raises _Fails."""
    if profile and root.config.profiles and profile not in root.config.profiles:
        raise _Fails(_BAD_REQUEST, "invalid profile", f"failed to look up profile with name: {profile}")
    keys = root.keys.get(profile, root.keys[""])
    if not keys:
        raise _Fails(_UNAUTHORIZED, "authorisation required", "received unauthenticated request")
    if not is_genuine(token, body, keys):
        raise _Fails(_BAD_REQUEST, "invalid token", "received authenticated request with invalid token")


def _decoded(data: bytes, shape: Struct, where: str) -> Fields:
    try:
        return decode_fields(data, shape)
    except CfsslError as bad:
        raise _Fails(_BAD_REQUEST, str(bad), where) from bad


def _answer(status: int, envelope: dict[str, object]) -> Answer:
    return Answer(status=status, body=(compact(envelope) + "\n").encode(), headers=_TEXT, code=status)


def _text(fields: Fields, name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""
