"""Accounts and nonces in the database. Each method is one transaction; what it returns is durable.

`Store` is thread safe; several processes may share a database. Orders and what belongs to them: `order_store`.
"""

import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from groundplane.errors import Unavailable, WrongState
from groundplane.pki.acme import nonces, tables
from groundplane.pki.acme.model import Account, AccountStatus

_SCHEMA, _SECRET = "schema", "nonce-secret"
_TRIES = 3
_ID = re.compile(f"[0-9a-f]{{{tables.ID}}}")
_LOCK, _LOCK_WITHIN = 0x67706163, 60  # any number that nobody else takes; seconds


class Store:
    """What the server remembers of accounts and nonces."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def migrate(self) -> None:
        """Bring the tables to this program's form. Raises WrongState if a newer one has been here."""
        for left in reversed(range(_TRIES)):
            try:
                self._migrate()
            except DBAPIError as failed:
                if not left:  # another server that starts at this moment may have been first, and it has now
                    raise Unavailable(f"the tables cannot be made: {failed.orig}", to="ACME database") from failed
            else:
                return

    def _migrate(self) -> None:
        with self._engine.begin() as connection, _alone(connection):
            tables.facts.create(connection, checkfirst=True)
            version = known_version(connection)
            if version == len(tables.MIGRATIONS):
                return
            for step in tables.MIGRATIONS[version:]:
                step(connection)
            connection.execute(delete(tables.facts).where(tables.facts.c.name == _SCHEMA))
            connection.execute(insert(tables.facts).values(name=_SCHEMA, value=str(len(tables.MIGRATIONS))))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """One transaction; a database that fails is Unavailable. An IntegrityError is the caller's to understand."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except IntegrityError:
            raise
        except SQLAlchemyError as failed:
            cause = getattr(failed, "orig", None) or failed
            raise Unavailable(f"the database fails: {cause}", to="ACME database") from failed

    # Nonces

    @cached_property
    def nonce_secret(self) -> bytes:
        """The secret that all servers of this database make their nonces with; made by the first."""
        mine = secrets.token_hex(nonces.SECRET_BYTES)
        try:
            with self._transaction() as connection:
                if (theirs := _fact(connection, _SECRET)) is not None:
                    return bytes.fromhex(theirs)
                connection.execute(insert(tables.facts).values(name=_SECRET, value=mine))
        except IntegrityError:
            with self._transaction() as connection:
                return bytes.fromhex(_fact(connection, _SECRET) or "")
        return bytes.fromhex(mine)

    def spend(self, name: str, ends: datetime) -> bool:
        """Whether this nonce was not used before; it is now."""
        try:
            with self._transaction() as connection:
                connection.execute(insert(tables.used_nonces).values(name=name, ends=ends))
        except IntegrityError:
            return False
        return True

    def forget_nonces(self, now: datetime) -> None:
        """Used nonces are kept until they would be too old anyway."""
        with self._transaction() as connection:
            connection.execute(delete(tables.used_nonces).where(tables.used_nonces.c.ends < now))

    # Accounts

    def create_account(self, account: Account) -> Account | None:
        """None, with nothing changed, if its key or its external account has one already."""
        try:
            with self._transaction() as connection:
                connection.execute(
                    insert(tables.accounts).values(
                        id=account.id,
                        key_digest=digest(account.thumbprint),
                        jwk=dict(account.jwk),
                        thumbprint=account.thumbprint,
                        status=account.status.value,
                        contact=list(account.contact),
                        terms_agreed=account.terms_agreed,
                        external=account.external,
                        external_digest=digest(account.external_kid) if account.external_kid else None,
                        external_kid=account.external_kid,
                        created=account.created,
                        created_from=account.created_from,
                    )
                )
        except IntegrityError:
            return None
        return account

    def account(self, identifier: str) -> Account | None:
        """By its identifier."""
        return self._account(tables.accounts.c.id == identifier)

    def account_of_key(self, thumbprint: str) -> Account | None:
        """By its key."""
        return self._account(tables.accounts.c.key_digest == digest(thumbprint))

    def account_bound_to(self, external_kid: str) -> Account | None:
        """Any account that an external one is bound to."""
        return self._account(tables.accounts.c.external_digest == digest(external_kid))

    def _account(self, condition: Any) -> Account | None:
        with self._transaction() as connection:
            row = connection.execute(select(tables.accounts).where(condition).limit(1)).first()
        return None if row is None else _account(row)

    def count_accounts(self, created_from: str, *, since: datetime) -> int:
        """How many were made from an address."""
        table = tables.accounts
        with self._transaction() as connection:
            return connection.execute(
                select(func.count()).where(table.c.created_from == created_from, table.c.created >= since)
            ).scalar_one()

    def update_account(self, identifier: str, *, contact: tuple[str, ...] | None, deactivate: bool) -> None:
        """New contacts, or the end; only of an account that is valid."""
        table = tables.accounts
        values: dict[str, object] = {} if contact is None else {"contact": list(contact)}
        if deactivate:
            values["status"] = AccountStatus.DEACTIVATED.value
        if values:
            valid = table.c.status == AccountStatus.VALID.value
            with self._transaction() as connection:
                connection.execute(update(table).where(table.c.id == identifier, valid).values(**values))

    def replace_key(self, identifier: str, *, old: str, jwk: Mapping[str, str], new: str) -> bool:
        """Whether the account's key, whose thumbprint was `old`, is now another; not if `new` has an account."""
        table = tables.accounts
        values = {"jwk": dict(jwk), "thumbprint": new, "key_digest": digest(new)}
        try:
            with self._transaction() as connection:
                done = connection.execute(
                    update(table).where(table.c.id == identifier, table.c.key_digest == digest(old)).values(**values)
                )
        except IntegrityError:
            return False
        return done.rowcount == 1


def new_id() -> str:
    """An identifier that nobody guesses."""
    return secrets.token_hex(tables.ID // 2)


def is_id(text: str) -> bool:
    """Whether it has the form of one. What has not, no database should have to understand."""
    return _ID.fullmatch(text) is not None


def digest(text: str) -> str:
    """A text whose letter case counts, in a form that no database confuses."""
    return hashlib.sha256(text.encode()).hexdigest()


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Only one server at a time: PostgreSQL and MySQL have locks for that, SQLite's transaction is one."""
    match connection.dialect.name:
        case "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK)))  # until the transaction ends
            yield
        case "mysql" | "mariadb":
            name = func.concat("groundplane-acme-", func.md5(func.database()))
            connection.execute(select(func.get_lock(name, _LOCK_WITHIN)))
            try:
                yield
            finally:
                connection.execute(select(func.release_lock(name)))
        case _:
            yield


def known_version(connection: Connection) -> int:
    """Which of our forms the tables have. Raises WrongState for one of a newer program."""
    version = int(_fact(connection, _SCHEMA) or 0)
    if version > len(tables.MIGRATIONS):
        happened = f"its tables have version {version}, and this program knows {len(tables.MIGRATIONS)}"
        raise WrongState(happened, to="ACME database", hint="use a newer groundplane")
    return version


def _fact(connection: Connection, name: str) -> str | None:
    return connection.execute(select(tables.facts.c.value).where(tables.facts.c.name == name)).scalar()


def _account(row: Row[Any]) -> Account:
    return Account(
        id=row.id,
        jwk=row.jwk,
        thumbprint=row.thumbprint,
        created=row.created,
        status=AccountStatus(row.status),
        contact=tuple(row.contact),
        terms_agreed=bool(row.terms_agreed),
        external=row.external,
        external_kid=row.external_kid,
        created_from=row.created_from,
    )
