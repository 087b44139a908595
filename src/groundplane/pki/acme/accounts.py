"""Accounts: RFC 8555, 7.3 (make, find, bind, update, deactivate), 7.3.5 (change the key), 7.1.2.1 (their orders)."""

import re
from datetime import timedelta

from groundplane.observe.log import logger
from groundplane.pki.acme import jose
from groundplane.pki.acme.authentication import check_alive
from groundplane.pki.acme.context import Answer, Asked, Context, link
from groundplane.pki.acme.model import Account, AccountStatus
from groundplane.pki.acme.problem import Problem, Type, malformed
from groundplane.pki.acme.store import is_id, new_id

_MOST_CONTACTS, _LONGEST_CONTACT = 10, 254
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_PAGE = 100
_CREATED, _CONFLICT = 201, 409
_log = logger("acme")


def new_account(asked: Asked, context: Context) -> Answer:
    """Make an account for the key, or find the one it has."""
    fields = jose.parse_object(asked.payload, what="the payload")
    mine = jose.thumbprint(asked.jwk)
    if (known := context.store.account_of_key(mine)) is not None:
        return _existing(known, context)
    if fields.get("onlyReturnExisting") is True:
        raise Problem(Type.ACCOUNT_DOES_NOT_EXIST, "there is no account with this key")
    config = context.config
    if config.terms and fields.get("termsOfServiceAgreed") is not True:
        headers = dict([link(config.terms, "terms-of-service")])
        raise Problem(Type.USER_ACTION_REQUIRED, f"agree to the terms at {config.terms} first", headers=headers)
    kid, binding = _bound(fields.get("externalAccountBinding"), asked, context)
    contact = parse_contact(fields.get("contact", []))
    now = context.now()
    limits = config.limits
    if context.store.count_accounts(asked.client, since=now - limits.window) >= limits.accounts_per_address:
        raise limited("accounts were made from this address", limits.window)
    account = Account(
        id=new_id(),
        jwk=asked.jwk,
        thumbprint=mine,
        created=now,
        contact=contact,
        terms_agreed=fields.get("termsOfServiceAgreed") is True,
        external=binding,
        external_kid=kid,
        created_from=asked.client,
    )
    if context.store.create_account(account) is None:
        if (known := context.store.account_of_key(mine)) is not None:  # by the same client, at the same moment
            return _existing(known, context)
        raise _taken()
    _log.info("acme.account", account=account.id, client=asked.client, external=kid)
    return _answer(account, context, status=_CREATED)


def account(asked: Asked, identifier: str, context: Context) -> Answer:
    """Show, update or deactivate one's own account."""
    mine = _own(asked, identifier)
    if asked.reads:
        return _answer(mine, context)
    fields = jose.parse_object(asked.payload, what="the payload")
    contact = parse_contact(fields["contact"]) if "contact" in fields else None
    deactivate = fields.get("status") == AccountStatus.DEACTIVATED.value  # RFC 8555, 7.3.2: all else is passed over
    context.store.update_account(identifier, contact=contact, deactivate=deactivate)
    if deactivate:
        _log.info("acme.account.deactivated", account=identifier)
    changed = context.store.account(identifier)
    assert changed is not None
    return _answer(changed, context)


def orders_of(asked: Asked, identifier: str, context: Context) -> Answer:
    """The URLs of one's own orders, a page at a time."""
    _own(asked, identifier)
    after = asked.query.get("after", "")
    if after and not is_id(after):
        raise malformed('"after" is no order')
    found = context.store.orders_of(identifier, after=after, most=_PAGE + 1)
    page = found[:_PAGE]
    more = f"{context.urls.account(identifier)}/orders?after={page[-1]}" if len(found) > _PAGE else ""
    headers = (link(more, "next"),) if more else ()
    return Answer(document={"orders": [context.urls.order(one) for one in page]}, headers=headers)


def key_change(asked: Asked, context: Context) -> Answer:
    """Another key for the account: the old one signs outside, the new one inside (RFC 8555, 7.3.5)."""
    inner = jose.parse(asked.payload, what="the inner JWS")
    if "jwk" not in inner.protected or "kid" in inner.protected:
        raise malformed('the inner JWS needs "jwk", the new key')
    if "nonce" in inner.protected:
        raise malformed("the inner JWS must not have a nonce")
    new, members = jose.parse_key(inner.protected["jwk"])
    jose.verify(inner, new)
    if inner.text("url") != asked.url:
        raise malformed('the "url" of the inner JWS is not that of the outer one')
    fields = jose.parse_object(inner.payload, what="the inner payload")
    mine = asked.owner
    if fields.get("account") != context.urls.account(mine.id):
        raise malformed('"account" is not the URL of the account that signs outside')
    _, old = jose.parse_key(fields.get("oldKey"))
    if jose.thumbprint(old) != mine.thumbprint:
        raise malformed('"oldKey" is not the account\'s key')
    wanted = jose.thumbprint(members)
    if not context.store.replace_key(mine.id, old=mine.thumbprint, jwk=members, new=wanted):
        holder = context.store.account_of_key(wanted)
        headers = {} if holder is None else {"Location": context.urls.account(holder.id)}
        raise Problem(Type.MALFORMED, "the new key has an account already", status=_CONFLICT, headers=headers)
    _log.info("acme.account.key_changed", account=mine.id)
    changed = context.store.account(mine.id)
    assert changed is not None
    return _answer(changed, context)


def parse_contact(value: object) -> tuple[str, ...]:
    """Addresses by mailto: (RFC 8555, 7.3). Raises Problem."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise malformed('"contact" is a list of URLs')
    if len(value) > _MOST_CONTACTS:
        raise Problem(Type.INVALID_CONTACT, f"there are more than {_MOST_CONTACTS} contacts")
    for url in value:
        scheme, _, address = url.partition(":")
        if scheme.lower() != "mailto":
            raise Problem(Type.UNSUPPORTED_CONTACT, "contacts are mailto: URLs")
        if len(address) > _LONGEST_CONTACT or not _ADDRESS.fullmatch(address):
            raise Problem(Type.INVALID_CONTACT, "a contact is not one plain e-mail address (RFC 6068)")
    return tuple(value)


def limited(what: str, window: timedelta) -> Problem:
    """Too much of something."""
    wait = str(int(window.total_seconds()))
    return Problem(Type.RATE_LIMITED, f"too many {what} within {window}", headers={"Retry-After": wait})


def account_document(account: Account, context: Context) -> dict[str, object]:
    """As clients see it (RFC 8555, 7.1.2)."""
    document: dict[str, object] = {"status": account.status.value}
    if account.contact:
        document["contact"] = list(account.contact)
    if account.terms_agreed:
        document["termsOfServiceAgreed"] = True
    if account.external is not None:
        document["externalAccountBinding"] = dict(account.external)
    document["orders"] = f"{context.urls.account(account.id)}/orders"
    return document


def _existing(known: Account, context: Context) -> Answer:
    check_alive(known)
    return _answer(known, context)


def _answer(account: Account, context: Context, *, status: int = 200) -> Answer:
    place = ("Location", context.urls.account(account.id))
    return Answer(status=status, document=account_document(account, context), headers=(place,))


def _own(asked: Asked, identifier: str) -> Account:
    if asked.owner.id != identifier:
        raise Problem(Type.UNAUTHORIZED, "this is another account's")
    return asked.owner


def _bound(value: object, asked: Asked, context: Context) -> tuple[str, dict[str, object] | None]:
    """External account binding: the key identifier, and the binding as it came. Raises Problem."""
    if value is None:
        if context.config.external.required:
            detail = "this server wants an external account's key identifier and HMAC key"
            raise Problem(Type.EXTERNAL_ACCOUNT_REQUIRED, detail)
        return "", None
    if not isinstance(value, dict):
        raise malformed('"externalAccountBinding" is not a JWS')
    inner = jose.of_fields(value, what="the external account binding")
    if inner.text("url") != asked.url:
        raise malformed('the "url" of the external account binding is not that of the request')
    if "nonce" in inner.protected:
        raise malformed("the external account binding must not have a nonce")
    kid = inner.text("kid")
    jose.verify_hmac(inner, context.external_keys.get(kid, b""))
    _, members = jose.parse_key(jose.parse_object(inner.payload, what="the binding's payload"))
    if jose.thumbprint(members) != jose.thumbprint(asked.jwk):
        raise malformed("the external account binding is about another key")
    if context.store.account_bound_to(kid) is not None:
        raise _taken()
    return kid, {name: value[name] for name in ("protected", "payload", "signature")}


def _taken() -> Problem:
    return Problem(Type.UNAUTHORIZED, "the external account has an ACME account already")
