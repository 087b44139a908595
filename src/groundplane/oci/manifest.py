"""OCI's and Docker's image documents, decoded at the edge: index, manifest, config, and `docker save`'s list."""

import platform
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from groundplane.errors import Invalid
from groundplane.oci.model import ImageConfig, parse_digest

T = TypeVar("T")
INDEX_TYPES = frozenset(
    {"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
)
REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "riscv64": "riscv64", "s390x": "s390x"}


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
    """A manifest. Raises Invalid."""
    return _decode(data, Manifest, source)


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
    """The first manifest for this machine; entries of unknown platforms (attestations) are passed over."""
    architecture = _ARCHITECTURES.get(machine or platform.machine(), machine or platform.machine())
    fitting = [
        found
        for found in manifests
        if found.platform is None or (found.platform.os, found.platform.architecture) == ("linux", architecture)
    ]
    if not fitting:
        raise Invalid(f"holds no image for linux/{architecture}", to="index", hint="export it for this platform")
    return fitting[0]


def _decode(data: bytes, kind: type[T], source: str) -> T:
    try:
        data.decode()  # msgspec passes over the text of fields that nobody asked for
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as bad:
        raise Invalid(
            f"is not what it should be: {bad}", to=source, hint="the archive is damaged, or no image"
        ) from bad
