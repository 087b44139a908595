"""What a certificate database has issued, and neither revoked nor seen end."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from groundplane.errors import NotFound
from groundplane.pki.certdb import Search, Status, read_database_config
from groundplane.pki.certdb.database import CertificateDatabase
from groundplane.pki.report.find import in_bytes
from groundplane.pki.report.model import Found


def in_database(config: Path, *, now: datetime) -> Iterator[Found]:
    """Each by its serial number. `config` is CFSSL's db-config. Raises NotFound, Invalid, Unavailable."""
    try:
        data = config.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=config, hint="name another file") from bad
    database = CertificateDatabase.open(read_database_config(data, source=str(config)))
    try:
        for record in database.search(Search(status=Status.GOOD, expires_after=now)):
            place = f"{config}: serial {record.serial}"
            found = list(in_bytes(record.pem.encode(), place=place, binary=False))
            yield from found or [Found(place=place, trouble="its row has no certificate")]
    finally:
        database.close()
