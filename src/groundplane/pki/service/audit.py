"""Lines for whatever is issued, revoked or handed out, and for every refusal of it: who, what, when.

One is in its file before anything is done, and another with what came of it before the caller has the answer; both have
the request's id. If the first cannot be written nothing is done, if the second cannot the caller gets nothing.
"""

import json
from collections.abc import Mapping

from groundplane.pki.load import certificate_of_pem
from groundplane.pki.operators.audit import about
from groundplane.pki.operators.log import REQUEST_ID
from groundplane.pki.server.model import Answer, Call
from groundplane.pki.service.model import CALLER, Caller

_ISSUING = frozenset({"sign", "authsign", "newcert", "init_ca"})
AUDITED = _ISSUING | {"revoke", "newkey", "gencrl", "certadd", "ocspsign"}
_OK = 200
_LONGEST = 256  # characters of what a caller said
_SAID = ("profile", "label", "serial", "authority_key_id", "reason", "serial_number", "authority_key_identifier")


def asked(endpoint: str, call: Call) -> dict[str, object]:
    """What the line before the act says."""
    said = _object(call.body)
    return {
        "door": "http",
        "request_id": REQUEST_ID.get(),
        "client": call.client,
        "caller": (CALLER.get() or Caller()).word,
        "endpoint": endpoint,
        "outcome": "asked",
        **{f"asked_{name}": str(said[name])[:_LONGEST] for name in _SAID if said.get(name)},
    }


def entry(endpoint: str, call: Call, answer: Answer) -> dict[str, object]:
    """What the line before the answer says."""
    outcome = "done" if answer.code == _OK else "refused"
    found = {**asked(endpoint, call), "outcome": outcome, "code": answer.code}
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
        return about(certificate_of_pem(str(pem).encode()))
    except ValueError:
        return {}


def _object(data: bytes) -> Mapping[str, object]:
    try:
        return _mapping(json.loads(data))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}
