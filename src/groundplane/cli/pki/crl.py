"""`groundplane pki crl`: the list of what a CA has revoked (RFC 5280), from the database."""

import argparse
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from groundplane.cli.pki.keys import add_ca, ca_certificate, ca_signer
from groundplane.cli.pki.output import refuse_foreign, write
from groundplane.cli.pki.spans import span
from groundplane.cli.pki.stored import add_database, database_of
from groundplane.errors import Invalid
from groundplane.system import files

_LARGEST_NUMBER = 2**63 - 1  # what the database keeps; RFC 5280 allows 20 octets


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    add_database(parser)
    add_ca(parser)
    parser.add_argument("--expiry", type=span, default=timedelta(days=7), metavar="7d", help="until the next list")
    parser.add_argument("--out", type=Path, metavar="FILE", help="replaced whole (default: standard output)")
    parser.add_argument("--format", choices=("pem", "der"), default="pem")
    parser.add_argument("--only", choices=("user", "ca"), help="leave the others out, and say so in the list")
    url = "where this very list lies: its issuing distribution point"
    parser.add_argument("--idp", action="append", default=[], metavar="URL", help=url)
    least = "number it so at least (default: one more than the last)"
    parser.add_argument("--number", type=int, default=1, metavar="N", help=least)


def run(arguments: argparse.Namespace) -> int:
    """Write the list."""
    from groundplane.pki.crl import Scope, in_scope, issued_by, plan_of_rows, signed_list
    from groundplane.pki.crl.build import key_name, pem

    if not 0 <= arguments.number <= _LARGEST_NUMBER:
        raise Invalid("no list has this number", to="--number", hint=f"give one from 0 to {_LARGEST_NUMBER}")
    if arguments.out is not None:
        refuse_foreign(arguments.out, kind="revocation list", like=is_list)
    issuer, signer = ca_certificate(arguments), ca_signer(arguments)
    scope = Scope(arguments.only) if arguments.only else Scope.ALL
    now = datetime.now(UTC)
    with database_of(arguments) as database:
        # What ran out since the last list must be on one more (RFC 5280, 3.3).
        rows = issued_by(database.revoked_unexpired(now - arguments.expiry), issuer)
        plan = plan_of_rows(
            in_scope(rows, scope),
            now=now,
            lifetime=arguments.expiry,
            number=database.next_crl_number(key_name(issuer, must=True).hex(), at_least=arguments.number),
            points=tuple(arguments.idp),
            scope=scope,
            invalid_since=database.invalid_since(),
        )
    made = signed_list(plan, issuer=issuer, signer=signer)
    _write(made if arguments.format == "der" else pem(made), arguments.out)
    until = f"{plan.next_update:%Y-%m-%dT%H:%M:%SZ}"
    print(f"number {plan.number}: {len(plan.revoked)} revoked, until {until}", file=sys.stderr)
    return 0


def is_list(data: bytes) -> bool:
    """Whether it is a revocation list, PEM or DER."""
    from groundplane.pki.chain.revocation import load_crl

    try:
        load_crl(data)
    except ValueError:
        return False
    return True


def _write(data: bytes, path: Path | None) -> None:
    if path is None:
        sys.stdout.buffer.write(data)
        return
    write([files.Wanted(path, data)], force=True)
