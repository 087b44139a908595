"""What a certificate database has issued, and neither revoked nor seen end."""

from collections.abc import Iterator
from datetime import datetime

from groundplane.pki.certdb import CertificateDatabase, Search, Status
from groundplane.pki.report.find import in_bytes
from groundplane.pki.report.model import Found


def in_database(database: CertificateDatabase, *, place: str, now: datetime) -> Iterator[Found]:
    """Each by its serial number, after `place`, the database's name. Raises what `CertificateDatabase` does."""
    for record in database.search(Search(status=Status.GOOD, expires_after=now)):
        at = f"{place}: serial {record.serial}"
        found = list(in_bytes(record.pem.encode(), place=at, binary=False))
        yield from found or [Found(place=at, trouble="its row has no certificate")]
