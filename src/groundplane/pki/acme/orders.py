"""Orders: RFC 8555, 7.4: make one, finalize it, fetch its certificate."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from groundplane.observe.log import logger
from groundplane.pki.acme import jose
from groundplane.pki.acme.accounts import limited
from groundplane.pki.acme.authorizations import fresh, missing
from groundplane.pki.acme.context import Answer, Asked, Context, link, rfc3339
from groundplane.pki.acme.csr import check_csr
from groundplane.pki.acme.identifiers import parse_identifiers
from groundplane.pki.acme.model import (
    Authorization,
    AuthorizationStatus,
    Identifier,
    IdentifierType,
    Order,
    OrderStatus,
)
from groundplane.pki.acme.plan import authorization_status, check_dates, check_finalize, order_error, order_status
from groundplane.pki.acme.problem import Problem, Type, malformed, of_many
from groundplane.pki.acme.renewals import check_replaces
from groundplane.pki.acme.store import new_id
from groundplane.pki.certificate import random_serial
from groundplane.pki.keys import public_bytes
from groundplane.pki.model import Profile
from groundplane.pki.policy import BACKDATE

_CREATED = 201
_POLL = ("Retry-After", "1")
_ONE_YEAR = timedelta(hours=8760)
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)
_REUSE_MARGIN = timedelta(minutes=5)  # what is left of an authorization that is reused, at least
_PEM_CHAIN = "application/pem-certificate-chain"
_log = logger("acme")


def new_order(asked: Asked, context: Context) -> Answer:
    """Make an order, reusing what the account has proved already."""
    fields = jose.parse_object(asked.payload, what="the payload")
    config, now, account = context.config, context.now(), asked.owner
    identifiers = parse_identifiers(fields.get("identifiers"), most=config.limits.identifiers_per_order)
    config.identifiers.check(identifiers)
    name = _profile_name(fields.get("profile"), context)
    profile = context.issuer.profile(name)
    _check_whitelist(identifiers, profile)
    not_before, not_after = _moment(fields, "notBefore"), _moment(fields, "notAfter")
    if (not_before or not_after) and (profile.not_before or profile.not_after):
        raise malformed("the profile fixes the dates of its certificates")
    longest = profile.expiry or _ONE_YEAR
    check_dates(not_before, not_after, now=now, longest=longest, backdate=profile.backdate or BACKDATE)
    replaces = check_replaces(fields.get("replaces"), account.id, context)
    proved = context.store.valid_authorizations(account.id, identifiers, until=now + _REUSE_MARGIN)
    _check_limits(account.id, [one for one in identifiers if one not in proved], context, now=now)
    new = {one: fresh(account.id, one, context, now=now) for one in identifiers if one not in proved}
    order = Order(
        id=new_id(),
        account=account.id,
        identifiers=identifiers,
        authorizations=tuple(proved[one] if one in proved else new[one].id for one in identifiers),
        stored=OrderStatus.PENDING,
        expires=now + config.lifetimes.order,
        created=now,
        profile=name,
        not_before=not_before,
        not_after=not_after,
        replaces=replaces,
    )
    context.store.create_order(order, new.values())
    _log.info("acme.order", account=account.id, order=order.id, identifiers=list(map(str, identifiers)))
    return _answer(order, context, status=_CREATED)


def order(asked: Asked, identifier: str, context: Context) -> Answer:
    """Show one; what a crash has left half done is ended now."""
    found = _own(asked, identifier, context)
    if found.stored is OrderStatus.PROCESSING:
        found = complete(found, context)
    return _answer(found, context)


def finalize(asked: Asked, identifier: str, context: Context) -> Answer:
    """Issue. The same CSR again gets the same answer, not a second certificate."""
    found = _own(asked, identifier, context)
    fields = jose.parse_object(asked.payload, what="the payload")
    csr = jose.decode(fields.get("csr"), what='"csr"')
    if found.stored is OrderStatus.PENDING:
        now = context.now()
        check_finalize(order_status(found, _statuses(_authorizations(found, context), now), now=now))
        checked = check_csr(csr, found.identifiers, account_key=public_bytes(asked.key))
        context.issuer.plan(checked, found, now=now)
        context.store.begin_issue(identifier, csr=csr, serial=random_serial(), decided=now)
        found = _own(asked, identifier, context)
    if found.csr != csr:
        check_finalize(found.stored)
    if found.stored is OrderStatus.PROCESSING:
        found = complete(found, context)
    return _answer(found, context)


def complete(found: Order, context: Context) -> Order:
    """Go on with an order in `processing`; safe to do twice, or by two at once."""
    holder = context.store.account(found.account)
    assert holder is not None
    key, _ = jose.parse_key(dict(holder.jwk))
    try:
        leaf = context.issuer.issue(found, account_key=public_bytes(key))
    except Problem as refused:
        context.store.fail_order(found.id, error=refused.document())
        _log.warning("acme.order.failed", order=found.id, error=refused.happened)
    else:
        if context.store.finish_order(found.id, pem=leaf + context.issuer.chain(0)):
            names = list(map(str, found.identifiers))
            serial = f"{found.serial:x}"
            _log.info("acme.issued", account=found.account, order=found.id, serial=serial, identifiers=names)
    done = context.store.order(found.id)
    assert done is not None
    return done


def certificate(asked: Asked, identifier: str, chain: int, context: Context) -> Answer:
    """The certificate with its chain, and where the alternate ones are."""
    found = _own(asked, identifier, context)
    if not asked.reads:
        raise malformed("a certificate is fetched by POST-as-GET, with an empty payload")
    if found.stored is not OrderStatus.VALID or not chain < context.issuer.chains:
        raise missing("certificate")
    text = found.pem
    if chain:
        end = "-----END CERTIFICATE-----\n"
        text = text.partition(end)[0] + end + context.issuer.chain(chain)
    others = (number for number in range(context.issuer.chains) if number != chain)
    links = tuple(link(_certificate_url(found, number, context), "alternate") for number in others)
    return Answer(text=text, content_type=_PEM_CHAIN, headers=links)


def order_document(found: Order, context: Context) -> dict[str, object]:
    """As clients see it (RFC 8555, 7.1.3)."""
    now = context.now()
    authorizations = _authorizations(found, context)
    status = order_status(found, _statuses(authorizations, now), now=now)
    document: dict[str, object] = {
        "status": status.value,
        "expires": rfc3339(found.expires),
        "identifiers": [{"type": one.type.value, "value": one.value} for one in found.identifiers],
        "authorizations": [context.urls.authorization(one) for one in found.authorizations],
        "finalize": f"{context.urls.order(found.id)}/finalize",
    }
    optional: dict[str, object] = {
        "profile": found.profile if context.config.profiles else "",
        "notBefore": found.not_before and rfc3339(found.not_before),
        "notAfter": found.not_after and rfc3339(found.not_after),
        "replaces": found.replaces,
        "error": order_error(found, authorizations, now=now) if status is OrderStatus.INVALID else None,
        "certificate": _certificate_url(found, 0, context) if status is OrderStatus.VALID else None,
    }
    return document | {name: value for name, value in optional.items() if value}


def _answer(found: Order, context: Context, *, status: int = 200) -> Answer:
    polled = (_POLL,) if found.stored is OrderStatus.PROCESSING else ()
    place = ("Location", context.urls.order(found.id))
    return Answer(status=status, document=order_document(found, context), headers=(place, *polled))


def _own(asked: Asked, identifier: str, context: Context) -> Order:
    found = context.store.order(identifier)
    if found is None:
        raise missing("order")
    if found.account != asked.owner.id:
        raise Problem(Type.UNAUTHORIZED, "this order is another account's")
    return found


def _authorizations(found: Order, context: Context) -> list[Authorization]:
    return context.store.authorizations(found.authorizations)


def _statuses(authorizations: list[Authorization], now: datetime) -> list[AuthorizationStatus]:
    return [authorization_status(one, now=now) for one in authorizations]


def _certificate_url(found: Order, chain: int, context: Context) -> str:
    url = context.urls.of("cert", found.id)
    return f"{url}/{chain}" if chain else url


def _profile_name(value: object, context: Context) -> str:
    offered = context.config.profiles
    if value is None:
        return ""
    if not isinstance(value, str) or value not in offered:
        known = ", ".join(sorted(offered)) or "none"
        raise Problem(Type.INVALID_PROFILE, f"there is no such profile; offered: {known}")
    return value


def _check_whitelist(identifiers: tuple[Identifier, ...], profile: Profile) -> None:
    """The profile's own rule for names, before anybody proves anything."""
    if not profile.name_whitelist:
        return
    allowed = re.compile(profile.name_whitelist)
    refused = [
        Problem(Type.REJECTED_IDENTIFIER, f"the profile does not allow {one.value!r}", identifier=one)
        for one in identifiers
        if one.type is IdentifierType.DNS and not allowed.search(one.value)
    ]
    if refused:
        raise of_many(refused, summary="some of the identifiers are not allowed")


def _check_limits(account: str, unproved: list[Identifier], context: Context, *, now: datetime) -> None:
    limits, since = context.config.limits, now - context.config.limits.window
    if context.store.count_orders(account, since=since) >= limits.orders_per_account:
        raise limited("orders of this account", limits.window)
    if unproved and context.store.count_pending(account, now=now) + len(unproved) > limits.pending_authorizations:
        raise limited("authorizations of this account wait", limits.window)
    for one in unproved:
        if context.store.count_failures(account, one, since=since) >= limits.failures_per_identifier:
            raise limited(f"failed authorizations of {one.value}", limits.window)


def _moment(fields: Mapping[str, object], name: str) -> datetime | None:
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise malformed(f'"{name}" is not a time as in RFC 3339')
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC).replace(microsecond=0)
    except (ValueError, OverflowError) as bad:
        raise malformed(f'"{name}" is not a time as in RFC 3339') from bad
