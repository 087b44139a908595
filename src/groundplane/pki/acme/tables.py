"""The server's own tables, beside CFSSL's `certificates` in one database: SQLite, PostgreSQL, MySQL or MariaDB.

Identifiers of rows are lower-case hex, since MySQL compares text without regard to case. Times are whole milliseconds
since 1970, so that no database has an opinion on zones, years or rounding. `MIGRATIONS` are steps that may be done
twice (a crash, two servers that start at once): each looks before it makes.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    types,
)

ID = 32  # characters: 128 random bits in hex
_DIGEST = 64
_IDENTIFIER = 255
_SERIAL = 50

metadata = MetaData()


class Moment(types.TypeDecorator[datetime]):
    """An aware UTC time as milliseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - its shape
        """To the database."""
        return None if value is None else round(value.timestamp() * 1000)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - its shape
        """From the database."""
        return None if value is None else datetime.fromtimestamp(value / 1000, UTC)


class Document(types.TypeDecorator[Any]):
    """JSON as text: MySQL's JSON type would reorder it, and nothing is searched for inside."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - its shape
        """To the database, in ASCII."""
        return None if value is None else json.dumps(value)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Any | None:  # noqa: ARG002 - its shape
        """From the database."""
        return None if value is None else json.loads(value)


facts = Table(
    "acme_facts",
    metadata,
    Column("name", String(ID), primary_key=True),
    Column("value", String(_DIGEST), nullable=False),
)

accounts = Table(
    "acme_accounts",
    metadata,
    Column("id", String(ID), primary_key=True),
    Column("key_digest", String(_DIGEST), nullable=False, unique=True),
    Column("jwk", Document, nullable=False),
    Column("thumbprint", String(_DIGEST), nullable=False),
    Column("status", String(16), nullable=False),
    Column("contact", Document, nullable=False),
    Column("terms_agreed", Boolean, nullable=False),
    Column("external", Document),
    Column("external_digest", String(_DIGEST), unique=True),
    Column("external_kid", Text, nullable=False),
    Column("created", Moment, nullable=False),
    Column("created_from", String(64), nullable=False),
    Index("acme_accounts_from", "created_from", "created"),
)

orders = Table(
    "acme_orders",
    metadata,
    Column("id", String(ID), primary_key=True),
    Column("account", String(ID), ForeignKey("acme_accounts.id"), nullable=False),
    Column("status", String(16), nullable=False),
    Column("identifiers", Document, nullable=False),
    Column("profile", String(_IDENTIFIER), nullable=False),
    Column("not_before", Moment),
    Column("not_after", Moment),
    Column("expires", Moment, nullable=False),
    Column("created", Moment, nullable=False),
    Column("error", Document),
    Column("csr", Text),
    Column("serial", String(_SERIAL), unique=True),
    Column("decided", Moment),
    Column("pem", Text),
    Column("replaces", String(_IDENTIFIER), index=True),
    Index("acme_orders_account", "account", "created"),
    Index("acme_orders_status", "status", "expires"),
)

authorizations = Table(
    "acme_authorizations",
    metadata,
    Column("id", String(ID), primary_key=True),
    Column("account", String(ID), ForeignKey("acme_accounts.id"), nullable=False),
    Column("type", String(16), nullable=False),
    Column("value", String(_IDENTIFIER), nullable=False),
    Column("wildcard", Boolean, nullable=False),
    Column("status", String(16), nullable=False),
    Column("expires", Moment, nullable=False),
    Column("created", Moment, nullable=False),
    Index("acme_authorizations_account", "account", "value", "status"),
    Index("acme_authorizations_expires", "expires"),
)

order_authorizations = Table(
    "acme_order_authorizations",
    metadata,
    Column("order_id", String(ID), ForeignKey("acme_orders.id"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("authorization_id", String(ID), ForeignKey("acme_authorizations.id"), nullable=False, index=True),
)

challenges = Table(
    "acme_challenges",
    metadata,
    Column("id", String(ID), primary_key=True),
    Column("authorization_id", String(ID), ForeignKey("acme_authorizations.id"), nullable=False, index=True),
    Column("type", String(16), nullable=False),
    Column("token", String(_DIGEST), nullable=False),
    Column("status", String(16), nullable=False),
    Column("validated", Moment),
    Column("error", Document),
    Column("attempts", Integer, nullable=False),
    Column("due", Moment),
    Index("acme_challenges_due", "status", "due"),
)

used_nonces = Table(
    "acme_used_nonces",
    metadata,
    Column("name", String(_DIGEST), primary_key=True),
    Column("ends", Moment, nullable=False, index=True),
)


def _first(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=True)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_first,)
