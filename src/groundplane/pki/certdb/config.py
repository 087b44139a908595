"""CFSSL's db-config file: `{"driver": "sqlite3", "data_source": "certs.db"}`, read strictly."""

import difflib

import msgspec

from groundplane.errors import Invalid
from groundplane.pki.certdb.model import DRIVERS, DatabaseConfig


class _Wire(msgspec.Struct, forbid_unknown_fields=True):
    driver: str
    data_source: str


def read_database_config(data: bytes, *, source: str) -> DatabaseConfig:
    """Which database `data` names; `source` is its own name in errors. Raises Invalid."""
    try:
        wire = msgspec.json.decode(data, type=_Wire)
    except msgspec.DecodeError as bad:
        hint = 'write {"driver": "sqlite3", "data_source": "certs.db"}, or the like'
        raise Invalid(f"this is no database configuration: {bad}", to=source, hint=hint) from bad
    if wire.driver not in DRIVERS:
        near = difflib.get_close_matches(wire.driver, DRIVERS, n=1, cutoff=0.3)
        hint = f"did you mean {near[0]}?" if near else f"give one of {', '.join(DRIVERS)}"
        raise Invalid(f"there is no driver {wire.driver!r}", to=source, hint=hint)
    if not wire.data_source:
        raise Invalid("data_source is empty", to=source, hint="say where the database is")
    return DatabaseConfig(driver=wire.driver, data_source=wire.data_source)
