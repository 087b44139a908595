"""How a value stands in a column of CFSSL's, in each kind of database.

What its Go drivers write is the rule. In SQLite a serial is text although its column is a blob, and compares equal to
text alone; times are text with an offset; text may hold DER, so that everything is read as bytes. A time that is unset
is the year 1, or in MySQL the zero date: NULL would stop a cfssl that reads the row.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

UNSET = datetime(1, 1, 1, tzinfo=UTC)
_ZERO_DATE = "0000-00-00 00:00:00"


class Octets(sa.types.TypeDecorator[str]):
    """ASCII in a binary column: a serial, a key's identifier, a label, a status, a PEM text."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.engine.Dialect) -> sa.types.TypeEngine[Any]:
        """Text in SQLite."""
        return dialect.type_descriptor(sa.String() if dialect.name == "sqlite" else sa.LargeBinary())

    def process_bind_param(self, value: str | None, dialect: sa.engine.Dialect) -> Any:
        """As the database has it."""
        return value if value is None or dialect.name == "sqlite" else value.encode()

    def process_result_value(self, value: Any, dialect: sa.engine.Dialect) -> str:
        """As text; NULL is empty."""
        del dialect
        return text_of(value)


class Text(sa.types.TypeDecorator[str]):
    """Text in a column of text."""

    impl = sa.String
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.engine.Dialect) -> str:
        """NULL is empty."""
        del dialect
        return text_of(value)


class Body(sa.types.TypeDecorator[bytes]):
    """DER: CFSSL writes it as text in SQLite, and reads a blob just as well."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_result_value(self, value: Any, dialect: sa.engine.Dialect) -> bytes:
        """NULL is empty."""
        del dialect
        return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else bytes(value or b"")


class Instant(sa.types.TypeDecorator[datetime]):
    """A time in UTC; None is written as the time that CFSSL takes for unset."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.engine.Dialect) -> sa.types.TypeEngine[Any]:
        """A real time in PostgreSQL alone."""
        kind = sa.TIMESTAMP(timezone=True) if dialect.name == "postgresql" else sa.String()
        return dialect.type_descriptor(kind)

    def process_bind_param(self, value: datetime | None, dialect: sa.engine.Dialect) -> Any:
        """As Go's driver for the database writes it."""
        match dialect.name:
            case "postgresql":
                return value or UNSET
            case "mysql" | "mariadb":
                return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if value else _ZERO_DATE
            case _:
                return sqlite_time(value or UNSET)

    def process_result_value(self, value: Any, dialect: sa.engine.Dialect) -> datetime | None:
        """None for what is unset, in each of the forms."""
        del dialect
        return value if value is None else instant_of(value)


class OptionalInstant(Instant):
    """A time that CFSSL reads as a pointer: NULL where it is unset."""

    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.engine.Dialect) -> Any:
        """NULL for None."""
        return None if value is None else super().process_bind_param(value, dialect)


class Document(sa.types.TypeDecorator[object]):
    """JSON; None is JSON's null, as Go writes it."""

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.engine.Dialect) -> sa.types.TypeEngine[Any]:
        """PostgreSQL has a type for it."""
        return dialect.type_descriptor(_PlainJsonb() if dialect.name == "postgresql" else sa.String())

    def process_bind_param(self, value: object, dialect: sa.engine.Dialect) -> Any:
        """As Go's encoder writes it, keys in order."""
        del dialect
        if isinstance(value, Mapping):
            return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    def process_result_value(self, value: Any, dialect: sa.engine.Dialect) -> object:
        """None for null, NULL, and what is no JSON: no certificate is lost for its remarks."""
        del dialect
        if not isinstance(value, str | bytes | memoryview):
            return value
        try:
            found: object = json.loads(bytes(value) if isinstance(value, memoryview) else value)
        except ValueError:
            return None
        return found


class _PlainJsonb(postgresql.JSONB):
    """JSONB to which text is bound that is JSON already."""

    def bind_processor(self, dialect: sa.engine.Dialect) -> Any:
        """None: `Document` has done it."""
        del dialect


def text_of(value: Any) -> str:
    """Text, from whatever the driver made of it."""
    if value is None:
        return ""
    return value if isinstance(value, str) else bytes(value).decode("utf-8", "replace")


def sqlite_time(value: datetime) -> str:
    """`2006-01-02 15:04:05.5+00:00`: a fraction without zeros at its end."""
    utc = value.astimezone(UTC) if value != UNSET else value
    fraction = f".{utc.microsecond:06}".rstrip("0") if utc.microsecond else ""
    return f"{utc.year:04}-{utc:%m-%d %H:%M:%S}{fraction}+00:00"


def instant_of(value: datetime | str | bytes) -> datetime | None:
    """A time in UTC, from a driver's or as text; None for one that is unset. Raises ValueError."""
    if not isinstance(value, datetime):
        text = text_of(value).strip()
        if not text or text.startswith("0000"):
            return None
        value = datetime.fromisoformat(_nine_to_six(text))
    found = value.replace(tzinfo=UTC) if value.tzinfo is None else value
    if found.year <= 1:
        return None
    return found.astimezone(UTC)


def _nine_to_six(text: str) -> str:
    """Go keeps nanoseconds; the first six digits are enough."""
    head, dot, rest = text.partition(".")
    if not dot:
        return text
    digits = len(rest) - len(rest.lstrip("0123456789"))
    return f"{head}.{rest[:digits][:6]:0<6}{rest[digits:]}"


def names_of(value: object) -> tuple[str, ...]:
    """The DNS names of a `sans` column."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return tuple(str(name) for name in value)
    return ()
