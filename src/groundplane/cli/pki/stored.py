"""The database of --db-config, and what the commands on it have in common."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from groundplane.cli.pki.inputs import read
from groundplane.errors import GroundplaneError, NotFound

if TYPE_CHECKING:
    from groundplane.pki.certdb import CertificateDatabase

T = TypeVar("T")


def add_database(parser: argparse.ArgumentParser) -> None:
    """--db-config."""
    what = "CFSSL's db-config, which says where the database is"
    parser.add_argument("--db-config", type=Path, required=True, metavar="FILE", help=what)


@contextmanager
def database_of(arguments: argparse.Namespace, *, make: bool = False) -> Iterator["CertificateDatabase"]:
    """It, as long as the block lasts. Unless one is to be made, a file that is missing is NotFound."""
    from groundplane.pki.certdb import CertificateDatabase, read_database_config

    path: Path = arguments.db_config
    database = CertificateDatabase.open(read_database_config(read(path), source=str(path)))
    try:
        source = database.source
        if not make and source.driver == "sqlite3" and not source.in_memory and not source.arguments.get("uri"):
            file = Path(source.name)
            if not file.exists():
                hint = f"make it: groundplane pki db init --db-config {path}"
                raise NotFound("there is no such database", to=file, hint=hint)
        yield database
    finally:
        database.close()


def moment(text: str) -> datetime:
    """For argparse's `type=`: a day or an instant, in UTC unless it says otherwise."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write 2026-01-31 or 2026-01-31T12:00:00Z") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def key_identifier(text: str) -> str:
    """For argparse's `type=`: any letter case, with or without colons."""
    from groundplane.pki.certdb.model import key_id

    return _parsed(key_id, text)


def serial(text: str) -> int:
    """For argparse's `type=`: decimal, or hex after 0x or with colons."""
    from groundplane.pki.certdb.model import serial_number

    return _parsed(serial_number, text)


def reason(text: str) -> int:
    """For argparse's `type=`: a name of RFC 5280's, or its number."""
    from groundplane.pki.certdb.model import reason_code

    return _parsed(reason_code, text)


def _parsed(parse: Callable[[str], T], text: str) -> T:
    try:
        return parse(text)
    except GroundplaneError as bad:
        raise argparse.ArgumentTypeError(str(bad)) from None
