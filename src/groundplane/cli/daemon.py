"""The daemons, in the foreground, for systemd."""

import argparse
from importlib import import_module
from pathlib import Path

from groundplane.errors import NotFound

_MODULES = {
    "cri": "groundplane.runtime.server",
    "agent": "groundplane.network.agent",
    "pods": "groundplane.cluster.pods",
}


def run(arguments: argparse.Namespace) -> int:
    """Run one of groundplane's daemons until it is told to stop."""
    config: Path = arguments.config
    if not config.is_file():
        raise NotFound(
            "no such configuration file", to=config, hint="`groundplane up` writes it, or name it with --config"
        )
    code = import_module(_MODULES[arguments.daemon]).main(config)
    assert isinstance(code, int)
    return code
