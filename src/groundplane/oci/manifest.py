"""OCI's and Docker's image documents, decoded at the edge: index, manifest, config, and `docker save`'s list."""

import platform
import re
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from groundplane.decoding import UNREADABLE
from groundplane.errors import Invalid
from groundplane.oci.model import ImageConfig, parse_digest

T = TypeVar("T")
INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
_MANIFEST_TYPES = frozenset(
    {"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)
_LAYER_TYPE = re.compile(
    r"application/vnd\.oci\.image\.layer\.(nondistributable\.)?v1\.tar(\+gzip|\+zstd)?"
    r"|application/vnd\.docker\.image\.rootfs\.(foreign\.)?diff\.tar(\.gzip|\.zstd)?"
)
_BASELINES = {"amd64": ("", "v1"), "arm64": ("", "v8"), "arm": ("v7", "v6", "v5", "")}
REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64", "s390x": "s390x"}


class Platform(msgspec.Struct):
    """What a manifest is for."""

    architecture: str = ""
    os: str = ""
    variant: str = ""


class Descriptor(msgspec.Struct, rename="camel"):
    """A blob: what it is, its digest, its size in bytes."""

    media_type: str
    digest: str
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class Index(msgspec.Struct, rename="camel"):
    """A list of manifests."""

    manifests: list[Descriptor]
    schema_version: int = 2


class Manifest(msgspec.Struct, rename="camel"):
    """One image: its config and its layers, bottom first."""

    config: Descriptor
    layers: list[Descriptor]
    schema_version: int = 2


class _Process(msgspec.Struct, rename="pascal"):
    user: str | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    working_dir: str | None = None
    stop_signal: str | None = None
    volumes: dict[str, object] | None = None
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, object] | None = None


class _RootFS(msgspec.Struct):
    diff_ids: list[str]
    type: str = "layers"


class _Config(msgspec.Struct):
    rootfs: _RootFS
    config: _Process | None = None
    created: str | None = None


class Saved(msgspec.Struct, rename="pascal"):
    """An entry of `docker save`'s manifest.json: paths inside the archive."""

    config: str
    layers: list[str]
    repo_tags: list[str] | None = None


def parse_index(data: bytes, *, source: str) -> Index:
    """An index. Raises Invalid."""
    return _decode(data, Index, source)


def parse_manifest(data: bytes, *, source: str) -> Manifest:
    """A manifest. Raises Invalid, also for an artifact, whose layers are no file systems."""
    found = _decode(data, Manifest, source)
    for layer in found.layers:
        if not _LAYER_TYPE.fullmatch(layer.media_type):
            raise Invalid(f"has a layer of type {layer.media_type!r}", to=source, hint="this is no image to run")
    return found


def parse_saved(data: bytes, *, source: str) -> list[Saved]:
    """`docker save`'s list. Raises Invalid."""
    return _decode(data, list[Saved], source)


def parse_config(data: bytes, *, source: str) -> ImageConfig:
    """An image's config. Raises Invalid."""
    found = _decode(data, _Config, source)
    if not found.rootfs.diff_ids:
        raise Invalid("has no layers, so nothing can run in it", to=source)
    process = found.config or _Process()
    return ImageConfig(
        user=process.user or "",
        env=tuple(process.env or ()),
        entrypoint=tuple(process.entrypoint or ()),
        cmd=tuple(process.cmd or ()),
        working_dir=process.working_dir or "",
        stop_signal=process.stop_signal or "",
        volumes=tuple(sorted(process.volumes or ())),
        labels=tuple(sorted((process.labels or {}).items())),
        exposed_ports=tuple(sorted(process.exposed_ports or ())),
        diff_ids=tuple(parse_digest(diff_id, at=source) for diff_id in found.rootfs.diff_ids),
    )


def created(data: bytes, *, source: str) -> str:
    """When an image's config says it was made. Raises Invalid."""
    return _decode(data, _Config, source).created or ""


def choose(manifests: Sequence[Descriptor], *, machine: str | None = None) -> Descriptor:
    """The best manifest for this machine: the plainest variant, and of equals the first.

    Entries of unknown types or platforms (attestations) are passed over. Raises Invalid if none is left, and if several
    images without a platform are, of which none is the better.
    """
    architecture = ARCHITECTURES.get(machine or platform.machine(), machine or platform.machine())
    known = [found for found in manifests if found.media_type in INDEX_TYPES | _MANIFEST_TYPES]
    plain = {found.digest for found in known if found.platform is None}
    if len(plain) > 1:
        raise Invalid(f"holds {len(plain)} images, one is wanted", to="index", hint="export one image at a time")
    baseline = _BASELINES.get(architecture, ("",))

    def rank(found: Descriptor) -> int:
        variant = found.platform.variant if found.platform else ""
        return baseline.index(variant) if variant in baseline else len(baseline)

    fitting = [
        found
        for found in known
        if found.platform is None or (found.platform.os, found.platform.architecture) == ("linux", architecture)
    ]
    if not fitting:
        raise Invalid(f"holds no image for linux/{architecture}", to="index", hint="export it for this platform")
    return min(fitting, key=rank)


def _decode(data: bytes, kind: type[T], source: str) -> T:
    try:
        data.decode()  # msgspec passes over the text of fields that nobody asked for
        return msgspec.json.decode(data, type=kind)
    except UNREADABLE as bad:
        raise Invalid(
            f"is not what it should be: {bad}", to=source, hint="the archive is damaged, or no image"
        ) from bad
