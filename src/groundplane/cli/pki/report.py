"""`groundplane pki report`: what expires when. Its exit code is for monitoring."""

import argparse
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli import show
from groundplane.cli.pki.spans import span
from groundplane.errors import GroundplaneError, Invalid

if TYPE_CHECKING:
    from groundplane.pki.report.model import Found

WARNING, CRITICAL = 20, 21
_STYLES = {"warning": "warn", "critical": "bad", "expired": "bad", "unreadable": "bad", "not yet": "warn"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.description = (
        f"Exit code: 0 if all is well, {WARNING} if something ends within --warning, {CRITICAL} if something ends "
        "within --critical, has ended or cannot be read."
    )
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="file, directory or kubeconfig")
    parser.add_argument("--endpoint", action="append", default=[], metavar="HOST:PORT", help="a TLS server")
    parser.add_argument("--db-config", type=Path, metavar="FILE", help="the issued and not revoked of this database")
    parser.add_argument("--warning", type=span, default=timedelta(days=30), metavar="30d")
    parser.add_argument("--critical", type=span, default=timedelta(days=7), metavar="7d")
    parser.add_argument("--problems", action="store_true", help="only what is not well")
    parser.add_argument("-o", "--output", choices=("table", "json", "prometheus"), default="table")


def run(arguments: argparse.Namespace) -> int:
    """Print the report."""
    from groundplane.pki.report.model import Level, Thresholds, assess, gravest
    from groundplane.pki.report.render import HEADER, as_json, as_metrics, rows, troubles

    if arguments.critical > arguments.warning:
        hint = "make --warning as long at least (30d, if it is not given), or --critical (7d) shorter"
        raise Invalid("what is critical would not be worth a warning", to="--critical", hint=hint)
    now = datetime.now(UTC)
    thresholds = Thresholds(warning=arguments.warning, critical=arguments.critical)
    lines = assess(_found(arguments, now), thresholds, now=now)
    shown = [line for line in lines if line.level is not Level.GOOD] if arguments.problems else list(lines)
    match arguments.output:
        case "json":
            sys.stdout.write(as_json(shown, now=now))
        case "prometheus":
            sys.stdout.write(as_metrics(shown))
        case _:
            text = show.table(HEADER, rows(shown))
            head, *body = text.splitlines(keepends=True)
            styled = [_painted(line, row.level.word) for line, row in zip(body, shown, strict=True)]
            sys.stdout.write(head + "".join(styled))
            if unread := troubles(shown):
                sys.stdout.write("\n" + "\n".join(unread) + "\n")
    worst = gravest(lines)
    if worst >= Level.CRITICAL:
        return CRITICAL
    return WARNING if worst >= Level.NOT_YET else 0


def _painted(text: str, word: str) -> str:
    return show.paint(word, _STYLES[word], sys.stdout) + text[len(word) :] if word in _STYLES else text


def _found(arguments: argparse.Namespace, now: datetime) -> "Iterator[Found]":
    from groundplane.pki.report.find import in_path

    if not (arguments.paths or arguments.endpoint or arguments.db_config):
        raise Invalid(
            "a report on what?", to="command line", hint="name files or directories, --endpoint or --db-config"
        )
    for path in arguments.paths:
        yield from in_path(path)
    if arguments.endpoint:
        from groundplane.pki.report.endpoint import in_endpoint

        for address in arguments.endpoint:
            yield from in_endpoint(address)
    if arguments.db_config:
        yield from _in_database(arguments, now)


def _in_database(arguments: argparse.Namespace, now: datetime) -> "Iterator[Found]":
    """A database that cannot be read is a trouble of its place, as a file is; a wrong db-config is Invalid."""
    from groundplane.cli.pki.stored import database_of
    from groundplane.pki.report.database import in_database
    from groundplane.pki.report.model import Found

    place = str(arguments.db_config)
    try:
        with database_of(arguments) as database:
            yield from in_database(database, place=place, now=now)
    except Invalid:
        raise
    except GroundplaneError as bad:
        yield Found(place=place, trouble=str(bad).removeprefix(f"{place}: "))
