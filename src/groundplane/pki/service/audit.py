"""A line for whatever was issued, revoked or handed out, and for every refusal of it: who, what, when.

The line is in its file before the caller has the answer; if it cannot be written the caller gets none.
"""

import json
from collections.abc import Mapping

from groundplane.errors import Invalid
from groundplane.pki.load import certificate_of_pem
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.operators.log import REQUEST_ID
from groundplane.pki.seen import see
from groundplane.pki.server.model import Answer, Call, Endpoint
from groundplane.pki.service.model import CALLER, Caller

_ISSUING = frozenset({"sign", "authsign", "newcert", "init_ca"})
AUDITED = _ISSUING | {"revoke", "newkey", "gencrl", "certadd", "ocspsign"}
_OK = 200
_LONGEST = 256  # characters of what a caller said
_SAID = ("profile", "label", "serial", "authority_key_id", "reason", "serial_number", "authority_key_identifier")


def note(log: AuditLog, endpoint: Endpoint, call: Call, answer: Answer) -> None:
    """Write the line of a call. Raises Unavailable."""
    if endpoint.name in AUDITED:
        log.write(entry(endpoint.name, call, answer))


def entry(endpoint: str, call: Call, answer: Answer) -> dict[str, object]:
    """What the line says."""
    caller = CALLER.get() or Caller()
    found: dict[str, object] = {
        "door": "http",
        "request_id": REQUEST_ID.get(),
        "client": call.client,
        "caller": caller.word,
        "endpoint": endpoint,
        "outcome": "done" if answer.code == _OK else "refused",
        "code": answer.code,
    }
    asked = _object(call.body)
    found |= {f"asked_{name}": str(asked[name])[:_LONGEST] for name in _SAID if asked.get(name)}
    reply = _object(answer.body)
    if answer.code == _OK and endpoint in _ISSUING:
        found |= _issued(_mapping(reply.get("result")).get("certificate"))
    elif answer.code != _OK:
        errors = reply.get("errors")
        first = errors[0] if isinstance(errors, list) and errors else {}
        found["error"] = str(_mapping(first).get("message", ""))[:_LONGEST]
    return found


def _issued(pem: object) -> dict[str, object]:
    try:
        seen = see(certificate_of_pem(str(pem).encode()))
    except (ValueError, Invalid):
        return {}
    return {
        "serial": str(seen.serial),
        "subject": str(seen.subject),
        "names": list(seen.names.texts()),
        "is_ca": seen.is_ca,
        "not_after": f"{seen.not_after:%Y-%m-%dT%H:%M:%SZ}",
    }


def _object(data: bytes) -> Mapping[str, object]:
    try:
        return _mapping(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
