"""The image `groundplane/lab`, made on the spot from the machine's static busybox: no registry, no download.

Deterministic: the same busybox gives the same bytes, hence the same image.
"""

import hashlib
import io
import json
import platform
import tarfile
from datetime import timedelta
from pathlib import Path

from groundplane.errors import Invalid, NotFound
from groundplane.oci.model import digest_of
from groundplane.system import process

NAME = "groundplane/lab:latest"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DIRECTORIES = (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755), ("www", 0o755))
_FILES = (
    ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
    ("www/index.html", "groundplane lab\n"),
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MEDIA = "application/vnd.oci.image"
_PT_INTERP = 3


def build(busybox: Path) -> bytes:
    """An OCI layout as a tar. Raises NotFound without busybox, Invalid if it is not statically linked."""
    try:
        program = busybox.read_bytes()
    except FileNotFoundError as missing:
        raise NotFound("is not installed", to=busybox, hint="run `apt-get install busybox-static`") from missing
    if not is_static(program):
        raise Invalid("is not statically linked", to=busybox, hint="run `apt-get install busybox-static`")
    applets = process.run_now([str(busybox), "--list"], within=timedelta(seconds=5)).stdout.decode().split()
    layer = _layer(program, sorted(set(applets) - {"busybox"}))
    config = _json(
        {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Env": [f"PATH={_PATH}"], "Cmd": ["sh"], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{_MEDIA}.config.v1+json", config),
            "layers": [_descriptor(f"{_MEDIA}.layer.v1.tar", layer)],
        }
    )
    named = {"io.containerd.image.name": f"docker.io/{NAME}", "org.opencontainers.image.ref.name": "latest"}
    index = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.index.v1+json",
            "manifests": [{**_descriptor(f"{_MEDIA}.manifest.v1+json", manifest), "annotations": named}],
        }
    )
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", index)
        for blob in (manifest, config, layer):
            _add(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
    return out.getvalue()


def is_static(program: bytes) -> bool:
    """Whether an ELF program asks for no interpreter (the dynamic linker). False for what is not ELF."""
    if program[:4] != b"\x7fELF" or program[4] != 2:  # noqa: PLR2004 - ELFCLASS64
        return False

    def number(at: int, size: int) -> int:
        return int.from_bytes(program[at : at + size], "little" if program[5] == 1 else "big")

    table, entry_size, count = number(32, 8), number(54, 2), number(56, 2)
    return all(number(table + i * entry_size, 4) != _PT_INTERP for i in range(count))


def _layer(program: bytes, applets: list[str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, mode in _DIRECTORIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        _add(archive, "bin/busybox", program, mode=0o755)
        for applet in applets:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, "busybox", 0o777
            archive.addfile(entry)
        for name, text in _FILES:
            _add(archive, name, text.encode())
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def _descriptor(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest_of(blob), "size": len(blob)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
