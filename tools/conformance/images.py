"""The images that critest asks registries for, made on the spot: busybox, our stand-ins, and the suite's own names.

The names are read from the suite's sources, so that they are never out of step with it. An image that the suite names
by digest cannot be made: nothing else has that digest.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from groundplane.oci.model import digest_of
from groundplane.system import process

_MEDIA = "application/vnd.oci.image"
_USERS = """root:x:0:0:root:/root:/bin/sh
default-user:x:1000:1000::/home:/bin/sh
www-data:x:33:33:www-data:/var/www:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
"""
_GROUPS = (
    "root:x:0:\nwww-data:x:33:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\nnogroup:x:65534:\n"
)
_STAND_INS = ("nginx", "httpd", "ipcs", "pgrep")
_DIRECTORIES = (("bin", 0o755), ("etc", 0o755), ("home", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755))
_SETUID = 0o4755


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What sets an image apart from the others: its OCI config, and one file that tells it from the rest."""

    config: Mapping[str, object] = field(default_factory=dict)
    mark: str = ""
    stand_ins: bool = True


def wanted(sources: Path) -> Iterator[tuple[str, Recipe]]:
    """Each Linux image that the suite names by tag, and how it has to be."""
    text = "\n".join(path.read_text() for path in sorted(sources.glob("pkg/**/*.go")))
    default = _constant(text, "DefaultRegistryPrefix")
    end_to_end = default + _constant(text, "DefaultRegistryE2ETestImagesPrefix")
    staging = _constant(text, "registry")
    prefixes = {"DefaultRegistryE2ETestImagesPrefix": end_to_end, "registry": staging}
    pattern = (
        r'(?<![\w.])(?:framework\.)?(DefaultRegistryE2ETestImagesPrefix|registry) ?\+ ?"([^"]+)"( ?\+ ?runtime.GOARCH)?'
    )
    for prefix, rest, by_machine in sorted(set(re.findall(pattern, text))):
        if "win-" not in rest and "@" not in rest:
            name = prefixes[prefix] + rest + ("amd64" if by_machine else "")
            yield name, _recipe(name.rpartition("/")[2])


def _constant(text: str, name: str) -> str:
    found = re.search(rf'^\s*{name}\s*=.*"([^"]*)"$', text, re.MULTILINE)
    if found is None:
        raise LookupError(f"the suite's sources define no {name}")
    return found[1]


def _recipe(name: str) -> Recipe:
    users = {"user-uid-group": "1003:users", "user-username-group": "www-data:www-data", "user-uid": "1002"}
    users |= {"user-username": "www-data", "predefined-group": "1000"}
    if "nginx" in name:
        port = "12003" if name.startswith("hostnet") else "80"
        return Recipe(config={"Entrypoint": ["/bin/nginx"], "Env": [f"PORT={port}"]})
    if name.startswith("httpd"):
        return Recipe(config={"Entrypoint": ["/bin/httpd"]})
    if name.startswith("nonewprivs"):
        return Recipe(config={"Entrypoint": ["/nnp"]})
    for key, user in users.items():
        if name == f"test-image-{key}":
            return Recipe(config={"User": user, "Cmd": ["sh"]}, stand_ins=False)
    mark = name if not name.startswith("test-image-tags:") else "test-image-tags"  # three names of one image
    return Recipe(config={"Cmd": ["sh"]}, mark=mark, stand_ins=not name.startswith("test-image"))


def base_layer(busybox: Path, stand_in: Path | None) -> bytes:
    """The layer that they share, as a tar. Applets are hard links: to mask one must not mask all the others."""
    applets = process.run_now([str(busybox), "--list"], within=timedelta(seconds=5)).stdout.decode().split()
    links = {applet: "bin/busybox" for applet in applets if applet != "busybox"}
    links |= dict.fromkeys(_STAND_INS if stand_in else (), "bin/standin")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, mode in _DIRECTORIES:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            archive.addfile(entry)
        _add(archive, "bin/busybox", busybox.read_bytes(), mode=0o755)
        if stand_in:
            _add(archive, "bin/standin", stand_in.read_bytes(), mode=0o755)
            _add(archive, "nnp", stand_in.read_bytes(), mode=_SETUID)
        for name, target in sorted(links.items()):
            entry = tarfile.TarInfo(f"bin/{name}")
            entry.type, entry.linkname = tarfile.LNKTYPE, target
            archive.addfile(entry)
        _add(archive, "etc/passwd", _USERS.encode())
        _add(archive, "etc/group", _GROUPS.encode())
    return out.getvalue()


def archive(base: bytes, recipe: Recipe) -> bytes:
    """An OCI layout as a tar: the shared layer, and one that holds the mark."""
    mark = io.BytesIO()
    with tarfile.open(fileobj=mark, mode="w") as layer:
        _add(layer, "mark", recipe.mark.encode())
    layers = (base, mark.getvalue())
    config = _json(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": recipe.config,
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{_MEDIA}.config.v1+json", config),
            "layers": [_descriptor(f"{_MEDIA}.layer.v1.tar", layer) for layer in layers],
        }
    )
    index = _json({"schemaVersion": 2, "manifests": [_descriptor(f"{_MEDIA}.manifest.v1+json", manifest)]})
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as whole:
        _add(whole, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(whole, "index.json", index)
        for blob in (manifest, config, *layers):
            _add(whole, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)
    return out.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, *, mode: int = 0o644) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def _descriptor(kind: str, blob: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest_of(blob), "size": len(blob)}


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
