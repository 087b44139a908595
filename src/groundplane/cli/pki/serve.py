"""`groundplane pki serve`: the HTTP API, hardened."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from groundplane.pki.service.model import Service


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.description = "SIGHUP reads everything again. CFSSL's own server is `cfssl serve` (see `groundplane links`)."
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="see docs/pki/serve.md")
    parser.add_argument(
        "--check", action="store_true", help="read and try all that it names, the database too, and end"
    )


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from groundplane.pki.service.run import check
    from groundplane.pki.service.run import run as serve

    if arguments.check:
        service = check(lambda: _load(arguments.config))
        print(f"{arguments.config}: would listen at {service.listen}")
        return 0
    return serve(arguments.config, lambda: _load(arguments.config))


def _load(path: Path) -> "Service":
    from groundplane.pki.service.config import parse_config
    from groundplane.pki.service.run import read

    return parse_config(read(path), source=str(path), directory=path.parent)
