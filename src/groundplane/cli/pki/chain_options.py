"""What `bundle` and `verify` share: whom to trust, and what may be fetched."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.cli.pki.inputs import read
from groundplane.errors import Invalid

if TYPE_CHECKING:
    from groundplane.pki.chain import Fetcher, Link, Trust


def configure(parser: argparse.ArgumentParser) -> None:
    """The shared arguments."""
    parser.add_argument(
        "--ca", type=Path, action="append", default=[], metavar="FILE", help="roots to trust (default: the system's)"
    )
    parser.add_argument(
        "--intermediates", type=Path, action="append", default=[], metavar="FILE", help="certificates that may help"
    )
    parser.add_argument("--host", default="", metavar="NAME", help="it must be for this name or address")
    parser.add_argument("--no-fetch", action="store_true", help="ask nobody: no issuers, no revocation over HTTP")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="HOST", help="fetch from these hosts only (repeatable)"
    )


def fetcher_of(arguments: argparse.Namespace) -> "Fetcher | None":
    """Who asks, if anybody may."""
    from groundplane.pki.chain import Fetcher, Limits

    if arguments.no_fetch:
        return None
    return Fetcher(Limits(hosts=frozenset(host.lower() for host in arguments.allow)))


def trust_of(arguments: argparse.Namespace, fetcher: "Fetcher | None") -> "Trust":
    """Roots and intermediates from the files. Raises NotFound, Invalid."""
    from groundplane.pki.chain import Pool, Trust, system_roots

    roots = Pool(pool_of(arguments.ca)) if arguments.ca else system_roots()
    return Trust(roots=roots, intermediates=Pool(pool_of(arguments.intermediates)), fetcher=fetcher)


def pool_of(paths: list[Path]) -> "list[Link]":
    """The certificates of several files. Raises NotFound, Invalid."""
    from groundplane.pki.chain import read_material

    return [it for path in paths for it in read_material(read(path), source=str(path)).certificates]


def add_password(parser: argparse.ArgumentParser) -> None:
    """--password; --password-file is how it was called first."""
    what = "what a PKCS#12 file is encrypted with"
    parser.add_argument("--password", metavar="file:PATH|env:NAME|ask", help=what)
    parser.add_argument("--password-file", type=Path, help=argparse.SUPPRESS)


def password_of(arguments: argparse.Namespace) -> str:
    """What they lead to; nothing without them. Raises Invalid."""
    from groundplane.cli.pki.keys import password

    source = arguments.password
    if arguments.password_file is not None:
        if source is not None:
            raise Invalid("two passwords", to="--password-file", hint="give --password alone")
        source = f"file:{arguments.password_file}"
    secret = password(source, "the password")
    try:
        return "" if secret is None else secret.decode()
    except UnicodeDecodeError as bad:
        raise Invalid("the password is not UTF-8", to="--password", hint="write it as text") from bad
