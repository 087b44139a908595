"""`groundplane pki renewer`: the daemon that renews pairs before they end (for systemd, or --once from a timer)."""

import argparse
import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from groundplane.errors import GroundplaneError, Kind, NotFound

if TYPE_CHECKING:
    from groundplane.pki.renewal.config import Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Its arguments."""
    parser.add_argument("--config", type=Path, default=Path("/etc/groundplane/renewer.json"), metavar="FILE")
    parser.add_argument("--once", action="store_true", help="renew what is due now, and end")
    parser.add_argument("--check", action="store_true", help="read the file and all that it names; renew nothing")


def run(arguments: argparse.Namespace) -> int:
    """Run until it is stopped."""
    from groundplane.observe import set_up
    from groundplane.pki.renewal.keeper import Keeper

    path: Path = arguments.config
    if arguments.check:
        return _check(_load(path), path)
    set_up()
    keeper = Keeper(load=lambda: _load(path), clock=lambda: datetime.now(UTC))
    if arguments.once:
        return Kind.FAILED.exit_code if asyncio.run(keeper.once(_load(path))) else 0
    asyncio.run(keeper.run())
    return 0


def _check(config: "Config", path: Path) -> int:
    """Whether all that it names is there and fits; nobody is asked, and nothing is written."""
    from groundplane.cli import show
    from groundplane.pki.operators.place import need_writable
    from groundplane.pki.renewal.model import LocalCA
    from groundplane.pki.renewal.replace import open_signer, read_pair

    code = 0
    for target in config.targets:
        try:
            read_pair(target)
            if isinstance(target.ca, LocalCA):
                open_signer(target.ca)
        except GroundplaneError as bad:
            show.error(str(bad))
            code = code or bad.kind.exit_code
    if config.metrics is not None:
        need_writable(config.metrics)
    if not code:
        print(f"{path}: {len(config.targets)} certificates")
    return code


def _load(path: Path) -> "Config":
    from groundplane.pki.renewal.config import parse_config

    try:
        data = path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="give --config") from bad
    return parse_config(data, source=str(path), directory=path.parent)
