"""`groundplane pki schema`: JSON Schemas of the files that people write."""

import argparse
import sys


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="which one; without a name, the list of them")


def run(arguments: argparse.Namespace) -> int:
    """Print a schema, or the list."""
    from groundplane.cli import show
    from groundplane.pki.schema import NAMES, text

    if arguments.name is None:
        print(show.table(("NAME", "OF"), list(NAMES.items())), end="")
    else:
        sys.stdout.write(text(arguments.name))
    return 0
