"""The database, in memory and in a file: CFSSL's rows, in threads, in an old form, in a fork."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.errors import Exists, NotFound, WrongState
from groundplane.pki.certdb import CertificateDatabase, CertificateRecord, DatabaseConfig, OcspRecord, Search, Status
from groundplane.pki.certdb.faults import StoreFailed
from groundplane.pki.certdb.retry import StoreUnavailable

NOW = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
RECORD = CertificateRecord(
    serial=2**159 - 1,
    authority_key_id="ab01",
    pem="-----BEGIN CERTIFICATE-----\n",
    expiry=NOW + timedelta(days=9),
    ca_label="lab",
    issued_at=NOW,
    not_before=NOW,
    metadata={"who": "ö"},
    sans=("a.example", "b.example"),
    common_name="a",
)
# The tables after CFSSL's first migration alone, as its 1.2.0 has them.
FIRST_MIGRATION = """
CREATE TABLE certificates (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob,
  status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL,
  PRIMARY KEY(serial_number, authority_key_identifier));
INSERT INTO certificates VALUES ('7', '', '', 'good', 0, '2030-01-01 00:00:00+00:00', '0001-01-01 00:00:00+00:00', 'p');
"""


@pytest.fixture
def database() -> Iterator[CertificateDatabase]:
    memory = CertificateDatabase.open(DatabaseConfig(driver="sqlite3", data_source=":memory:"), migrate=True)
    yield memory
    memory.close()


def opened(path: Path, *, migrate: bool = False, patience: float = 10) -> CertificateDatabase:
    config = DatabaseConfig(driver="sqlite3", data_source=str(path))
    return CertificateDatabase.open(config, migrate=migrate, patience=timedelta(seconds=patience))


def test_a_record_comes_back_as_it_was(database: CertificateDatabase) -> None:
    database.insert(RECORD)
    assert database.find(RECORD.serial, "ab01") == RECORD
    assert database.find(RECORD.serial, "AB01") is None
    with pytest.raises(Exists):
        database.insert(RECORD)
    database.insert(replace(RECORD, authority_key_id="ab02"))


def test_a_revocation_is_cfssls_and_overwrites(database: CertificateDatabase) -> None:
    database.insert(RECORD)
    database.revoke(RECORD.serial, "ab01", reason=1, at=NOW)
    database.revoke(RECORD.serial, "ab01", reason=4, at=NOW + timedelta(hours=1))
    found = database.find(RECORD.serial, "ab01")
    assert found is not None
    assert (found.status, found.reason, found.revoked_at) == (Status.REVOKED, 4, NOW + timedelta(hours=1))
    with pytest.raises(NotFound):
        database.revoke(8, "ab01", reason=1, at=NOW)


def test_withdrawn_for_good_the_first_reason_stays_and_a_hold_can_end_either_way(database: CertificateDatabase) -> None:
    late = NOW + timedelta(hours=1)
    database.insert(RECORD)
    key = (RECORD.serial, "ab01")
    database.put_response(OcspRecord(serial=key[0], authority_key_id=key[1], body=b"0", expiry=late))
    assert database.withdraw(*key, reason=6, at=NOW)
    assert database.response(*key) is None
    assert not database.withdraw(*key, reason=6, at=late)
    database.release(*key)
    assert database.find(*key) == RECORD
    assert database.withdraw(*key, reason=6, at=NOW)
    assert database.withdraw(*key, reason=1, at=late, invalid_since=NOW)
    assert not database.withdraw(*key, reason=4, at=late)
    assert database.invalid_since() == {key: NOW}
    with pytest.raises(WrongState):
        database.release(*key)
    with pytest.raises(NotFound):
        database.withdraw(8, "ab01", reason=1, at=NOW)


def test_lists_are_whole_beyond_a_page_and_in_the_order_of_entry(database: CertificateDatabase) -> None:
    for number in range(1203):
        serial = (number * 7919) % 1203 + 1
        status = Status.REVOKED if number % 2 else Status.GOOD
        expiry = NOW + timedelta(seconds=number - 3)
        database.insert(replace(RECORD, serial=serial, status=status, expiry=expiry, ca_label=f"l{number % 3}"))
    order = [(number * 7919) % 1203 + 1 for number in range(1203)]
    assert [record.serial for record in database.search(Search())] == order
    assert [record.serial for record in database.unexpired(NOW)] == order[4:]
    assert len(list(database.revoked_unexpired(NOW))) == 599
    assert len(list(database.revoked_unexpired(NOW, label="l1"))) == 200
    assert len(list(database.unexpired(NOW, labels=("l0", "l1")))) == 799
    assert len(list(database.search(Search(limit=7, name="B.Example", status=Status.REVOKED)))) == 7
    assert [r.serial for r in database.search(Search(serial=17, authority_key_id="ab01"))] == [17]
    assert not list(database.search(Search(name="nobody")))
    assert database.prune(NOW) == 3


def test_ready_responses_may_be_any_octets(database: CertificateDatabase) -> None:
    database.insert(RECORD)
    body = bytes(range(256))
    for content in (b"0", body):
        record = OcspRecord(serial=RECORD.serial, authority_key_id="ab01", body=content, expiry=NOW)
        database.put_response(record)
    assert database.response(RECORD.serial, "ab01") == record
    assert [one.body for one in database.unexpired_responses(NOW - timedelta(seconds=1))] == [body]
    assert not list(database.unexpired_responses(NOW))
    assert database.response(5, "ab01") is None


def test_numbers_of_lists_only_grow(database: CertificateDatabase) -> None:
    numbers = [database.next_crl_number("ab01", at_least=least) for least in (1, 1, 0, 50, 7)]
    assert numbers == [1, 2, 3, 50, 51]
    assert database.next_crl_number("ab02") == 1


@settings(max_examples=30, deadline=None)
@given(label=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40), name=st.text(max_size=60))
def test_any_text_comes_back(label: str, name: str) -> None:
    memory = CertificateDatabase.open(DatabaseConfig(driver="sqlite3", data_source=":memory:"), migrate=True)
    record = replace(RECORD, ca_label=label, common_name=name, sans=(name,), metadata={name: label})
    memory.insert(record)
    assert memory.find(record.serial, "ab01") == record
    memory.close()


def test_rows_are_written_as_go_writes_them(tmp_path: Path) -> None:
    database = opened(tmp_path / "c.db", migrate=True)
    database.insert(RECORD)
    with sqlite3.connect(tmp_path / "c.db") as plain:
        row = plain.execute("SELECT * FROM certificates").fetchone()
        assert row == (
            *(str(RECORD.serial), "ab01", "lab", "good", 0, "2026-05-15 07:08:09+00:00", "0001-01-01 00:00:00+00:00"),
            *(RECORD.pem, "2026-05-06 07:08:09+00:00", "2026-05-06 07:08:09+00:00", '{"who":"ö"}'),
            *('["a.example","b.example"]', "a"),
        )
        database.revoke(RECORD.serial, "ab01", reason=1, at=NOW)
        assert plain.execute("SELECT revoked_at FROM certificates").fetchone() == ("2026-05-06 07:08:09",)
        bare = replace(RECORD, serial=2, sans=(), metadata=None, issued_at=None, not_before=None, common_name="")
        database.insert(bare)
        row = plain.execute("SELECT * FROM certificates WHERE serial_number = '2'").fetchone()
        assert row[8:] == (None, None, "null", "null", "")
    database.close()


def test_tables_of_the_first_migration_serve_and_are_brought_up_to_date(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "c.db") as plain:
        plain.executescript(FIRST_MIGRATION)
    database = opened(tmp_path / "c.db")
    old = database.find(7, "")
    assert old is not None
    assert (old.issued_at, old.sans, old.common_name) == (None, (), "")
    database.insert(RECORD)
    assert any("added columns" in line for line in database.migrate())
    assert not database.migrate()
    database.insert(replace(RECORD, serial=8))
    assert [record.common_name for record in database.search(Search())] == ["", "", "a"]
    database.close()


def test_what_is_missing_is_said_with_its_mending(tmp_path: Path) -> None:
    database = opened(tmp_path / "c.db")
    with pytest.raises(StoreFailed, match="no such table: certificates") as refused:
        database.find(1, "ab")
    assert "pki db migrate" in str(refused.value)
    assert refused.value.words == "no such table: certificates"


def test_another_writer_is_waited_for_and_a_stubborn_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    opened(path, migrate=True).close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    timer.start()
    patient = opened(Path(f"{path}?_busy_timeout=1"))
    patient.insert(RECORD)
    timer.join()
    other.execute("BEGIN IMMEDIATE")
    hasty = opened(Path(f"{path}?_busy_timeout=1"), patience=0.2)
    with pytest.raises(StoreUnavailable, match="database is locked"):
        hasty.insert(replace(RECORD, serial=9))
    other.close()


def test_a_forked_process_connects_anew(tmp_path: Path) -> None:
    database = opened(tmp_path / "c.db", migrate=True)
    database.insert(RECORD)
    child = os.fork()
    if child == 0:
        try:
            database.insert(replace(RECORD, serial=5))
        finally:
            os._exit(0 if database.find(5, "ab01") is not None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert database.find(5, "ab01") is not None
    database.close()


def test_threads_never_give_a_serial_or_a_number_twice(tmp_path: Path) -> None:
    database = opened(tmp_path / "c.db", migrate=True)
    taken: list[int] = []
    numbers: list[int] = []

    def work() -> None:
        for serial in range(1, 26):
            try:
                database.insert(replace(RECORD, serial=serial))
            except Exists:
                continue
            taken.append(serial)
            numbers.append(database.next_crl_number("ab01"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 26))
    assert sorted(numbers) == list(range(1, 26))
    database.close()
