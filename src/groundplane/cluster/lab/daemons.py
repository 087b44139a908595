"""groundplane's own daemons as the lab starts them: their code loaded ahead, their configuration at its usual place."""

import importlib
from collections.abc import Callable
from pathlib import Path

CONFIG = Path("/etc/groundplane")

_MODULES = {
    "cri": "groundplane.runtime.server",
    "agent": "groundplane.network.agent",
    "pods": "groundplane.cluster.pods",
}


def preload() -> None:
    """Import what the daemons will need, and the lab's own machinery; starts no thread and opens nothing."""
    for module in (*_MODULES.values(), "setproctitle", "pyroute2", "groundplane.cluster.lab.init"):
        importlib.import_module(module)
    for module in ("root", "cgroups", "fabric"):
        importlib.import_module(f"groundplane.cluster.lab.{module}")


def table() -> dict[str, Callable[[], int]]:
    """What each daemon's name starts; returns its exit code."""
    return {name: _starter(module, CONFIG / f"{name}.json") for name, module in _MODULES.items()}


def _starter(module: str, config: Path) -> Callable[[], int]:
    def start() -> int:
        code = importlib.import_module(module).main(config)
        assert isinstance(code, int)
        return code

    return start
