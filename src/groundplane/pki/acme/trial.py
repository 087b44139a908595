"""Whether the databases could be used, with nothing made in them: for a server that is only checked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from groundplane.errors import NotFound, of_os
from groundplane.pki.acme import tables
from groundplane.pki.acme.config import Config
from groundplane.pki.acme.store import known_version
from groundplane.pki.certdb import read_database_config
from groundplane.pki.certdb.database import CertificateDatabase
from groundplane.pki.operators.place import need_writable


@contextmanager
def tried_database(config: Config) -> Iterator[CertificateDatabase]:
    """The certificates' database, as long as the block lasts; its tables may still be missing.

    Raises GroundplaneError if it is away, cannot be written, or was used by a newer program.
    """
    try:
        data = config.database.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=config.database, hint="name another file") from bad
    database = CertificateDatabase.open(read_database_config(data, source=str(config.database)), connections=1)
    try:
        source = database.source
        is_file = source.driver == "sqlite3" and not source.in_memory and not source.arguments.get("uri")
        if is_file:
            _try_file(Path(source.name))
        if not is_file or Path(source.name).exists():  # SQLite would make an empty one
            database.call(_try_tables)
        yield database
    finally:
        database.close()


def _try_file(path: Path) -> None:
    try:
        need_writable(path)
    except OSError as bad:
        raise of_os(bad, to=path) from bad


def _try_tables(connection: sa.Connection, _: bool) -> None:  # noqa: FBT001 - certdb's form
    if connection.dialect.name == "sqlite":  # whose texts are bytes here, which sqlalchemy's own question cannot read
        names = sa.text("SELECT count(*) FROM sqlite_master WHERE name = :name")
        is_there = bool(connection.execute(names, {"name": tables.facts.name}).scalar())
    else:
        is_there = sa.inspect(connection).has_table(tables.facts.name)
    if is_there:
        known_version(connection)
