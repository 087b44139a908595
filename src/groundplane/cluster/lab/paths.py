"""Where a lab keeps things on the machine, and where its hosts see them.

Two trees, both removed whole by `down --purge`: what must survive a reboot under the data directory, sockets and pins
(on tmpfs, so that a reboot clears them) under the run directory.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from groundplane.names import ClusterName, HostName

DATA = Path(os.environ.get("GROUNDPLANE_DATA", "/var/lib/groundplane"))
RUN = Path(os.environ.get("GROUNDPLANE_RUN", "/run/groundplane"))
CGROUP = "groundplane"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPaths:
    """One cluster's places on the machine."""

    data: Path
    run: Path
    cgroup: str

    @property
    def record(self) -> Path:
        """The document that was applied last, for `status` and `down`."""
        return self.data / "cluster.json"

    @property
    def lock(self) -> Path:
        """Held by the command that changes the lab."""
        return self.run / "lock"

    @property
    def pki(self) -> Path:
        """The CA's key and every certificate's master copy; 0700."""
        return self.data / "pki"

    @property
    def images(self) -> Path:
        """Image archives that hosts import."""
        return self.data / "images"

    @property
    def fabric(self) -> Path:
        """The pin of the fabric's network namespace."""
        return self.run / "fabric"

    def host(self, name: HostName) -> "HostPaths":
        """The places of one host."""
        return HostPaths(data=self.data / "hosts" / name, run=self.run / "hosts" / name, cgroup=f"{self.cgroup}/{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPaths:
    """One host's places on the machine. `inside` lists which of them the host sees where."""

    data: Path
    run: Path
    cgroup: str

    @property
    def inside(self) -> tuple[tuple[Path, Path], ...]:
        """(place on the machine, path inside the host)."""
        return (
            (self.data / "etc-groundplane", Path("/etc/groundplane")),
            (self.data / "etc-cni", Path("/etc/cni")),
            (self.data / "var-lib-groundplane", Path("/var/lib/groundplane")),
            (self.data / "var-lib-cni", Path("/var/lib/cni")),
            (self.data / "var-lib-calico", Path("/var/lib/calico")),
            (self.data / "log", Path("/var/log/groundplane")),
            (self.data / "pods", Path("/var/log/pods")),
            (self.data / "opt-etcd", Path("/opt/etcd")),
            (self.data / "opt-ca", Path("/opt/ca")),
            (self.data / "opt-cni", Path("/opt/cni")),
            (self.run, Path("/run/groundplane")),
        )

    def on_machine(self, inside: Path) -> Path:
        """Where the machine has what the host sees at `inside`; only for paths below the trees of `inside`."""
        for machine, host in self.inside:
            if inside.is_relative_to(host):
                return machine / inside.relative_to(host)
        raise ValueError(inside)

    @property
    def init_pid(self) -> Path:
        """`PID START-TICKS` of the host's init, in the machine's PID namespace; written when it has booted."""
        return self.run / "init.pid"

    @property
    def init_socket(self) -> Path:
        """The supervisor's socket."""
        return self.run / "init.sock"


def lab(name: ClusterName) -> LabPaths:
    """The places of the cluster `name`."""
    return LabPaths(data=DATA / name, run=RUN / name, cgroup=f"{CGROUP}/{name}")


def known() -> list[ClusterName]:
    """Every cluster that has a record here, by name."""
    return sorted(ClusterName(found.parent.name) for found in DATA.glob("*/cluster.json"))
