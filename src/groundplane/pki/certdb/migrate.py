"""Bring a database's tables up to date: only what is missing is made, and done twice it changes nothing.

What a real cfssl put there stays. Two that migrate at a time take turns.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from groundplane.errors import Unavailable
from groundplane.pki.certdb import schema
from groundplane.pki.certdb.columns import text_of
from groundplane.pki.certdb.tables import NEWER_COLUMNS

_LOCK = 0x67702D63  # any number, the same for all of us
_GOOSE_VERSIONS = (0, 1, 2)


def migrate(connection: sa.Connection) -> tuple[str, ...]:
    """Do it; what was done, in words."""
    kind = connection.dialect.name
    kind = "mysql" if kind == "mariadb" else kind
    with _turn(connection, kind):
        return tuple(_steps(connection, kind))


def _steps(connection: sa.Connection, kind: str) -> Iterator[str]:
    words = schema.DIALECTS[kind]
    columns = _columns(connection, kind)
    is_new = "certificates" not in columns
    if is_new:
        connection.exec_driver_sql(schema.certificates(words))
        yield "made table certificates"
    else:
        missing = [name for name in NEWER_COLUMNS if name not in columns["certificates"]]
        for name in missing:
            connection.exec_driver_sql(f"ALTER TABLE certificates ADD COLUMN {schema.newer_columns(words)[name]}")
        if missing:
            yield f"added columns {', '.join(missing)} to certificates"
    if "ocsp_responses" not in columns:
        connection.exec_driver_sql(schema.responses(words))
        yield "made table ocsp_responses"
    if kind == "mysql":
        yield from _widen(connection, columns)
    for name, statement in schema.own_tables(words).items():
        if name not in columns:
            connection.exec_driver_sql(statement)
            yield f"made table {name}"
    if schema.EXPIRY_INDEX not in _indexes(connection, kind):
        connection.exec_driver_sql(schema.CREATE_EXPIRY_INDEX)
        yield f"made index {schema.EXPIRY_INDEX}"
    yield from _tell_goose(connection, kind, columns)


def _widen(connection: sa.Connection, columns: dict[str, dict[str, str]]) -> Iterator[str]:
    for table, wanted in schema.MYSQL_WIDER.items():
        there = columns.get(table, {})
        changed = [name for name, form in wanted.items() if there.get(name, form.split()[0]) != form.split()[0]]
        if changed:
            changes = ", ".join(f"MODIFY {name} {wanted[name]}" for name in changed)
            connection.exec_driver_sql(f"ALTER TABLE {table} {changes}")
            yield f"widened {', '.join(changed)} of {table}"


def _tell_goose(connection: sa.Connection, kind: str, columns: dict[str, dict[str, str]]) -> Iterator[str]:
    """CFSSL's own migrations are not to be applied to these tables any more."""
    done: set[int] = set()
    if "goose_db_version" not in columns:
        connection.exec_driver_sql(schema.GOOSE[kind])
    else:
        # The last word on a version counts: goose writes a row for each time that it was applied or rolled back.
        rows = connection.exec_driver_sql("SELECT version_id, is_applied FROM goose_db_version ORDER BY id").all()
        state = {int(version): bool(applied) for version, applied in rows}
        done = {version for version, applied in state.items() if applied}
    missing = [version for version in _GOOSE_VERSIONS if version not in done]
    for version in missing:
        applied = "1" if kind == "sqlite" else "true"
        connection.exec_driver_sql(
            f"INSERT INTO goose_db_version (version_id, is_applied) VALUES ({version}, {applied})"  # noqa: S608 - numbers of ours
        )
    if missing:
        yield f"noted CFSSL's migrations {', '.join(map(str, missing))} as applied"


def _columns(connection: sa.Connection, kind: str) -> dict[str, dict[str, str]]:
    """Tables, and the types of their columns."""
    found: dict[str, dict[str, str]] = {}
    if kind == "sqlite":
        for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").all():
            table = text_of(name)
            quoted = table.replace('"', '""')
            rows = connection.exec_driver_sql(f'PRAGMA table_info("{quoted}")').all()
            found[table] = {text_of(row[1]): text_of(row[2]) for row in rows}
        return found
    schema_name = "current_schema()" if kind == "postgresql" else "DATABASE()"
    query = (
        "SELECT table_name, column_name, data_type FROM information_schema.columns "  # noqa: S608 - one of two words
        f"WHERE table_schema = {schema_name}"
    )
    for table, column, form in connection.exec_driver_sql(query).all():
        found.setdefault(text_of(table), {})[text_of(column)] = text_of(form).lower()
    return found


def _indexes(connection: sa.Connection, kind: str) -> set[str]:
    query = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'index'",
        "postgresql": "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()",
        "mysql": "SELECT index_name FROM information_schema.statistics WHERE table_schema = DATABASE()",
    }[kind]
    return {text_of(name) for (name,) in connection.exec_driver_sql(query).all()}


@contextmanager
def _turn(connection: sa.Connection, kind: str) -> Iterator[None]:
    """One at a time; in SQLite and PostgreSQL all of it or nothing."""
    if kind == "mysql":
        if connection.exec_driver_sql("SELECT GET_LOCK('groundplane certdb', 60)").scalar() != 1:
            hint = "see who holds the lock `groundplane certdb`"
            raise Unavailable("another one migrates it", to="certificate database", hint=hint)
        try:
            yield
        finally:
            connection.exec_driver_sql("SELECT RELEASE_LOCK('groundplane certdb')")
        return
    connection.exec_driver_sql("BEGIN IMMEDIATE" if kind == "sqlite" else "BEGIN")
    try:
        if kind == "postgresql":
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        yield
    except BaseException:
        if not connection.invalidated:
            connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
