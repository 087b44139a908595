"""What a tar or a directory holds: the same few questions to an OCI layout and to `docker save`."""

import errno
import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, cast

from groundplane.errors import Invalid, NotFound
from groundplane.oci import manifest, tape
from groundplane.oci.model import Digest, ImageConfig, digest_of, parse_digest
from groundplane.system import inroot

_DOCUMENT_LIMIT = 4 << 20
_DEPTH = 4


class Tree(Protocol):
    """Files by path."""

    def open(self, path: str) -> IO[bytes] | None:
        """A file's content, None where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSource:
    """A layer's blob in the tree, and what its digest must be as stored (None: the archive does not say)."""

    path: str
    digest: Digest | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The image in an archive: names as the archive gives them, id, config, layers bottom first."""

    names: tuple[str, ...]
    id: Digest
    manifest_digest: Digest | None
    config_bytes: bytes
    config: ImageConfig
    layers: tuple[LayerSource, ...]


class DirectoryTree:
    """A directory on disk. No name and no link in it leads out of it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def open(self, path: str) -> IO[bytes] | None:
        """A file's content, None where there is none."""
        root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = inroot.open_in(root, path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not hold us up
        except OSError as refused:
            if refused.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG):
                return None
            raise
        finally:
            os.close(root)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            return None
        return os.fdopen(fd, "rb")


class TarTree:
    """A tar, plain or gzip'd, with an index of its regular files."""

    def __init__(self, archive: tarfile.TarFile) -> None:
        self._archive = archive
        self._members = {member.name.removeprefix("./"): member for member in archive.getmembers()}

    def open(self, path: str) -> IO[bytes] | None:
        """A file's content, None where there is none; a link inside the tar is followed once."""
        member = self._members.get(path)
        if member is not None and member.issym():
            folder = path.rpartition("/")[0].split("/")
            parts = [*folder]
            for part in member.linkname.split("/"):
                if part == "..":
                    parts = parts[:-1]
                elif part not in ("", "."):
                    parts.append(part)
            member = self._members.get("/".join(parts))
        if member is None or not member.isfile():
            return None
        return cast("IO[bytes]", self._archive.extractfile(member))


@contextmanager
def open_tree(path: Path) -> Iterator[Tree]:
    """The tree at `path`. Raises NotFound, or Invalid for what is neither a directory nor a tar."""
    if path.is_dir():
        yield DirectoryTree(path)
        return
    if not path.exists():
        raise NotFound("no such file or directory", to=path)
    try:
        archive = tape.open_archive(path)
    except tape.DAMAGED as bad:
        raise Invalid(f"is not an archive of an image: {bad}", to=path, hint="give an OCI or docker-save tar") from bad
    with archive:
        try:
            yield TarTree(archive)
        except tape.CUT_SHORT as bad:
            raise Invalid(f"is damaged: {bad}", to=path, hint="export the image again") from bad


def look(tree: Tree, *, source: str) -> Found:
    """The image in `tree`. Raises Invalid."""
    index = _document(tree, "index.json")
    if index is not None:
        return _oci(tree, index, source)
    saved = _document(tree, "manifest.json")
    if saved is not None:
        return _docker(tree, saved, source)
    raise Invalid(
        "holds neither index.json nor manifest.json", to=source, hint="give an OCI layout or a docker-save tar"
    )


def _oci(tree: Tree, index: bytes, source: str) -> Found:
    names: list[str] = []
    data, where = index, f"{source}: index.json"
    for _ in range(_DEPTH):
        listed = manifest.parse_index(data, source=where).manifests
        entry = manifest.choose(listed)
        for notes in (same.annotations or {} for same in listed if same.digest == entry.digest):
            names += [notes[key] for key in (manifest.FULL_NAME, manifest.REF_NAME) if key in notes][:1]
        digest = Digest(entry.digest)
        data, where = _blob(tree, digest, source), f"{source}: {digest}"
        if entry.media_type not in manifest.INDEX_TYPES:
            break
    else:
        raise Invalid("its indexes are nested too deeply", to=source)
    found = manifest.parse_manifest(data, source=where)
    image = Digest(found.config.digest)
    config = _blob(tree, image, source)
    return Found(
        names=tuple(names),
        id=image,
        manifest_digest=digest,
        config_bytes=config,
        config=_config(config, len(found.layers), f"{source}: {image}"),
        layers=tuple(
            LayerSource(path=_blob_path(layer.digest, source), digest=Digest(layer.digest)) for layer in found.layers
        ),
    )


def _docker(tree: Tree, saved: bytes, source: str) -> Found:
    entries = manifest.parse_saved(saved, source=f"{source}: manifest.json")
    if len(entries) != 1:
        raise Invalid(f"holds {len(entries)} images, one is wanted", to=source, hint="save one image at a time")
    entry = entries[0]
    config = _document(tree, entry.config)
    if config is None:
        raise Invalid(f"lacks {entry.config}", to=source, hint="export the image again")
    return Found(
        names=tuple(entry.repo_tags or ()),
        id=digest_of(config),
        manifest_digest=None,
        config_bytes=config,
        config=_config(config, len(entry.layers), f"{source}: {entry.config}"),
        layers=tuple(LayerSource(path=path, digest=None) for path in entry.layers),
    )


def _config(data: bytes, layers: int, at: str) -> ImageConfig:
    config = manifest.parse_config(data, source=at)
    if len(config.diff_ids) != layers:
        raise Invalid(f"names {len(config.diff_ids)} layers, the manifest {layers}", to=at)
    return config


def _blob_path(digest: str, source: str) -> str:
    return "blobs/sha256/" + parse_digest(digest, at=source).removeprefix("sha256:")


def _blob(tree: Tree, digest: Digest, source: str) -> bytes:
    data = _document(tree, _blob_path(digest, source))
    if data is None:
        raise Invalid(f"lacks the blob {digest}", to=source, hint="export the image again")
    if digest_of(data) != digest:
        raise Invalid(f"the blob {digest} is not what its name says", to=source, hint="export the image again")
    return data


def _document(tree: Tree, path: str) -> bytes | None:
    found = tree.open(path)
    if found is None:
        return None
    with found:
        data = found.read(_DOCUMENT_LIMIT + 1)
    if len(data) > _DOCUMENT_LIMIT:
        raise Invalid(f"is longer than {_DOCUMENT_LIMIT >> 20} MiB", to=path, hint="this is no image's document")
    return data
