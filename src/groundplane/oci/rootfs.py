"""An image of one layer from a plain root file system: a directory, or the tar of one."""

import json
import os
import platform
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from groundplane.errors import NotFound
from groundplane.oci.manifest import ARCHITECTURES
from groundplane.oci.model import Digest, ImageConfig

_KEPT = ("user.", "security.capability")


@contextmanager
def open_layer(source: Path, *, scratch: Path) -> Iterator[IO[bytes]]:
    """The layer that `source` is: a tar as it stands, a directory packed into one in `scratch`. Raises NotFound."""
    if source.is_dir():
        with tempfile.TemporaryFile(dir=scratch) as out:
            _pack(source, cast("IO[bytes]", out))
            out.seek(0)
            yield cast("IO[bytes]", out)
        return
    try:
        opened = source.open("rb")
    except FileNotFoundError as missing:
        raise NotFound("no such file or directory", to=source) from missing
    with opened:
        yield opened


def document(config: ImageConfig, diff_id: Digest) -> bytes:
    """The config of such an image; equal content gives equal bytes, hence the same image."""
    machine = platform.machine()
    process = {
        "User": config.user,
        "Env": list(config.env),
        "Entrypoint": list(config.entrypoint),
        "Cmd": list(config.cmd),
        "WorkingDir": config.working_dir,
        "StopSignal": config.stop_signal,
        "Volumes": {path: {} for path in config.volumes},
        "Labels": dict(config.labels),
        "ExposedPorts": {port: {} for port in config.exposed_ports},
    }
    whole = {
        "architecture": ARCHITECTURES.get(machine, machine),
        "os": "linux",
        "config": {key: value for key, value in process.items() if value},
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
    }
    return json.dumps(whole, sort_keys=True, separators=(",", ":")).encode()


def _pack(source: Path, out: IO[bytes]) -> None:
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, encoding="utf-8") as archive:
        for at, folders, names in os.walk(source):
            folders.sort()
            here = Path(at)
            _add(archive, here, here.relative_to(source))
            links = [name for name in folders if (here / name).is_symlink()]
            for name in sorted((*names, *links)):
                _add(archive, here / name, (here / name).relative_to(source))


def _add(archive: tarfile.TarFile, path: Path, name: Path) -> None:
    member = archive.gettarinfo(path, arcname=str(name))
    if member is None:  # a socket: nothing that could be kept of it
        return
    member.uname = member.gname = ""
    if not member.issym():
        member.pax_headers = {
            f"SCHILY.xattr.{key}": os.getxattr(path, key).decode("utf-8", "surrogateescape")
            for key in os.listxattr(path)
            if key.startswith(_KEPT)
        }
    if member.isreg():
        with path.open("rb") as content:
            archive.addfile(member, content)
    else:
        archive.addfile(member)
