"""cri.json, parsed once."""

from dataclasses import dataclass
from pathlib import Path

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid, NotFound


class _Document(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    socket: str = "/run/groundplane/cri.sock"
    root: str = "/var/lib/groundplane/cri"
    state: str = "/run/groundplane/cri"
    handler: str = "crun"
    handlers: dict[str, str] = {}
    conmon: str = "/usr/bin/conmon"
    cni_conf_dir: str = "/etc/cni/net.d"
    cni_bin_dir: str = "/opt/cni/bin"
    cni_cache_dir: str = "/var/lib/cni/results"
    cgroup_parent: str = "/pods"
    image_archives: str = "/var/lib/groundplane/images"
    log_level: str = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where everything is. `handlers` maps a handler's name to its OCI runtime; "" is the default's name.

    `image_archives` holds what this host may pull without a registry: an archive per name, as `image.verbs` names it.
    """

    socket: Path
    root: Path
    state: Path
    handlers: dict[str, str]
    conmon: str
    cni_conf_dir: Path
    cni_bin_dir: Path
    cni_cache_dir: Path
    cgroup_parent: str
    image_archives: Path
    log_level: str = "info"


def parse(data: bytes, *, at: str) -> Config:
    """Raises Invalid, naming the key."""
    try:
        found = msgspec.json.decode(data, type=_Document)
    except UNREADABLE as bad:
        raise Invalid(str(bad), to=at, hint="see the runtime's chapter of the guide for its keys") from bad
    for key in ("socket", "root", "state", "cni_conf_dir", "cni_bin_dir", "cgroup_parent", "image_archives"):
        if not getattr(found, key).startswith("/"):
            raise Invalid(f"{key} is not an absolute path", to=at)
    return Config(
        socket=Path(found.socket),
        root=Path(found.root),
        state=Path(found.state),
        handlers={"": found.handler, Path(found.handler).name: found.handler, **found.handlers},
        conmon=found.conmon,
        cni_conf_dir=Path(found.cni_conf_dir),
        cni_bin_dir=Path(found.cni_bin_dir),
        cni_cache_dir=Path(found.cni_cache_dir),
        cgroup_parent=found.cgroup_parent.rstrip("/"),
        image_archives=Path(found.image_archives),
        log_level=found.log_level,
    )


def load(path: Path) -> Config:
    """Read and parse `path`. Raises NotFound or Invalid."""
    try:
        data = path.read_bytes()
    except FileNotFoundError as missing:
        raise NotFound("no such file", to=path, hint="run `groundplane up`, which writes it") from missing
    return parse(data, at=str(path))
