"""CFSSL's db-config file: `{"driver": "sqlite3", "data_source": "certs.db"}`, or the same in YAML, read strictly."""

from groundplane.pki.certdb.model import DRIVERS, DatabaseConfig
from groundplane.pki.wire.document import parse_document
from groundplane.pki.wire.json_tree import nearest


def read_database_config(data: bytes, *, source: str) -> DatabaseConfig:
    """Which database `data` names; `source` is its own name in errors. Raises Invalid."""
    top = parse_document(data, source=source)
    fields = top.fields(("driver", "data_source"))
    for name in ("driver", "data_source"):
        if name not in fields:
            hint = 'write {"driver": "sqlite3", "data_source": "certs.db"}, or the like'
            raise top.refuse(f'this is no database configuration: there is no "{name}"', hint=hint)
    driver, place = fields["driver"].text(), fields["data_source"].text()
    if driver not in DRIVERS:
        raise fields["driver"].refuse(f"there is no driver {driver!r}", hint=nearest(driver, list(DRIVERS)))
    if not place:
        raise fields["data_source"].refuse("data_source is empty", hint="say where the database is")
    return DatabaseConfig(driver=driver, data_source=place)
