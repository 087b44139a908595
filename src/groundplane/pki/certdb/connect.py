"""SQLAlchemy's engine for a source: one statement is one transaction, unless asked otherwise."""

import ssl
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy import pool

from groundplane.pki.certdb.source import Source

# The zero date is CFSSL's "not revoked": a server that is strict about it must take it in our sessions; but a value
# that does not fit must be refused, not cut.
_MYSQL_MODE = (
    "SET SESSION sql_mode = CONCAT_WS(',', 'STRICT_TRANS_TABLES', REPLACE(REPLACE(REPLACE(REPLACE(@@SESSION.sql_mode, "
    "'NO_ZERO_IN_DATE', ''), 'NO_ZERO_DATE', ''), 'TRADITIONAL', ''), ',,', ','))"
)


def make_engine(source: Source, *, connections: int) -> sa.Engine:
    """An engine that connects when first used; at most so many connections at a time."""
    dialect, connect = {
        "sqlite3": ("sqlite+pysqlite://", _sqlite),
        "postgres": ("postgresql+psycopg://", _postgres),
        "mysql": ("mysql+pymysql://", _mysql),
    }[source.driver]

    def creator() -> Any:
        return connect(source)

    return sa.create_engine(
        dialect,
        creator=creator,
        poolclass=pool.QueuePool,
        pool_size=1 if source.in_memory else connections,  # each connection would have a memory of its own
        max_overflow=0,
        pool_timeout=60,
        isolation_level="AUTOCOMMIT",
        hide_parameters=True,
        pool_reset_on_return="rollback",
        skip_autocommit_rollback=True,
        insertmanyvalues_page_size=500,
    )


def _sqlite(source: Source) -> Any:
    import sqlite3

    arguments: dict[str, Any] = dict(source.arguments)
    connection = sqlite3.connect(**arguments, check_same_thread=False, isolation_level=None)
    # What Go writes as text may be DER; what it is, the column's type here knows.
    connection.text_factory = bytes
    for statement in source.setup:
        connection.execute(statement)
    return connection


def _postgres(source: Source) -> Any:
    import psycopg

    arguments: dict[str, Any] = dict(source.arguments)
    return psycopg.connect(**arguments)


def _mysql(source: Source) -> Any:
    import pymysql
    from pymysql.constants import CLIENT

    arguments: dict[str, Any] = dict(source.arguments)
    tls = arguments.pop("tls", None)
    # An UPDATE counts the rows that it found, changed or not.
    make: Callable[..., Any] = lambda **more: pymysql.connect(  # noqa: E731 - called twice
        **arguments, charset="utf8mb4", client_flag=CLIENT.FOUND_ROWS, autocommit=True, **more
    )
    if tls is None:
        connection = make()
    else:
        context = ssl.create_default_context()
        if tls != "verified":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            connection = make(ssl=context)
        except pymysql.err.OperationalError as bad:
            if tls != "preferred" or bad.args[0] != 2026:  # noqa: PLR2004 - the server has no TLS
                raise
            connection = make()
    with connection.cursor() as cursor:
        for statement in (_MYSQL_MODE, *source.setup):
            cursor.execute(statement)
    return connection
