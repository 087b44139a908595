"""The engine for the server's own tables: transactions of several statements, in the database of the certificates.

The certificate database's engine commits each statement by itself, and reads SQLite's text as bytes; here neither fits.
"""

import sqlite3
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event, pool

from groundplane.pki.certdb import DatabaseConfig
from groundplane.pki.certdb.connect import make_engine
from groundplane.pki.certdb.source import Source, read_source

_CONNECTIONS = 10


def open_engine(config: DatabaseConfig) -> sa.Engine:
    """An engine that connects when first used. Raises Invalid for a data source that cannot be read."""
    source = read_source(config)
    if source.driver == "sqlite3":
        return sqlite_engine(source)
    return make_engine(source, connections=_CONNECTIONS).execution_options(isolation_level="READ COMMITTED")


def sqlite_engine(source: Source) -> sa.Engine:
    """Each transaction takes SQLite's one lock at its beginning: one that read first could not be sure to get it."""
    arguments: dict[str, Any] = dict(source.arguments)

    def connect() -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(**arguments, check_same_thread=False)
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        try:
            connection.execute("PRAGMA journal_mode = WAL")  # one fsync for a commit, not four; cfssl can, too
        except sqlite3.OperationalError:
            pass  # others are at work in it; a later connection will find it free
        connection.isolation_level = None  # BEGIN is said below
        return connection

    engine = sa.create_engine(
        "sqlite+pysqlite://",
        creator=connect,
        poolclass=pool.QueuePool,
        pool_size=1 if source.in_memory else _CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine, "begin")
    def _(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
