"""`groundplane pki check`: read files as the commands would, strictly, and say what is wrong with each."""

import argparse
from collections.abc import Callable
from pathlib import Path

from groundplane.cli import show
from groundplane.errors import GroundplaneError

# What tells a kind of file, in this order; the CSR JSON has nothing that it must have.
_MARKS = (
    ("policy", {"signing"}),
    ("database", {"driver", "data_source"}),
    ("kubernetes", {"controlPlane", "etcd"}),
    ("renewer", {"certificates"}),
    ("request", {"CN", "names", "hosts", "key"}),
    ("serve", {"ca", "listen", "access", "endpoints"}),
)
KINDS = tuple(kind for kind, _ in _MARKS)


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--kind", choices=KINDS, help="what they are (default: by what they say)")


def run(arguments: argparse.Namespace) -> int:
    """Each file is a matter of its own; the first that is wrong decides the exit code."""
    from groundplane.cli.pki.stored import read
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
    match kind:
        case "policy":
            from groundplane.pki import parse_policy

            return lambda data, path: parse_policy(data, source=str(path))
        case "database":
            from groundplane.pki.certdb import read_database_config

            return lambda data, path: read_database_config(data, source=str(path))
        case "kubernetes":
            from groundplane.pki.kubernetes.config import parse_cluster

            return lambda data, path: parse_cluster(data, source=str(path))
        case "renewer":
            from groundplane.pki.renewal.config import parse_config as parse_renewer

            return lambda data, path: parse_renewer(data, source=str(path), directory=path.parent)
        case "serve":
            from groundplane.pki.service.config import parse_config as parse_service

            return lambda data, path: parse_service(data, source=str(path), directory=path.parent)
        case _:
            from groundplane.pki import parse_request

            return lambda data, path: parse_request(data, source=str(path))
