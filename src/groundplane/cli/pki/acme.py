"""`groundplane pki acme`: an ACME server on a CA's files, its profiles and its certificate database."""

import argparse
from pathlib import Path


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="see docs/pki/acme.md")
    parser.add_argument("--check", action="store_true", help="read and try all that it names, and end")


def run(arguments: argparse.Namespace) -> int:
    """Serve until a signal comes."""
    from groundplane.pki.acme import server

    if arguments.check:
        print(f"{arguments.config}: would listen at {server.check(arguments.config).listen}")
        return 0
    return server.main(arguments.config)
