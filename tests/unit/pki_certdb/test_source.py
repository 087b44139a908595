"""CFSSL's data sources, as its Go drivers read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.certdb.config import read_database_config
from groundplane.pki.certdb.model import DRIVERS, DatabaseConfig, key_id, reason_code, serial_number
from groundplane.pki.certdb.source import Source, read_source


def source(driver: str, text: str) -> Source:
    return read_source(DatabaseConfig(driver=driver, data_source=text))


@pytest.mark.parametrize(
    ("text", "database", "uri", "timeout"),
    [
        ("certs.db", "certs.db", False, 10.0),
        (":memory:", ":memory:", False, 10.0),
        ("a/b.db?_busy_timeout=2500&_foreign_keys=1", "a/b.db", False, 2.5),
        ("file:b.db?mode=ro&_timeout=1000&cache=shared", "file:b.db?mode=ro&cache=shared", True, 1.0),
    ],
)
def test_a_sqlite_source_is_a_path_with_go_sqlite3s_parameters(
    text: str,
    database: str,
    uri: bool,  # noqa: FBT001 - a row of the table
    timeout: float,
) -> None:
    found = source("sqlite3", text)
    assert (found.arguments["database"], found.arguments["uri"], found.arguments["timeout"]) == (database, uri, timeout)


def test_foreign_keys_of_sqlite_are_asked_for_and_memory_is_known() -> None:
    assert source("sqlite3", "x?_fk=on").setup == ("PRAGMA foreign_keys = ON",)
    assert source("sqlite3", ":memory:").in_memory
    assert source("sqlite3", "file::memory:?cache=shared").in_memory
    assert not source("sqlite3", "x").in_memory


@pytest.mark.parametrize(
    "text",
    [
        "postgres://gp:s%20e%40c@db.example:5433/certs?sslmode=disable&search_path=pki&binary_parameters=yes",
        "postgresql://gp:s%20e%40c@db.example:5433/certs?sslmode=disable&search_path=pki",
        r"host=db.example port=5433 user=gp password='s e@c' dbname=certs sslmode=disable search_path=pki",
    ],
)
def test_a_postgres_source_is_a_url_or_pairs(text: str) -> None:
    found = source("postgres", text)
    expected = {"host": "db.example", "port": "5433", "user": "gp", "password": "s e@c", "dbname": "certs"}
    assert {key: found.arguments[key] for key in expected} == expected
    assert found.arguments["sslmode"] == "disable"
    assert found.arguments["options"] == "-c search_path=pki -c timezone=UTC"
    assert "binary_parameters" not in found.arguments
    assert found.name == "postgres certs at db.example:5433"


def test_postgres_wants_tls_as_lib_pq_does_except_on_this_host() -> None:
    assert source("postgres", "postgres://u@db.example/x").arguments["sslmode"] == "require"
    assert source("postgres", "postgres://u@127.0.0.1/x").arguments["sslmode"] == "prefer"
    assert source("postgres", "host=/run/postgresql dbname=x").arguments["sslmode"] == "prefer"
    assert source("postgres", "dbname=x").arguments["host"] == "localhost"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "gp:p:a/s@s@tcp(db.example:3307)/certs?parseTime=true&timeout=5s",
            {"user": "gp", "password": "p:a/s@s", "host": "db.example", "port": 3307, "connect_timeout": 5.0},
        ),
        ("gp@unix(/run/my.sock)/certs", {"user": "gp", "password": "", "unix_socket": "/run/my.sock"}),
        ("gp:x@tcp(db.example)/certs", {"host": "db.example", "port": 3306}),
        ("gp:x@tcp([::1]:3307)/certs", {"host": "::1", "port": 3307}),
        ("gp:x@/certs?readTimeout=1m30s", {"host": "127.0.0.1", "port": 3306, "read_timeout": 90.0}),
        ("/certs?loc=Europe/Berlin", {"user": "", "database": "certs"}),
    ],
)
def test_a_mysql_source_is_go_sql_drivers(text: str, expected: dict[str, object]) -> None:
    found = source("mysql", text)
    assert {key: found.arguments.get(key) for key in expected} == expected
    assert found.arguments["database"] == "certs"


def test_unknown_parameters_of_mysql_are_variables_of_the_session() -> None:
    assert source("mysql", "u@tcp(h)/d?sql_mode=%27ANSI%27&parseTime=true").setup == ("SET SESSION sql_mode = 'ANSI'",)


@pytest.mark.parametrize(
    ("driver", "text"),
    [
        ("sqlite3", "x?_busy_timeout=soon"),
        ("postgres", "postgres://u@h:port/x"),
        ("postgres", "not a source"),
        ("mysql", "no slash"),
        ("mysql", "u@pipe(x)/d"),
        ("mysql", "u@tcp(h)/d?timeout=soon"),
        ("mysql", "u@tcp(h)/d?tls=custom"),
        ("mysql", "u@tcp(h)/d?x=1;DROP TABLE certificates"),
        ("oracle", "x"),
    ],
)
def test_what_cannot_be_read_is_refused(driver: str, text: str) -> None:
    with pytest.raises(Invalid):
        source(driver, text)


@given(driver=st.sampled_from(DRIVERS), password=st.text(min_size=12).filter(lambda text: "@" not in text))
def test_no_refusal_and_no_name_says_a_password(driver: str, password: str) -> None:
    text = {"mysql": f"u:{password}@tcp(h)/d", "postgres": f"user=u password={password} dbname=d"}.get(driver, "x.db")
    config = DatabaseConfig(driver=driver, data_source=text)
    assert password not in repr(config)
    assert password not in said(config)


def said(config: DatabaseConfig) -> str:
    try:
        return repr(read_source(config))
    except Invalid as bad:
        return str(bad)


def test_the_configuration_is_strict() -> None:
    good = read_database_config(b'{"driver":"sqlite3","data_source":"c.db"}', source="db.json")
    assert good == DatabaseConfig(driver="sqlite3", data_source="c.db")
    for bad, hint in (
        (b"{", "mend the file there"),
        (b"{}", "write"),
        (b'{"driver":"sqlite","data_source":"x"}', "did you mean 'sqlite3'"),
        (b'{"driver":"mysql","data_source":""}', "where"),
        (b'{"driver":"mysql","data_source":"x/","more":1}', "more"),
        (b'{"driver":"mysql","driver":"mysql","data_source":"x/"}', "driver"),
        (b'{"driver":5,"data_source":"x/"}', "driver"),
    ):
        with pytest.raises(Invalid, match=r"db\.json") as refused:
            read_database_config(bad, source="db.json")
        assert hint in str(refused.value)


def test_serials_identifiers_and_reasons_are_read_in_every_form() -> None:
    assert {serial_number(text) for text in ("255", "0xff", "0xFF", "FF:", "0:ff")} == {255}
    assert key_id("AB:cd:01") == "abcd01"
    assert [reason_code(text) for text in ("keycompromise", "KeyCompromise", "1", "0", "aACompromise", "10")] == [
        *(1, 1, 1, 0, 10, 10)
    ]
    for refused in ((serial_number, "0xzz"), (key_id, "abc"), (key_id, "zz"), (reason_code, "7"), (reason_code, "")):
        with pytest.raises(Invalid):
            refused[0](refused[1])
