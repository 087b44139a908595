"""What state a thing is in, and what may become of it: RFC 8555, 7.1.6, as tables and pure functions.

Two states are never stored. An authorization is `expired` once its time is over; an order is `ready` while all of its
authorizations are valid, and `invalid` when one cannot become so any more. So a challenge's end is one write to one
authorization, and no crash can leave an order behind it.

    order:  pending -> ready -> processing -> valid            challenge:  pending -> processing -> valid
               |         |          |                                           |          |
               +---------+----------+-------> invalid                           +----------+-> invalid
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from groundplane.pki.acme.model import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    Order,
    OrderStatus,
)
from groundplane.pki.acme.problem import Problem, Type, malformed

_A, _C, _O = AuthorizationStatus, ChallengeStatus, OrderStatus
Status = TypeVar("Status", AuthorizationStatus, ChallengeStatus, OrderStatus)

ORDER_STEPS: Mapping[OrderStatus, frozenset[OrderStatus]] = {
    _O.PENDING: frozenset({_O.READY, _O.INVALID}),
    _O.READY: frozenset({_O.PROCESSING, _O.INVALID}),
    _O.PROCESSING: frozenset({_O.VALID, _O.INVALID}),
    _O.VALID: frozenset(),
    _O.INVALID: frozenset(),
}
AUTHORIZATION_STEPS: Mapping[AuthorizationStatus, frozenset[AuthorizationStatus]] = {
    _A.PENDING: frozenset({_A.VALID, _A.INVALID, _A.EXPIRED, _A.DEACTIVATED}),
    _A.VALID: frozenset({_A.EXPIRED, _A.DEACTIVATED, _A.REVOKED}),
    _A.INVALID: frozenset(),
    _A.DEACTIVATED: frozenset(),
    _A.EXPIRED: frozenset(),
    _A.REVOKED: frozenset(),
}
CHALLENGE_STEPS: Mapping[ChallengeStatus, frozenset[ChallengeStatus]] = {
    _C.PENDING: frozenset({_C.PROCESSING, _C.INVALID}),
    _C.PROCESSING: frozenset({_C.VALID, _C.INVALID}),
    _C.VALID: frozenset(),
    _C.INVALID: frozenset(),
}


def may_become(before: Status, after: Status, *, steps: Mapping[Status, frozenset[Status]]) -> bool:
    """Whether one step leads from `before` to `after`, or nothing changes."""
    return before is after or after in steps[before]


def authorization_status(authorization: Authorization, *, now: datetime) -> AuthorizationStatus:
    """Its status at `now`."""
    alive = authorization.stored in {_A.PENDING, _A.VALID}
    return _A.EXPIRED if alive and now >= authorization.expires else authorization.stored


def order_status(order: Order, authorizations: Iterable[AuthorizationStatus], *, now: datetime) -> OrderStatus:
    """Its status at `now`, from what is stored and its authorizations' statuses."""
    if order.stored is not _O.PENDING:
        return order.stored
    if now >= order.expires:
        return _O.INVALID
    seen = set(authorizations)
    if seen <= {_A.VALID}:
        return _O.READY
    return _O.PENDING if seen <= {_A.VALID, _A.PENDING} else _O.INVALID


def order_error(order: Order, authorizations: Iterable[Authorization], *, now: datetime) -> Mapping[str, object] | None:
    """Why an order is invalid: what is stored, or what its first failed authorization says."""
    if order.error is not None or order.stored is not _O.PENDING:
        return order.error
    for one in authorizations:
        status = authorization_status(one, now=now)
        failed = next((challenge.error for challenge in one.challenges if challenge.error is not None), None)
        if status is _A.INVALID and failed is not None:
            return failed
        if status not in {_A.VALID, _A.PENDING}:
            detail = f"the authorization of {one.identifier.value!r} is {status.value}"
            return Problem(Type.UNAUTHORIZED, detail, identifier=one.identifier).document()
    return malformed("the order has expired").document() if now >= order.expires else None


def may_start(challenge: Challenge, status: AuthorizationStatus) -> bool:
    """Whether a client's answer begins a validation; False: there is nothing (more) to do. Raises Problem."""
    if challenge.status is not _C.PENDING:
        return False
    if status is not _A.PENDING:
        raise malformed(f"the authorization is {status.value}, so its challenges cannot be answered")
    return True


def check_finalize(status: OrderStatus) -> None:
    """Raises Problem unless an order of this status takes a CSR."""
    if status is not _O.READY:
        raise Problem(Type.ORDER_NOT_READY, f"the order is {status.value}, not ready")


def after_attempt(attempts: int, *, most: int, first_wait: timedelta) -> timedelta | None:
    """How long to wait after attempt number `attempts` (from 1) failed, twice as long each time; None: give up."""
    return None if attempts >= most else first_wait * 2 ** (attempts - 1)


def check_dates(
    not_before: datetime | None,
    not_after: datetime | None,
    *,
    now: datetime,
    longest: timedelta,
    backdate: timedelta,
) -> None:
    """A new order's own dates: no further back than certificates begin anyway, and no longer than the profile's."""
    if not_before is not None and not_before < now - backdate - timedelta(minutes=1):
        raise malformed(f"notBefore is more than {backdate} in the past")
    start = not_before or now
    if start > now + longest:
        raise malformed("notBefore is too far in the future")
    if not_after is None:
        return
    if not_after <= max(start, now):
        raise malformed("notAfter is not after the beginning")
    if not_after > start + longest:
        raise malformed(f"notAfter is later than the profile allows ({longest} from the beginning)")


def renewal_window(
    not_before: datetime, not_after: datetime, *, now: datetime, revoked: bool
) -> tuple[datetime, datetime]:
    """RFC 9773, 4.2: when to renew. A third before the end, a sixth of it wide; at once what is revoked."""
    if revoked:
        return now - timedelta(hours=2), now - timedelta(hours=1)
    life = not_after - not_before
    start = not_after - life / 3
    return start, start + life / 18
