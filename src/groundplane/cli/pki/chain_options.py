"""What `bundle` and `verify` share: whom to trust, and what may be fetched."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import Invalid, NotFound

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


def read(path: Path) -> bytes:
    """A file, or standard input for `-`. Raises NotFound."""
    import sys

    if str(path) == "-":
        return sys.stdin.buffer.read()
    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad


def password_of(path: Path | None) -> str:
    """The first line of a file. Raises NotFound, Invalid."""
    if path is None:
        return ""
    try:
        return read(path).split(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError as bad:
        raise Invalid("the password is not UTF-8", to=path, hint="write it as text") from bad
