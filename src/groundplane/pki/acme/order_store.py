"""Orders, authorizations and challenges in the database. Each method is one transaction; what it returns is durable.

Steps that two clients or two servers could take at once are one conditional UPDATE each: who changes a row, goes on.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, and_, delete, func, insert, select, update

from groundplane.pki.acme import tables
from groundplane.pki.acme.jose import decode, encode
from groundplane.pki.acme.model import (
    Authorization,
    AuthorizationStatus,
    Challenge,
    ChallengeStatus,
    ChallengeType,
    Identifier,
    IdentifierType,
    Order,
    OrderStatus,
)
from groundplane.pki.acme.store import Store

_O, _A, _C = tables.orders.c, tables.authorizations.c, tables.challenges.c
_PAIR = tables.order_authorizations
_PURGED_AT_ONCE = 500


class OrderStore(Store):
    """What the server remembers, all of it."""

    # Orders

    def create_order(self, order: Order, fresh: Iterable[Authorization]) -> None:
        """An order, together with those of its authorizations that are new."""
        with self._transaction() as connection:
            for authorization in fresh:
                _insert_authorization(connection, authorization)
            connection.execute(
                insert(tables.orders).values(
                    id=order.id,
                    account=order.account,
                    status=order.stored.value,
                    identifiers=[[one.type.value, one.value] for one in order.identifiers],
                    profile=order.profile,
                    not_before=order.not_before,
                    not_after=order.not_after,
                    expires=order.expires,
                    created=order.created,
                    replaces=order.replaces or None,
                )
            )
            pairs = [
                {"order_id": order.id, "position": position, "authorization_id": one}
                for position, one in enumerate(order.authorizations)
            ]
            connection.execute(insert(_PAIR), pairs)

    def order(self, identifier: str) -> Order | None:
        """By its identifier."""
        return self._order(_O.id == identifier)

    def order_of_serial(self, serial: int) -> Order | None:
        """The one whose certificate has this serial number."""
        return self._order(_O.serial == str(serial))

    def replacement(self, certificate: str) -> Order | None:
        """An order that is to replace this certificate (RFC 9773's identifier), and has not failed."""
        return self._order(and_(_O.replaces == certificate, _O.status != OrderStatus.INVALID.value))

    def _order(self, condition: Any) -> Order | None:
        with self._transaction() as connection:
            row = connection.execute(select(tables.orders).where(condition).limit(1)).first()
            if row is None:
                return None
            pairs = select(_PAIR.c.authorization_id).where(_PAIR.c.order_id == row.id).order_by(_PAIR.c.position)
            return _order(row, tuple(connection.execute(pairs).scalars()))

    def orders_of(self, account: str, *, after: str, most: int) -> list[str]:
        """Identifiers of an account's orders that did not fail, in the order of the identifiers, beyond `after`."""
        good = _O.status != OrderStatus.INVALID.value
        chosen = select(_O.id).where(_O.account == account, _O.id > after, good).order_by(_O.id).limit(most)
        with self._transaction() as connection:
            return list(connection.execute(chosen).scalars())

    def count_orders(self, account: str, *, since: datetime) -> int:
        """How many an account has made."""
        with self._transaction() as connection:
            return connection.execute(
                select(func.count()).where(_O.account == account, _O.created >= since)
            ).scalar_one()

    def begin_issue(self, identifier: str, *, csr: bytes, serial: int, decided: datetime) -> bool:
        """Set it from pending to processing, for one caller alone: what its certificate will be is now fixed."""
        values = {"status": OrderStatus.PROCESSING.value, "csr": encode(csr), "serial": str(serial), "decided": decided}
        return self._step(identifier, OrderStatus.PENDING, values)

    def finish_order(self, identifier: str, *, pem: str) -> bool:
        """Set it from processing to valid."""
        return self._step(identifier, OrderStatus.PROCESSING, {"status": OrderStatus.VALID.value, "pem": pem})

    def fail_order(self, identifier: str, *, error: Mapping[str, object]) -> bool:
        """Set it from processing to invalid."""
        values = {"status": OrderStatus.INVALID.value, "error": dict(error)}
        return self._step(identifier, OrderStatus.PROCESSING, values)

    def _step(self, identifier: str, before: OrderStatus, values: Mapping[str, object]) -> bool:
        change = update(tables.orders).where(_O.id == identifier, _O.status == before.value).values(**values)
        with self._transaction() as connection:
            return connection.execute(change).rowcount == 1

    def unfinished(self, *, most: int) -> list[str]:
        """Orders that somebody began to issue for, and has not ended."""
        chosen = select(_O.id).where(_O.status == OrderStatus.PROCESSING.value).limit(most)
        with self._transaction() as connection:
            return list(connection.execute(chosen).scalars())

    # Authorizations

    def authorization(self, identifier: str) -> Authorization | None:
        """By its identifier, with its challenges."""
        return next(iter(self.authorizations([identifier])), None)

    def authorizations(self, identifiers: Iterable[str]) -> list[Authorization]:
        """By their identifiers, in this order."""
        wanted = list(identifiers)
        with self._transaction() as connection:
            rows = connection.execute(select(tables.authorizations).where(_A.id.in_(wanted))).all()
            ways = select(tables.challenges).where(_C.authorization_id.in_(wanted)).order_by(_C.type)
            challenges = [_challenge(row) for row in connection.execute(ways)]
        found = {row.id: _authorization(row, [c for c in challenges if c.authorization == row.id]) for row in rows}
        return [found[one] for one in wanted if one in found]

    def valid_authorizations(
        self, account: str, identifiers: Iterable[Identifier], *, until: datetime
    ) -> dict[Identifier, str]:
        """Which identifiers the account has proved, with the authorization that lasts longest beyond `until`."""
        wanted = set(identifiers)
        chosen = (
            select(tables.authorizations)
            .where(
                _A.account == account,
                _A.value.in_({one.base for one in wanted}),
                _A.status == AuthorizationStatus.VALID.value,
                _A.expires > until,
            )
            .order_by(_A.expires)
        )
        with self._transaction() as connection:
            rows = connection.execute(chosen).all()
        found = {_named(row): str(row.id) for row in rows}
        return {one: found[one] for one in wanted if one in found}

    def count_pending(self, account: str, *, now: datetime) -> int:
        """How many of an account's authorizations wait."""
        return self._count(_A.account == account, _A.status == AuthorizationStatus.PENDING.value, _A.expires > now)

    def count_failures(self, account: str, identifier: Identifier, *, since: datetime) -> int:
        """How often an account has failed to prove an identifier."""
        return self._count(
            _A.account == account,
            _A.value == identifier.base,
            _A.status == AuthorizationStatus.INVALID.value,
            _A.created >= since,
        )

    def _count(self, *conditions: Any) -> int:
        with self._transaction() as connection:
            return connection.execute(select(func.count()).where(*conditions)).scalar_one()

    def deactivate_authorization(self, identifier: str) -> None:
        """Its client gives it up."""
        alive = _A.status.in_([AuthorizationStatus.PENDING.value, AuthorizationStatus.VALID.value])
        change = update(tables.authorizations).where(_A.id == identifier, alive)
        with self._transaction() as connection:
            connection.execute(change.values(status=AuthorizationStatus.DEACTIVATED.value))

    # Challenges

    def challenge(self, identifier: str) -> Challenge | None:
        """By its identifier."""
        with self._transaction() as connection:
            row = connection.execute(select(tables.challenges).where(_C.id == identifier)).first()
        return None if row is None else _challenge(row)

    def start_challenge(self, identifier: str, *, due: datetime) -> bool:
        """Set it from pending to processing: it will be validated at `due`."""
        change = update(tables.challenges).where(_C.id == identifier, _C.status == ChallengeStatus.PENDING.value)
        with self._transaction() as connection:
            values = {"status": ChallengeStatus.PROCESSING.value, "due": due}
            return connection.execute(change.values(**values)).rowcount == 1

    def claim_due(self, *, now: datetime, until: datetime, most: int) -> list[Challenge]:
        """Challenges that are due, for this caller alone until `until`; then they are due again."""
        processing = _C.status == ChallengeStatus.PROCESSING.value
        chosen = select(tables.challenges).where(processing, _C.due <= now).order_by(_C.due).limit(most)
        with self._transaction() as connection:
            rows = connection.execute(chosen).all()
        claimed: list[Challenge] = []
        for row in rows:
            change = update(tables.challenges).where(_C.id == row.id, processing, _C.due == row.due).values(due=until)
            with self._transaction() as connection:
                if connection.execute(change).rowcount == 1:
                    claimed.append(_challenge(row))
        return claimed

    def next_due(self) -> datetime | None:
        """When the first challenge is due."""
        chosen = select(func.min(_C.due)).where(_C.status == ChallengeStatus.PROCESSING.value)
        with self._transaction() as connection:
            return connection.execute(chosen).scalar()

    def postpone(self, challenge: Challenge, *, due: datetime, error: Mapping[str, object]) -> None:
        """It failed, and is tried again at `due`; meanwhile the client sees why."""
        change = update(tables.challenges).where(_C.id == challenge.id, _C.status == ChallengeStatus.PROCESSING.value)
        with self._transaction() as connection:
            connection.execute(change.values(attempts=challenge.attempts + 1, due=due, error=dict(error)))

    def end_challenge(
        self, challenge: Challenge, *, at: datetime, error: Mapping[str, object] | None, expires: datetime
    ) -> None:
        """Its end, and with it its authorization's: valid until `expires`, or invalid for `error`."""
        good = error is None
        status = ChallengeStatus.VALID if good else ChallengeStatus.INVALID
        values: dict[str, object] = {"status": status.value, "validated": at if good else None, "due": None}
        values |= {"error": error, "attempts": challenge.attempts + 1}
        change = update(tables.challenges).where(_C.id == challenge.id, _C.status == ChallengeStatus.PROCESSING.value)
        pending = and_(_A.id == challenge.authorization, _A.status == AuthorizationStatus.PENDING.value)
        outcome = {"status": status.value, "expires": expires} if good else {"status": status.value}
        with self._transaction() as connection:
            if connection.execute(change.values(**values)).rowcount == 1:
                connection.execute(update(tables.authorizations).where(pending).values(**outcome))

    # Upkeep

    def forget(self, *, now: datetime, kept: timedelta) -> None:
        """Remove what ended longer than `kept` ago and came to nothing; orders with a certificate stay."""
        self.forget_nonces(now)
        old = now - kept
        came_to_nothing = _O.status.in_([OrderStatus.PENDING.value, OrderStatus.INVALID.value])
        with self._transaction() as connection:
            chosen = select(_O.id).where(came_to_nothing, _O.expires < old).limit(_PURGED_AT_ONCE)
            if ids := list(connection.execute(chosen).scalars()):
                connection.execute(delete(_PAIR).where(_PAIR.c.order_id.in_(ids)))
                connection.execute(delete(tables.orders).where(_O.id.in_(ids)))
        unused = select(_A.id).where(_A.expires < old, _A.id.not_in(select(_PAIR.c.authorization_id)))
        with self._transaction() as connection:
            if ids := list(connection.execute(unused.limit(_PURGED_AT_ONCE)).scalars()):
                connection.execute(delete(tables.challenges).where(_C.authorization_id.in_(ids)))
                connection.execute(delete(tables.authorizations).where(_A.id.in_(ids)))


def _insert_authorization(connection: Connection, authorization: Authorization) -> None:
    connection.execute(
        insert(tables.authorizations).values(
            id=authorization.id,
            account=authorization.account,
            type=authorization.identifier.type.value,
            value=authorization.identifier.value,
            wildcard=authorization.wildcard,
            status=authorization.stored.value,
            expires=authorization.expires,
            created=authorization.created,
        )
    )
    rows = [
        {
            "id": challenge.id,
            "authorization_id": authorization.id,
            "type": challenge.type.value,
            "token": challenge.token,
            "status": challenge.status.value,
            "attempts": challenge.attempts,
        }
        for challenge in authorization.challenges
    ]
    connection.execute(insert(tables.challenges), rows)


def _named(row: Row[Any]) -> Identifier:
    return Identifier(IdentifierType(row.type), f"*.{row.value}" if row.wildcard else row.value)


def _order(row: Row[Any], authorizations: tuple[str, ...]) -> Order:
    return Order(
        id=row.id,
        account=row.account,
        identifiers=tuple(Identifier(IdentifierType(kind), value) for kind, value in row.identifiers),
        authorizations=authorizations,
        stored=OrderStatus(row.status),
        expires=row.expires,
        created=row.created,
        profile=row.profile,
        not_before=row.not_before,
        not_after=row.not_after,
        error=row.error,
        csr=decode(row.csr or "", what="the stored CSR"),
        serial=None if row.serial is None else int(row.serial),
        decided=row.decided,
        pem=row.pem or "",
        replaces=row.replaces or "",
    )


def _authorization(row: Row[Any], challenges: Iterable[Challenge]) -> Authorization:
    return Authorization(
        id=row.id,
        account=row.account,
        identifier=Identifier(IdentifierType(row.type), row.value),
        wildcard=bool(row.wildcard),
        stored=AuthorizationStatus(row.status),
        expires=row.expires,
        created=row.created,
        challenges=tuple(challenges),
    )


def _challenge(row: Row[Any]) -> Challenge:
    return Challenge(
        id=row.id,
        authorization=row.authorization_id,
        type=ChallengeType(row.type),
        token=row.token,
        status=ChallengeStatus(row.status),
        validated=row.validated,
        error=row.error,
        attempts=row.attempts,
        due=row.due,
    )
