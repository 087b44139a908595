"""The statements that make the tables, for each kind of database: CFSSL's migrations 001 and 002 in their outcome.

Where they are wanting, MySQL's differ: a certificate may be longer than 4096 octets, and a time later than January
2038 or unset without a zero date as a default, which a strict server refuses. A cfssl reads and writes them all the
same. `goose`, which applies CFSSL's migrations, is told that they are done.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """Words of one kind of database: for octets in a key, long ones, times, JSON."""

    octets: str
    pem: str
    time: str
    json: str
    big: str
    foreign_key: bool


DIALECTS: Mapping[str, Dialect] = {
    "sqlite": Dialect(octets="blob", pem="blob", time="timestamp", json="text", big="integer", foreign_key=True),
    "postgresql": Dialect(
        octets="bytea", pem="bytea", time="timestamptz", json="jsonb", big="bigint", foreign_key=True
    ),
    "mysql": Dialect(
        octets="varbinary(128)", pem="mediumblob", time="datetime", json="JSON", big="bigint", foreign_key=False
    ),
}


def certificates(words: Dialect) -> str:
    """The table of certificates."""
    columns = [
        f"serial_number {words.octets} NOT NULL",
        f"authority_key_identifier {words.octets} NOT NULL",
        f"ca_label {words.octets}",
        f"status {words.octets} NOT NULL",
        "reason int",
        f"expiry {words.time}",
        f"revoked_at {words.time}",
        f"pem {words.pem} NOT NULL",
        *newer_columns(words).values(),
        "PRIMARY KEY (serial_number, authority_key_identifier)",
    ]
    return _table("certificates", columns)


def newer_columns(words: Dialect) -> Mapping[str, str]:
    """What migration 002 adds, by name."""
    return {
        "issued_at": f"issued_at {words.time}",
        "not_before": f"not_before {words.time}",
        "metadata": f"metadata {words.json}",
        "sans": f"sans {words.json}",
        "common_name": "common_name text",
    }


def responses(words: Dialect) -> str:
    """The table of OCSP responses."""
    columns = [
        f"serial_number {words.octets} NOT NULL",
        f"authority_key_identifier {words.octets} NOT NULL",
        f"body {words.pem} NOT NULL",
        f"expiry {words.time}",
        "PRIMARY KEY (serial_number, authority_key_identifier)",
    ]
    if words.foreign_key:
        key = "(serial_number, authority_key_identifier)"
        columns.append(f"FOREIGN KEY {key} REFERENCES certificates {key}")
    return _table("ocsp_responses", columns)


def _table(name: str, columns: list[str]) -> str:
    return f"CREATE TABLE {name} (\n  " + ",\n  ".join(columns) + "\n)"


def own_tables(words: Dialect) -> Mapping[str, str]:
    """groundplane's, by name."""
    return {
        "groundplane_crl_numbers": (
            "CREATE TABLE groundplane_crl_numbers (\n"
            f"  authority_key_identifier {words.octets} NOT NULL PRIMARY KEY,\n"
            f"  number {words.big} NOT NULL\n)"
        ),
        "groundplane_invalidity": (
            "CREATE TABLE groundplane_invalidity (\n"
            f"  serial_number {words.octets} NOT NULL,\n"
            f"  authority_key_identifier {words.octets} NOT NULL,\n"
            f"  invalid_since {words.time} NOT NULL,\n"
            "  PRIMARY KEY (serial_number, authority_key_identifier)\n)"
        ),
    }


EXPIRY_INDEX = "certificates_expiry"
CREATE_EXPIRY_INDEX = f"CREATE INDEX {EXPIRY_INDEX} ON certificates (expiry)"

# MySQL's columns as CFSSL's own migrations make them, and as they should be; a time keeps the text that it shows.
MYSQL_WIDER: Mapping[str, Mapping[str, str]] = {
    "certificates": {
        "pem": "mediumblob NOT NULL",
        "expiry": "datetime NULL DEFAULT NULL",
        "revoked_at": "datetime NULL DEFAULT NULL",
        "issued_at": "datetime NULL DEFAULT NULL",
        "not_before": "datetime NULL DEFAULT NULL",
    },
    "ocsp_responses": {"body": "mediumblob NOT NULL", "expiry": "datetime NULL DEFAULT NULL"},
}

GOOSE: Mapping[str, str] = {
    "sqlite": (
        "CREATE TABLE goose_db_version (\n  id INTEGER PRIMARY KEY AUTOINCREMENT,\n  version_id INTEGER NOT NULL,\n"
        "  is_applied INTEGER NOT NULL,\n  tstamp TIMESTAMP DEFAULT (datetime('now'))\n)"
    ),
    "postgresql": (
        "CREATE TABLE goose_db_version (\n  id serial NOT NULL PRIMARY KEY,\n  version_id bigint NOT NULL,\n"
        "  is_applied boolean NOT NULL,\n  tstamp timestamp NULL DEFAULT now()\n)"
    ),
    "mysql": (
        "CREATE TABLE goose_db_version (\n  id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
        "  version_id bigint NOT NULL,\n  is_applied boolean NOT NULL,\n  tstamp timestamp NULL DEFAULT now()\n)"
    ),
}
