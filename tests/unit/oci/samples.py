"""Archives made in memory, for the tests of this package."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from groundplane.oci.model import digest_of

DIRECTORY, LINK, SYMLINK = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    link: str = ""
    mtime: float = 1000
    device: tuple[int, int] = (0, 0)
    pax: Mapping[str, str] = field(default_factory=dict)


def directory(name: str, *, mode: int = 0o755, mtime: float = 1000) -> Entry:
    return Entry(name=name, kind=DIRECTORY, mode=mode, mtime=mtime)


def tar(entries: Iterable[Entry]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for entry in entries:
            member = tarfile.TarInfo(entry.name)
            member.type, member.mode, member.linkname = entry.kind, entry.mode, entry.link
            member.mtime, member.pax_headers = entry.mtime, dict(entry.pax)
            member.devmajor, member.devminor = entry.device
            member.size = len(entry.data)
            archive.addfile(member, io.BytesIO(entry.data))
    return out.getvalue()


def config(diff_ids: Sequence[str], **process: object) -> bytes:
    return json.dumps({"rootfs": {"type": "layers", "diff_ids": list(diff_ids)}, "config": process}).encode()


def saved(layers: Sequence[bytes], *, diff_ids: Sequence[str] | None = None, tags: Sequence[str] = ("x:1",)) -> bytes:
    """What `docker save` writes; `diff_ids` may lie."""
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    found = config([digest_of(layer) for layer in layers] if diff_ids is None else diff_ids)
    listing = json.dumps([{"Config": "config.json", "RepoTags": list(tags), "Layers": names}]).encode()
    files = [("manifest.json", listing), ("config.json", found), *zip(names, layers, strict=True)]
    return tar(Entry(name=name, data=data) for name, data in files)


def layout(
    layers: Sequence[bytes],
    *,
    stored: Sequence[bytes] | None = None,
    kind: str = "application/vnd.oci.image.layer.v1.tar",
    name: str = "registry.test/app:1",
) -> dict[str, bytes]:
    """An OCI layout by path; `stored` are the layers as they lie there (compressed), if not as they are."""
    blobs: dict[str, bytes] = {}

    def put(media_type: str, data: bytes) -> dict[str, object]:
        digest = digest_of(data)
        blobs["blobs/sha256/" + digest.removeprefix("sha256:")] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    about = put("application/vnd.oci.image.config.v1+json", config([digest_of(layer) for layer in layers]))
    listed = [put(kind, data) for data in stored or layers]
    manifest = json.dumps({"schemaVersion": 2, "config": about, "layers": listed}).encode()
    entry = put("application/vnd.oci.image.manifest.v1+json", manifest)
    entry["annotations"] = {"org.opencontainers.image.ref.name": name}
    index = json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode()
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index, **blobs}


def packed(files: Mapping[str, bytes]) -> bytes:
    return tar(Entry(name=name, data=data) for name, data in files.items())
