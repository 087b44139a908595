"""Put one host's runtime together from its configuration."""

import os
from pathlib import Path

from groundplane.runtime import capability
from groundplane.runtime.config import Config
from groundplane.runtime.conmon import Shim
from groundplane.runtime.engine import Engine
from groundplane.runtime.generate import Host
from groundplane.runtime.network import CNINetwork
from groundplane.runtime.node import Node
from groundplane.runtime.pins import Pins
from groundplane.runtime.ports import ImageStore, Layers
from groundplane.runtime.store import Store
from groundplane.system import files
from groundplane.system.cgroup import Cgroups
from groundplane.system.clock import SystemClock

_CAP_SYS_RESOURCE = "SYS_RESOURCE"


def build(config: Config, *, images: ImageStore | None = None, layers: Layers | None = None) -> Node:
    """Directories made, records loaded; nothing started yet. `images` and `layers` stand in for the oci package's."""
    for name in ("exits", "attach", "engine", "containers", "sandboxes"):
        files.ensure_directory(config.state / name, mode=0o711)
    pins = Pins(config.state / "ns")
    pins.prepare()
    cgroups = Cgroups()
    if images is None or layers is None:
        from groundplane.runtime.image.store import OCIImages, OCILayers

        images = own = OCIImages(config.root / "oci")
        layers = OCILayers(own)
    return Node(
        config=config,
        store=Store(config.root / "state.sqlite"),
        engines={name: Engine(program, root=config.state / "engine") for name, program in config.handlers.items()},
        shim=Shim(config.conmon, exits=config.state / "exits", attach=config.state / "attach", cgroups=cgroups.version),
        pins=pins,
        images=images,
        layers=layers,
        network=CNINetwork(config.cni_conf_dir, bin_dir=config.cni_bin_dir, cache_dir=config.cni_cache_dir),
        cgroups=cgroups,
        host=observe_host(cgroups),
        clock=SystemClock(),
    )


def observe_host(cgroups: Cgroups) -> Host:
    """What this kernel offers and what this daemon may hand on."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    bound = capability.parse_mask(int(status["CapBnd"], 16))
    own_score = int(Path("/proc/self/oom_score_adj").read_text())
    apparmor = files.read_optional(Path("/sys/module/apparmor/parameters/enabled")) or b""
    return Host(
        machine=os.uname().machine,
        cgroup_v2=cgroups.v2,
        swap=cgroups.counts_swap,
        mqueue=Path("/dev/mqueue").is_dir(),
        seccomp="Seccomp" in status,
        apparmor=apparmor.startswith(b"Y"),
        selinux=Path("/sys/fs/selinux/enforce").exists(),
        capabilities=bound,
        # Lowering the score below one's own takes CAP_SYS_RESOURCE.
        oom_score_floor=-1000 if _CAP_SYS_RESOURCE in bound else own_score,
    )
