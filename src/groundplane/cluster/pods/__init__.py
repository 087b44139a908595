"""The pods of the cluster file, kept running on their host: what kubelet would do, for pods that need no API server.

`model` says what is wanted and what a runtime shows, `plan` decides the next actions, `keeper` is the daemon that
carries them out through CRI.
"""

from pathlib import Path

__all__ = ["main"]


def main(config: Path) -> int:
    """Run the keeper until SIGTERM; `config` is `/etc/groundplane/pods.json`. Returns the exit code."""
    from groundplane.cluster.pods.keeper import main as keep

    return keep(config)
