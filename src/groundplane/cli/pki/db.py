"""`groundplane pki db`: the certificate database: make it, and look into it."""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from groundplane.cli import show
from groundplane.cli.pki.spans import span
from groundplane.cli.pki.stored import add_database, database_of, key_identifier, moment, serial

if TYPE_CHECKING:
    from groundplane.pki.certdb import CertificateDatabase, CertificateRecord, Search

_PAGE = 1000
_DIGITS = 20  # more of them mean more than any database has


def configure(parser: argparse.ArgumentParser) -> None:
    """Its commands."""
    verbs = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, dest="verb")
    for name, what in (
        ("init", "make CFSSL's tables, in a database that may be empty"),
        ("migrate", "bring the tables up to date; what is there stays"),
    ):
        add_database(verbs.add_parser(name, help=what))
    for name, what in (
        ("list", "certificates, a line each"),
        ("search", "certificates with a name or a serial number like this"),
        ("export", "certificates whole, as lines of JSON or as PEM"),
    ):
        verb = verbs.add_parser(name, help=what)
        add_database(verb)
        if name == "search":
            verb.add_argument("text", metavar="TEXT", help="part of a name, or a whole serial number")
        _add_filters(verb)
        forms = ("jsonl", "pem") if name == "export" else ("table", "json")
        verb.add_argument("-o", "--output", choices=forms, default=forms[0])
    prune = verbs.add_parser("prune", help="forget certificates that ran out long ago")
    add_database(prune)
    prune.add_argument("--expired-for", type=span, required=True, metavar="90d", help="how long ago at least")
    prune.add_argument("--dry-run", action="store_true", help="only say how many")


def _add_filters(parser: argparse.ArgumentParser) -> None:
    states = ("good", "revoked", "expired", "all")
    parser.add_argument("--status", choices=states, default="all", help="good: neither revoked nor expired")
    parser.add_argument("--label", metavar="NAME", help="of the CA that was asked")
    parser.add_argument("--aki", type=key_identifier, metavar="HEX", help="authority key identifier")
    parser.add_argument("--serial", type=serial, metavar="N", help="in decimal, or in hex after 0x or with colons")
    parser.add_argument("--name", default="", metavar="TEXT", help="part of the common name or of a DNS name")
    parser.add_argument("--expires-within", type=span, metavar="30d", help="from now on")
    parser.add_argument("--expires-before", type=moment, metavar="DATE")
    parser.add_argument("--expires-after", type=moment, metavar="DATE")
    parser.add_argument("--limit", type=_limit, metavar="N", help="so many at most")


def _limit(text: str) -> int:
    """For argparse's `type=`: a number of certificates."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of certificates; write one such as 100")
    return min(int(text[:_DIGITS]), sys.maxsize)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked."""
    makes = arguments.verb in {"init", "migrate"}
    with database_of(arguments, make=arguments.verb == "init") as database:
        if makes:
            for line in database.migrate() or ("nothing to do: the tables are up to date",):
                print(line)
        elif arguments.verb == "prune":
            _prune(database, arguments.expired_for, dry_run=arguments.dry_run)
        else:
            _show(arguments, database)
    return 0


def _show(arguments: argparse.Namespace, database: "CertificateDatabase") -> None:
    from groundplane.pki.certdb.render import HEADER, as_object, table_row

    now = datetime.now(UTC)
    found = database.search(_wanted(arguments, now))
    if arguments.verb == "search":
        found = _like(found, arguments.text)
    if arguments.status == "good":  # a certificate may run out while the list is made
        found = (record for record in found if record.expiry > now)
    found = islice(found, arguments.limit)
    match arguments.output:
        case "table":
            page = [table_row(record, now=now) for record in islice(found, _PAGE)]
            sys.stdout.write(show.table(HEADER, page))  # also without any: then everybody sees that there is none
            while page := [table_row(record, now=now) for record in islice(found, _PAGE)]:
                sys.stdout.write(show.table(HEADER, page))
        case "json":
            opening = "[\n"
            for record in found:
                sys.stdout.write(opening + json.dumps(as_object(record, now=now), ensure_ascii=False))
                opening = ",\n"
            sys.stdout.write("[]\n" if opening == "[\n" else "\n]\n")
        case "jsonl":
            for record in found:
                sys.stdout.write(json.dumps(as_object(record, now=now), ensure_ascii=False) + "\n")
        case _:
            for record in found:
                sys.stdout.write(record.pem if record.pem.endswith("\n") else record.pem + "\n")


def _wanted(arguments: argparse.Namespace, now: datetime) -> "Search":
    from groundplane.pki.certdb import Search, Status

    status = {"good": Status.GOOD, "revoked": Status.REVOKED}.get(arguments.status)
    before, after = arguments.expires_before, arguments.expires_after
    if arguments.expires_within is not None:
        after, before = now, now + arguments.expires_within
    if arguments.status == "expired":
        before = min(filter(None, (before, now)))
    if arguments.status == "good":
        after = max(filter(None, (after, now)))
    return Search(
        status=status,
        label=arguments.label,
        authority_key_id=arguments.aki,
        serial=arguments.serial,
        name=arguments.name,
        expires_before=before,
        expires_after=after,
    )


def _like(found: "Iterator[CertificateRecord]", text: str) -> "Iterator[CertificateRecord]":
    from groundplane.errors import Invalid
    from groundplane.pki.certdb.model import serial_number
    from groundplane.pki.certdb.render import name_of

    try:
        number = serial_number(text)
    except Invalid:
        number = None
    part = text.casefold()
    for record in found:
        named = any(part in name.casefold() for name in (name_of(record), *record.sans))
        if named or record.serial == number or f"{record.serial:x}" == part.lstrip("0"):
            yield record


def _prune(database: "CertificateDatabase", age: timedelta, *, dry_run: bool) -> None:
    from groundplane.pki.certdb import Search

    before = datetime.now(UTC) - age
    if dry_run:
        print(f"{sum(1 for _ in database.search(Search(expires_before=before)))} would be forgotten")
    else:
        print(f"{database.prune(before)} forgotten")
