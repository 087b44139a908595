"""The certificate database: which certificates were issued, which are revoked, which OCSP responses lie ready.

Its tables are CFSSL's, in SQLite, PostgreSQL or MySQL, and a real cfssl may work on the same ones at the same time.
Read in this order. Words: `model`. Doors: `config` (CFSSL's db-config), `source` (its drivers' data sources). Forms:
`columns` (a value as each database has it), `tables`, `rows`, `schema` (the SQL that makes them). Effects: `connect`,
`faults` and `retry` (what a refusal means, and whether to go on), `migrate`, `database`. `record` makes a record of a
certificate. Names here are loaded when first used: SQLAlchemy is slow to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from groundplane.pki.certdb.config import read_database_config
    from groundplane.pki.certdb.database import CertificateDatabase
    from groundplane.pki.certdb.model import (
        CertificateRecord,
        DatabaseConfig,
        OcspRecord,
        Search,
        Status,
        key_id,
        reason_code,
        serial_number,
    )
    from groundplane.pki.certdb.record import authority_key_id_of, record_of, subject_key_id_of

_HOMES = {
    "config": ("read_database_config",),
    "database": ("CertificateDatabase",),
    "model": (
        *("CertificateRecord", "DatabaseConfig", "OcspRecord", "Search", "Status"),
        *("key_id", "reason_code", "serial_number"),
    ),
    "record": ("authority_key_id_of", "record_of", "subject_key_id_of"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CertificateDatabase",
    "CertificateRecord",
    "DatabaseConfig",
    "OcspRecord",
    "Search",
    "Status",
    "authority_key_id_of",
    "key_id",
    "read_database_config",
    "reason_code",
    "record_of",
    "serial_number",
    "subject_key_id_of",
]


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
