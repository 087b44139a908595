"""`groundplane pki check`: read files as the commands would, strictly, and say what is wrong with each."""

import argparse
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

from groundplane.cli import show
from groundplane.errors import GroundplaneError

# What tells a kind of file, in this order; the CSR JSON has nothing that it must have.
_MARKS = (
    ("policy", {"signing"}),
    ("database", {"driver", "data_source"}),
    ("kubernetes", {"controlPlane", "etcd"}),
    ("renewer", {"certificates"}),
    ("acme", {"identifiers", "challenges", "external_accounts", "caa_identities"}),
    ("identity", {"request", "client_roots"}),
    ("request", {"CN", "names", "hosts", "key"}),
    ("serve", {"ca", "listen", "access", "endpoints"}),
)
# Where each is read, and what its parser calls the folder that paths are relative to.
_READERS = {
    "policy": ("groundplane.pki", "parse_policy", ""),
    "database": ("groundplane.pki.certdb", "read_database_config", ""),
    "kubernetes": ("groundplane.pki.kubernetes.config", "parse_cluster", ""),
    "renewer": ("groundplane.pki.renewal.config", "parse_config", "directory"),
    "acme": ("groundplane.pki.acme.config", "parse_config", "folder"),
    "identity": ("groundplane.pki.transport.identity", "parse_identity", ""),
    "request": ("groundplane.cli.pki.check", "_parse_request", ""),
    "serve": ("groundplane.pki.service.config", "parse_config", "directory"),
}
KINDS = tuple(kind for kind, _ in _MARKS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--kind", choices=KINDS, help="what they are (default: by what they say)")


def run(arguments: argparse.Namespace) -> int:
    """Each file is a matter of its own; the first that is wrong decides the exit code."""
    from groundplane.cli.pki.inputs import read
    from groundplane.pki.schema import NAMES

    code = 0
    for path in arguments.files:
        try:
            data = read(path)
            kind = arguments.kind or _kind_of(data, path)
            _reader(kind)(data, path)
            print(f"{path}: good ({NAMES[kind].partition(',')[0]})")
        except GroundplaneError as wrong:
            show.error(str(wrong))
            code = code or wrong.kind.exit_code
    return code


def _kind_of(data: bytes, path: Path) -> str:
    from groundplane.pki.wire.document import parse_document
    from groundplane.pki.wire.json_tree import Object

    value = parse_document(data, source=str(path)).value
    names = {name for name, _ in value.pairs} if isinstance(value, Object) else set()
    return next((kind for kind, marks in _MARKS if names & marks), "request")


def _reader(kind: str) -> Callable[[bytes, Path], object]:
    home, name, folder = _READERS[kind]
    parse = getattr(import_module(home), name)
    return lambda data, path: parse(data, source=str(path), **({folder: path.parent} if folder else {}))


def _parse_request(data: bytes, *, source: str) -> None:
    """What can be said of one without a profile, too."""
    from groundplane.pki import parse_request
    from groundplane.pki.policy import check_request

    check_request(parse_request(data, source=source), now=datetime.now(UTC))
