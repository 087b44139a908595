"""The database itself: every call is whole or nothing, may come from any thread, and finds a real cfssl's rows too."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
import sqlalchemy.exc

from groundplane.errors import Exists, NotFound, WrongState
from groundplane.pki.certdb import migrate
from groundplane.pki.certdb.connect import make_engine
from groundplane.pki.certdb.faults import Sort, StoreFailed, judge
from groundplane.pki.certdb.model import CertificateRecord, DatabaseConfig, OcspRecord, Search, Status
from groundplane.pki.certdb.retry import Patience, T
from groundplane.pki.certdb.rows import conditions, is_named, record_from, response_from, row_of
from groundplane.pki.certdb.source import Source, read_source
from groundplane.pki.certdb.tables import CERTIFICATES, CRL_NUMBERS, INVALIDITY, NEWER_COLUMNS, OCSP_RESPONSES

DEFAULT_PATIENCE = timedelta(seconds=10)
_PAGE = 500
_HOLD = 6  # the only reason that can be taken back


class SerialTaken(Exists):
    """Another certificate of this issuer has the serial; `words` are the database's."""

    words = ""


class CertificateDatabase:
    """CFSSL's tables. Connects when first used; a process that was forked connects anew.

    Whatever meets other writers, or a server that was restarted, is tried again for `patience`. Every method may
    raise Unavailable, or StoreFailed with the database's own words.
    """

    def __init__(self, source: Source, *, connections: int, patience: timedelta) -> None:
        self.source = source
        self._engine = make_engine(source, connections=connections)
        self._patience = Patience(limit=patience, to=source.name)
        self._columns: tuple[sa.Column[Any], ...] | None = None
        self._process = os.getpid()

    @classmethod
    def open(
        cls,
        config: DatabaseConfig,
        *,
        migrate: bool = False,
        connections: int = 8,
        patience: timedelta = DEFAULT_PATIENCE,
    ) -> "CertificateDatabase":
        """The database of `config`; with `migrate`, its tables are made or brought up to date. Raises Invalid."""
        database = cls(read_source(config), connections=connections, patience=patience)
        if migrate:
            database.migrate()
        return database

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()

    def migrate(self) -> tuple[str, ...]:
        """Make what is missing, with nothing else touched; says in words what was done."""
        self._columns = None
        return self.call(lambda connection, _: migrate.migrate(connection))

    def ping(self) -> None:
        """Returns if certificates can be looked up."""
        self.call(lambda connection, _: connection.execute(sa.select(CERTIFICATES.c.serial_number).limit(1)).all())

    def insert(self, record: CertificateRecord) -> None:
        """Keep it: once this returns, it stays. Raises Exists for a serial that its issuer has given already."""
        values = row_of(record)

        def once(connection: sa.Connection, doubtful: bool) -> None:  # noqa: FBT001 - one of two
            known = {column.name: values[column.name] for column in self._known(connection)}
            try:
                connection.execute(CERTIFICATES.insert(), known)
            except sqlalchemy.exc.DBAPIError as bad:
                fault = judge(bad)
                if fault.sort is not Sort.TAKEN:
                    raise
                if doubtful and self._row(connection, str(record.serial), record.authority_key_id, ("pem",)) == {
                    "pem": record.pem
                }:
                    return  # our own, whose answer was lost
                hint = "sign again, with a new serial"
                taken = SerialTaken("a certificate with this serial exists", to=f"serial {record.serial}", hint=hint)
                taken.words = fault.words
                raise taken from bad

        self.call(once)

    def find(self, serial: int, authority_key_id: str) -> CertificateRecord | None:
        """The certificate of that name, or None; the identifier as `key_id` gives it."""
        row = self.call(lambda connection, _: self._row(connection, str(serial), authority_key_id))
        return None if row is None else record_from(row)

    def revoke(self, serial: int, authority_key_id: str, *, reason: int, at: datetime) -> None:
        """As CFSSL does: done again, it changes date and reason. Raises NotFound."""
        self.call(lambda connection, _: self._revoke(connection, serial, authority_key_id, reason, at))

    def withdraw(
        self, serial: int, authority_key_id: str, *, reason: int, at: datetime, invalid_since: datetime | None = None
    ) -> bool:
        """Revoke for good: the first date and reason stay (a hold may become final), ready responses go.

        Returns whether anything changed. Raises NotFound.
        """

        def once(connection: sa.Connection, _: bool) -> bool:  # noqa: FBT001 - one of two
            with self._transaction(connection):
                row = self._row(connection, str(serial), authority_key_id, ("status", "reason"))
                is_final = row is not None and row["status"] != Status.GOOD and row["reason"] != _HOLD
                if is_final or (row is not None and row["status"] != Status.GOOD and reason == _HOLD):
                    return False
                self._revoke(connection, serial, authority_key_id, reason, at)
                connection.execute(OCSP_RESPONSES.delete().where(*_key(OCSP_RESPONSES, serial, authority_key_id)))
                if invalid_since is not None:
                    connection.execute(INVALIDITY.delete().where(*_key(INVALIDITY, serial, authority_key_id)))
                    key = {"serial_number": str(serial), "authority_key_identifier": authority_key_id}
                    connection.execute(INVALIDITY.insert(), {**key, "invalid_since": invalid_since})
                return True

        return self.call(once)

    def release(self, serial: int, authority_key_id: str) -> None:
        """Take back a revocation whose reason was certificateHold. Raises NotFound, WrongState."""

        def once(connection: sa.Connection, _: bool) -> None:  # noqa: FBT001 - one of two
            with self._transaction(connection):
                row = self._row(connection, str(serial), authority_key_id, ("status", "reason"))
                if row is None:
                    raise _not_found(serial)
                if row["status"] == Status.GOOD:
                    return
                if row["reason"] != _HOLD:
                    hint = "only certificateHold can be taken back: issue a new certificate"
                    raise WrongState("it was revoked for good", to=f"serial {serial}", hint=hint)
                key = _key(CERTIFICATES, serial, authority_key_id)
                good = {"status": Status.GOOD.value, "reason": 0, "revoked_at": None}
                connection.execute(CERTIFICATES.update().where(*key).values(**good))
                connection.execute(OCSP_RESPONSES.delete().where(*_key(OCSP_RESPONSES, serial, authority_key_id)))

        self.call(once)

    def invalid_since(self) -> dict[tuple[int, str], datetime]:
        """Since when which revoked certificates' keys cannot be trusted, where somebody has said it."""
        try:
            rows = self.call(lambda connection, _: connection.execute(sa.select(INVALIDITY)).all())
        except StoreFailed as bad:
            if INVALIDITY.name not in bad.words:
                raise
            return {}  # a database that only a cfssl has made: nobody could say it there
        return {(int(serial), authority): since for serial, authority, since in rows}

    def unexpired(self, now: datetime, *, labels: tuple[str, ...] = ()) -> Iterator[CertificateRecord]:
        """All that have not run out, of these labels if there are any; in CFSSL's order."""
        where = [now < CERTIFICATES.c.expiry]
        return self._certificates(*where, *([CERTIFICATES.c.ca_label.in_(labels)] if labels else []))

    def revoked_unexpired(self, now: datetime, *, label: str | None = None) -> Iterator[CertificateRecord]:
        """What belongs on a CRL."""
        where = [now < CERTIFICATES.c.expiry, CERTIFICATES.c.status == Status.REVOKED.value]
        return self._certificates(*where, *([] if label is None else [CERTIFICATES.c.ca_label == label]))

    def search(self, wanted: Search) -> Iterator[CertificateRecord]:
        """The certificates that `wanted` describes."""
        left = wanted.limit
        for record in self._certificates(*conditions(wanted)):
            if left == 0:
                return
            if is_named(record, wanted):
                left = None if left is None else left - 1
                yield record

    def prune(self, before: datetime) -> int:
        """Forget what ran out before then, with its responses; returns how many certificates those were."""

        def once(connection: sa.Connection, _: bool) -> int:  # noqa: FBT001 - one of two
            with self._transaction(connection):
                old = CERTIFICATES.c.expiry < before
                names = ("serial_number", "authority_key_identifier")
                same = [OCSP_RESPONSES.c[name] == CERTIFICATES.c[name] for name in names]
                connection.execute(OCSP_RESPONSES.delete().where(sa.exists().where(*same, old)))
                return connection.execute(CERTIFICATES.delete().where(old)).rowcount

        return self.call(once)

    def put_response(self, record: OcspRecord) -> None:
        """Keep it in place of an earlier one. Raises NotFound where the certificate must be there, and is not."""
        key = {"serial_number": str(record.serial), "authority_key_identifier": record.authority_key_id}
        values = {"body": record.body, "expiry": record.expiry}
        update = OCSP_RESPONSES.update().where(*_key(OCSP_RESPONSES, record.serial, record.authority_key_id))

        def once(connection: sa.Connection, _: bool) -> None:  # noqa: FBT001 - one of two
            if connection.execute(update.values(**values)).rowcount:
                return
            try:
                connection.execute(OCSP_RESPONSES.insert(), {**key, **values})
            except sqlalchemy.exc.DBAPIError as bad:
                match judge(bad).sort:
                    case Sort.TAKEN:  # by another, just now
                        connection.execute(update.values(**values))
                    case Sort.ORPHAN:
                        raise _not_found(record.serial) from bad
                    case _:
                        raise

        self.call(once)

    def response(self, serial: int, authority_key_id: str) -> OcspRecord | None:
        """The response that lies ready, or None."""
        query = sa.select(OCSP_RESPONSES).where(*_key(OCSP_RESPONSES, serial, authority_key_id))
        row = self.call(lambda connection, _: connection.execute(query).mappings().first())
        return None if row is None else response_from(dict(row))

    def unexpired_responses(self, now: datetime) -> Iterator[OcspRecord]:
        """All that have not run out; in CFSSL's order."""
        where = (now < OCSP_RESPONSES.c.expiry,)
        return map(response_from, self._pages(OCSP_RESPONSES, lambda _: tuple(OCSP_RESPONSES.c), where))

    def next_crl_number(self, authority_key_id: str, *, at_least: int = 1) -> int:
        """A number for the next CRL of the issuer with this key: always greater than every one before it."""
        mine = CRL_NUMBERS.c.authority_key_identifier == authority_key_id

        def once(connection: sa.Connection, _: bool) -> int:  # noqa: FBT001 - one of two
            with self._transaction(connection):
                query = sa.select(CRL_NUMBERS.c.number).where(mine).with_for_update()
                last = connection.execute(query).scalar()
                number = at_least if last is None else max(last + 1, at_least)
                if last is None:
                    row = {"authority_key_identifier": authority_key_id, "number": number}
                    connection.execute(CRL_NUMBERS.insert(), row)
                else:
                    connection.execute(CRL_NUMBERS.update().where(mine).values(number=number))
                return number

        return self.call(lambda connection, doubtful: _again_if_taken(once, connection, doubtful))

    def _revoke(
        self, connection: sa.Connection, serial: int | str, authority_key_id: str, reason: int, at: datetime
    ) -> None:
        # In SQLite CFSSL writes CURRENT_TIMESTAMP here, which has no offset.
        is_text = connection.dialect.name == "sqlite"
        when: Any = sa.literal(f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}", sa.String()) if is_text else at
        values = {"status": Status.REVOKED.value, "revoked_at": when, "reason": reason}
        key = _key(CERTIFICATES, serial, authority_key_id)
        if not connection.execute(CERTIFICATES.update().where(*key).values(**values)).rowcount:
            raise _not_found(serial)

    def _row(
        self, connection: sa.Connection, serial: str, authority_key_id: str, names: tuple[str, ...] = ()
    ) -> dict[str, Any] | None:
        columns = [CERTIFICATES.c[name] for name in names] or self._known(connection)
        query = sa.select(*columns).where(*_key(CERTIFICATES, serial, authority_key_id))
        row = connection.execute(query).mappings().first()
        return None if row is None else dict(row)

    def _known(self, connection: sa.Connection) -> tuple[sa.Column[Any], ...]:
        """The columns that there are: those of migration 002 may be missing."""
        if self._columns is None:
            there = set(connection.exec_driver_sql("SELECT * FROM certificates WHERE 1 = 0").keys())
            self._columns = tuple(c for c in CERTIFICATES.c if c.name in there or c.name not in NEWER_COLUMNS)
        return self._columns

    def _certificates(self, *where: sa.ColumnElement[bool]) -> Iterator[CertificateRecord]:
        return map(record_from, self._pages(CERTIFICATES, self._known, where))

    def _pages(self, table: sa.Table, columns: Any, where: tuple[sa.ColumnElement[bool], ...]) -> Iterator[Any]:
        """Rows a page at a time, from the last key on: no connection is held while the caller works."""
        in_sqlite = self._engine.dialect.name == "sqlite"
        serial, authority = table.c.serial_number, table.c.authority_key_identifier
        keys = (sa.literal_column("rowid", sa.Integer()),) if in_sqlite else (serial, authority)
        after: tuple[Any, ...] = ()
        while True:
            further = list(where)
            if after and in_sqlite:
                further.append(keys[0] > after[0])
            elif after:
                further.append(sa.or_(serial > after[0], sa.and_(serial == after[0], authority > after[1])))

            def once(connection: sa.Connection, _: bool, further: list[Any] = further) -> list[dict[str, Any]]:  # noqa: FBT001 - one of two
                labelled = [key.label(f"key_{place}") for place, key in enumerate(keys)]
                query = sa.select(*columns(connection), *labelled).where(*further).order_by(*keys).limit(_PAGE)
                return [dict(row) for row in connection.execute(query).mappings()]

            rows = self.call(once)
            yield from rows
            if len(rows) < _PAGE:
                return
            after = tuple(rows[-1][f"key_{place}"] for place in range(len(keys)))

    @contextmanager
    def _transaction(self, connection: sa.Connection) -> Iterator[None]:
        """Everything or nothing. SQLite's writers wait at its beginning, where waiting cannot deadlock."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")
        try:
            yield
        except BaseException:
            if not connection.invalidated:
                connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")

    def call(self, once: Callable[[sa.Connection, bool], T]) -> T:
        """Run `once`, which ends the same when it is done twice, until it is through: see `Patience`."""
        if self._process != os.getpid():
            self._engine.dispose(close=False)  # the parent's connections are not ours to use, nor to close
            self._process = os.getpid()

        def attempt(doubtful: bool) -> T:  # noqa: FBT001 - one of two
            with self._engine.connect() as connection:
                return once(connection, doubtful)

        return self._patience.call(attempt)


def _again_if_taken(once: Callable[[sa.Connection, bool], T], connection: sa.Connection, doubtful: bool) -> T:  # noqa: FBT001 - passed on
    """Two may make the first row at the same time; the one that is late finds it then."""
    try:
        return once(connection, doubtful)
    except sqlalchemy.exc.DBAPIError as bad:
        if judge(bad).sort is not Sort.TAKEN:
            raise
        return once(connection, doubtful)


def _key(table: sa.Table, serial: int | str, authority_key_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.serial_number == str(serial), table.c.authority_key_identifier == authority_key_id


def _not_found(serial: int | str) -> NotFound:
    hint = "see `groundplane pki db list`; serial and authority key identifier must both be right"
    return NotFound("there is no such certificate", to=f"serial {serial}", hint=hint)
