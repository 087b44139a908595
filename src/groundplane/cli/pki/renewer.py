"""`groundplane pki renewer`: the daemon that renews pairs before they end (for systemd, or --once from a timer)."""

import argparse
import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import Kind, NotFound

if TYPE_CHECKING:
    from groundplane.pki.renewal.config import Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--config", type=Path, default=Path("/etc/groundplane/renewer.json"), metavar="FILE")
    parser.add_argument("--once", action="store_true", help="renew what is due now, and end")
    parser.add_argument("--check", action="store_true", help="only read the file, and say how much it names")


def run(arguments: argparse.Namespace) -> int:
    """Run until it is stopped."""
    from groundplane.observe import set_up
    from groundplane.pki.renewal.keeper import Keeper

    path: Path = arguments.config
    if arguments.check:
        print(f"{path}: {len(_load(path).targets)} certificates")
        return 0
    set_up()
    keeper = Keeper(load=lambda: _load(path), clock=lambda: datetime.now(UTC))
    if arguments.once:
        return Kind.FAILED.exit_code if asyncio.run(keeper.once(_load(path))) else 0
    asyncio.run(keeper.run())
    return 0


def _load(path: Path) -> "Config":
    from groundplane.pki.renewal.config import parse_config

    try:
        data = path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="give --config") from bad
    return parse_config(data, source=str(path), directory=path.parent)
