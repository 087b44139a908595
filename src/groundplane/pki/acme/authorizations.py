"""Authorizations and their challenges: RFC 8555, 7.5."""

import secrets
from datetime import datetime

from groundplane.observe.log import logger
from groundplane.pki.acme import jose
from groundplane.pki.acme.context import Answer, Asked, Context, link, rfc3339
from groundplane.pki.acme.identifiers import challenge_types
from groundplane.pki.acme.model import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    Identifier,
)
from groundplane.pki.acme.plan import authorization_status, may_start
from groundplane.pki.acme.problem import Problem, Type, malformed
from groundplane.pki.acme.store import new_id

_NOT_FOUND = 404
_POLL = ("Retry-After", "1")
_TOKEN_BYTES = 32
_log = logger("acme")


def fresh(account: str, identifier: Identifier, context: Context, *, now: datetime) -> Authorization:
    """A new authorization with the challenges that may prove it. Raises Problem if there is none."""
    mine = new_id()
    token = jose.encode(secrets.token_bytes(_TOKEN_BYTES))
    kinds = challenge_types(identifier, context.config.challenges)
    if not kinds:
        detail = f"this server has no challenge that could prove {identifier.value!r}"
        raise Problem(Type.REJECTED_IDENTIFIER, detail, identifier=identifier)
    return Authorization(
        id=mine,
        account=account,
        identifier=Identifier(identifier.type, identifier.base),
        wildcard=identifier.wildcard,
        stored=AuthorizationStatus.PENDING,
        expires=now + context.config.lifetimes.authorization,
        created=now,
        challenges=tuple(Challenge(id=new_id(), authorization=mine, type=kind, token=token) for kind in kinds),
    )


def authorization(asked: Asked, identifier: str, context: Context) -> Answer:
    """Show one, or give it up."""
    found = own_authorization(asked, identifier, context)
    if not asked.reads:
        fields = jose.parse_object(asked.payload, what="the payload")
        if fields.get("status") != AuthorizationStatus.DEACTIVATED.value:
            raise malformed('the "status" of an authorization can only be set to "deactivated"')
        context.store.deactivate_authorization(identifier)
        _log.info("acme.authorization.deactivated", account=found.account, authorization=identifier)
        found = own_authorization(asked, identifier, context)
    busy = any(one.status is ChallengeStatus.PROCESSING for one in found.challenges)
    return Answer(document=authorization_document(found, context), headers=(_POLL,) if busy else ())


def challenge(asked: Asked, identifier: str, context: Context) -> Answer:
    """Show one, or answer it: then its validation begins."""
    found = context.store.challenge(identifier)
    if found is None:
        raise missing("challenge")
    parent = own_authorization(asked, found.authorization, context)
    if not asked.reads:
        jose.parse_object(asked.payload, what="the payload")
        now = context.now()
        if may_start(found, authorization_status(parent, now=now)) and context.store.start_challenge(
            identifier, due=now
        ):
            context.wake()
        again = context.store.challenge(identifier)
        assert again is not None
        found = again
    polled = (_POLL,) if found.status is ChallengeStatus.PROCESSING else ()
    up = link(context.urls.authorization(found.authorization), "up")
    return Answer(document=challenge_document(found, context), headers=(up, *polled))


def own_authorization(asked: Asked, identifier: str, context: Context) -> Authorization:
    """One of the account's. Raises Problem."""
    found = context.store.authorization(identifier)
    if found is None:
        raise missing("authorization")
    if found.account != asked.owner.id:
        raise Problem(Type.UNAUTHORIZED, "this authorization is another account's")
    return found


def authorization_document(found: Authorization, context: Context) -> dict[str, object]:
    """As clients see it (RFC 8555, 7.1.4): once it is decided, only the challenge that decided it."""
    status = authorization_status(found, now=context.now())
    deciding = {
        AuthorizationStatus.VALID: ChallengeStatus.VALID,
        AuthorizationStatus.INVALID: ChallengeStatus.INVALID,
    }.get(status)
    shown = [one for one in found.challenges if deciding is None or one.status is deciding]
    document: dict[str, object] = {
        "identifier": {"type": found.identifier.type.value, "value": found.identifier.value},
        "status": status.value,
        "expires": rfc3339(found.expires),
        "challenges": [challenge_document(one, context) for one in shown],
    }
    if found.wildcard:
        document["wildcard"] = True
    return document


def challenge_document(found: Challenge, context: Context) -> dict[str, object]:
    """As clients see it (RFC 8555, 8)."""
    document: dict[str, object] = {
        "type": found.type.value,
        "url": context.urls.challenge(found.id),
        "status": found.status.value,
        "token": found.token,
    }
    if found.validated is not None:
        document["validated"] = rfc3339(found.validated)
    if found.error is not None:
        document["error"] = dict(found.error)
    return document


def missing(what: str) -> Problem:
    """There is none."""
    return Problem(Type.MALFORMED, f"there is no such {what}", status=_NOT_FOUND)
