"""The images of one host: layers unpacked by chain id, a small document for each image.

    root/images/<hex>.json     an image; written last, so that an image appears only when every layer is there
    root/layers/<hex>/fs       a layer, renamed here when whole and on disk; `size` beside it
    root/tmp/                  half-made things, removed when the store is opened

Layers are unpacked straight from the archive and checked against its diff ids; no compressed blob is kept beside them.
One process at a time uses a store (the runtime holds a lock); threads may. Unpacking and removing files happen outside
the lock, so that a large image delays nobody who only asks.
"""

import re
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, cast

from groundplane.errors import Invalid, NotFound
from groundplane.oci import layer, record, rootfs, tape
from groundplane.oci.archive import LayerSource, Tree, look, open_tree
from groundplane.oci.gc import garbage
from groundplane.oci.manifest import created, parse_config
from groundplane.oci.model import Digest, Image, ImageConfig, chain_ids, digest_of
from groundplane.oci.reference import parse_reference
from groundplane.system import files, tree

_ID = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"[0-9a-f]{3,63}")


class Images:
    """Import, find and remove images. Layers that no image needs go with the last image that did.

    Images under one of the names `pinned` say so, which keeps kubelet from collecting them.
    """

    def __init__(self, root: Path, *, pinned: Iterable[str] = ()) -> None:
        self.root = root
        self._pinned = frozenset(str(parse_reference(name)) for name in pinned)
        self._lock = threading.RLock()
        self._importing = threading.Lock()
        self._images: dict[Digest, Image] = {}
        self._configs: dict[Digest, bytes] = {}
        self._held: dict[Digest, int] = {}
        for name in ("images", "layers", "tmp"):
            files.ensure_directory(root / name, mode=files.PRIVATE_DIR)  # setuid programs of images are nobody's here
        for left in (root / "tmp").iterdir():
            _discard(left) if left.is_dir() else left.unlink()
        self._present = dict(self._see_layers())
        for path in sorted((root / "images").iterdir()):
            known = record.load(path) if path.suffix == ".json" else None
            if known is None or not all(chain in self._present for chain in known[0].chain_ids):
                path.unlink()  # damaged, or without a layer: it is imported again, never run
            else:
                self._images[known[0].id], self._configs[known[0].id] = self._marked(known[0]), known[1]

    def list(self) -> list[Image]:
        """Every image, by id."""
        with self._lock:
            return [self._images[key] for key in sorted(self._images)]

    def find(self, reference: str) -> Image | None:
        """By id (with or without `sha256:`), tag or digest, or the beginning of an id; None if there is none.

        Raises Invalid for what cannot be the name of an image, or for the beginning of several ids.
        """
        plain = reference.removeprefix("sha256:")
        with self._lock:
            if _ID.fullmatch(plain):
                return self._images.get(Digest(f"sha256:{plain}"))
            beginning = _PREFIX.fullmatch(plain)
            if not (beginning and reference != plain):
                name = str(parse_reference(reference))
                for image in self._images.values():
                    if name in image.repo_tags or name in image.repo_digests:
                        return image
            fitting = [key for key in self._images if beginning and key.startswith(f"sha256:{plain}")]
            if len(fitting) > 1:
                raise Invalid("is the beginning of several images' ids", to=reference, hint="give more digits")
            return self._images[fitting[0]] if fitting else None

    def resolve(self, reference: str) -> Image:
        """Like `find`, but raises NotFound."""
        image = self.find(reference)
        if image is None:
            raise NotFound("no such image here", to=f"image {reference}", hint="import it first")
        return image

    def import_archive(self, path: Path, *, name: str = "") -> Image:
        """Take in an OCI layout (tar or directory) or a docker-save tar, under `name` or the names it holds.

        Layers that are here already are not unpacked again. Raises NotFound, Invalid, Unimplemented, Exhausted;
        nothing is left of it then.
        """
        with open_tree(path) as opened:
            found = look(opened, source=str(path))
            names = _tags((name,) if name else _full_names(found.names))
            chains = chain_ids(found.config.diff_ids)
            with self._importing, self._holding(chains):
                self._take_in(opened, chains, found.config.diff_ids, found.layers, at=str(path))
                return self._record(found.config_bytes, names, found.manifest_digest)

    def import_rootfs(self, source: Path, *, name: str, config: ImageConfig | None = None) -> Image:
        """Make an image of one layer from a directory, or from a plain tar of one. Raises as `import_archive` does."""
        names = _tags((name,))
        with self._importing, rootfs.open_layer(source, scratch=self.root / "tmp") as content:
            work, diff_id = self._unpack(content, expected=None, at=str(source))
            with self._holding((diff_id,)):
                self._publish({diff_id: work})
                return self._record(rootfs.document(config or ImageConfig(), diff_id), names, None)

    def tag(self, reference: str, name: str) -> Image:
        """Give an image another name; an image that had it loses it. Raises NotFound, Invalid."""
        with self._lock:
            image = self.resolve(reference)
            return self._record(self._configs[image.id], _tags((name,)), None)

    def remove(self, reference: str) -> bool:
        """Remove the image that `reference` names, with all its names; False if there is none."""
        with self._lock:
            image = self.find(reference)
            if image is None:
                return False
            self._document(image.id).unlink(missing_ok=True)
            del self._images[image.id], self._configs[image.id]
        self.collect()
        return True

    def hold(self, image: Digest) -> Image:
        """Keep an image's layers while something stands on them. Raises NotFound."""
        with self._lock:
            found = self.resolve(image)
            self.hold_layers(found.chain_ids)
            return found

    def hold_layers(self, chains: tuple[Digest, ...]) -> None:
        """Keep layers by name: of a container that was there before this process."""
        with self._lock:
            for chain in chains:
                self._held[chain] = self._held.get(chain, 0) + 1

    def release(self, chains: tuple[Digest, ...]) -> None:
        """Undo a `hold`; what nobody needs any more goes."""
        with self._lock:
            for chain in chains:
                left = self._held.get(chain, 0) - 1
                if left > 0:
                    self._held[chain] = left
                else:
                    self._held.pop(chain, None)
        self.collect()

    def collect(self) -> None:
        """Remove every layer that neither an image nor a holder needs."""
        graves = []
        with self._lock:
            stacks = (image.chain_ids for image in self._images.values())
            for chain in garbage(tuple(self._present), images=stacks, held=self._held):
                # Renamed first: a crash while it is removed must not leave half a layer under its name.
                graves.append(self.scratch() / "layer")
                self._layer(chain).rename(graves[-1])
                del self._present[chain]
        for grave in graves:
            tree.remove(grave.parent)

    def layer_path(self, chain: Digest) -> Path:
        """The directory of an unpacked layer."""
        return self._layer(chain) / "fs"

    def usage(self) -> tuple[int, int]:
        """Bytes and inodes of all layers; sums of what was counted while unpacking, no walk."""
        with self._lock:
            sizes = tuple(self._present.values())
        return sum(octets for octets, _ in sizes), sum(inodes for _, inodes in sizes)

    def scratch(self) -> Path:
        """A new directory on the store's file system, which does not outlive the next opening."""
        return Path(tempfile.mkdtemp(dir=self.root / "tmp"))

    def _see_layers(self) -> Iterator[tuple[Digest, tuple[int, int]]]:
        for entry in (self.root / "layers").iterdir():
            size = (files.read_optional(entry / "size") or b"").split()
            if len(size) == 2 and all(one.isdigit() for one in size) and (entry / "fs").is_dir():  # noqa: PLR2004
                yield Digest(f"sha256:{entry.name}"), (int(size[0]), int(size[1]))
            else:
                tree.remove(entry)  # half a layer is no layer

    @contextmanager
    def _holding(self, chains: tuple[Digest, ...]) -> Iterator[None]:
        """Layers of an import are nobody's until it is recorded; without this, a removal meanwhile would take them."""
        self.hold_layers(chains)
        try:
            yield
        finally:
            self.release(chains)

    def _take_in(
        self,
        archive: Tree,
        chains: tuple[Digest, ...],
        diff_ids: tuple[Digest, ...],
        sources: tuple[LayerSource, ...],
        *,
        at: str,
    ) -> None:
        works: dict[Digest, Path] = {}
        try:
            for chain, diff_id, source in zip(chains, diff_ids, sources, strict=True):
                if chain in self._present:
                    continue
                with _blob(archive, source.path, at=at) as blob:
                    works[chain] = self._unpack_blob(blob, source, diff_id, at=f"{at}: {source.path}")
            self._publish(works)
        except BaseException:
            for work in works.values():
                _discard(work)
            raise

    def _unpack_blob(self, blob: IO[bytes], source: LayerSource, diff_id: Digest, *, at: str) -> Path:
        """Held to both its digests: as it is stored, and as a tar."""
        if source.digest in (None, diff_id):  # of what is stored as it is, both are one
            return self._unpack(blob, expected=diff_id, at=at)[0]
        stored = tape.Hashing(blob)
        work, _ = self._unpack(cast("IO[bytes]", stored), expected=diff_id, at=at)
        if stored.digest != source.digest:
            _discard(work)
            raise Invalid(f"is stored as {stored.digest}, not as its name says", to=at, hint="export the image again")
        return work

    def _unpack(self, blob: IO[bytes], *, expected: Digest | None, at: str) -> tuple[Path, Digest]:
        work = self.scratch()
        try:
            (work / "fs").mkdir()
            (work / "fs").chmod(0o755)
            diff_id, octets, inodes = layer.unpack(blob, work / "fs", expected=expected, at=at)
            (work / "size").write_text(f"{octets} {inodes}\n")
        except BaseException:
            _discard(work)
            raise
        return work, diff_id

    def _publish(self, works: dict[Digest, Path]) -> None:
        if works:
            files.sync_filesystem(self.root)  # a layer that has its name is whole, also after a power cut
        with self._lock:
            for chain, work in works.items():
                if chain in self._present:
                    tree.remove(work)
                    continue
                octets, inodes = (work / "size").read_text().split()
                work.rename(self._layer(chain))
                self._present[chain] = (int(octets), int(inodes))

    def _record(self, config: bytes, names: tuple[str, ...], manifest: Digest | None) -> Image:
        with self._lock:
            identity, parsed = digest_of(config), parse_config(config, source="image")
            before = self._images.get(identity)
            for other in list(self._images.values()):
                left = tuple(tag for tag in other.repo_tags if tag not in names)
                if other.id != identity and left != other.repo_tags:
                    self._save(replace(other, repo_tags=left), self._configs[other.id])
            digests = before.repo_digests if before else ()
            if manifest is not None:
                digests += tuple(f"{parse_reference(name).repository}@{manifest}" for name in names)
            sizes = [self._present[chain] for chain in chain_ids(parsed.diff_ids)]
            image = Image(
                id=identity,
                config=parsed,
                created=created(config, source="image"),
                size_bytes=sum(octets for octets, _ in sizes) or len(config),  # never 0: kubelet takes it as unknown
                inodes=sum(inodes for _, inodes in sizes),
                repo_tags=tuple(dict.fromkeys((*(before.repo_tags if before else ()), *names))),
                repo_digests=tuple(dict.fromkeys(digests)),
            )
            return self._save(image, config)

    def _save(self, image: Image, config: bytes) -> Image:
        files.replace(self._document(image.id), record.dump(image, config), mode=files.PRIVATE)
        self._images[image.id], self._configs[image.id] = self._marked(image), config
        return self._images[image.id]

    def _marked(self, image: Image) -> Image:
        return replace(image, pinned=not self._pinned.isdisjoint(image.repo_tags))

    def _document(self, image: Digest) -> Path:
        return self.root / "images" / f"{image.removeprefix('sha256:')}.json"

    def _layer(self, chain: Digest) -> Path:
        return self.root / "layers" / chain.removeprefix("sha256:")


def _discard(work: Path) -> None:
    try:
        tree.remove(work)
    except OSError:
        pass  # what made the work fail may keep it from being removed too; the store's next opening tries again


def _blob(archive: Tree, path: str, *, at: str) -> IO[bytes]:
    blob = archive.open(path)
    if blob is None:
        raise Invalid(f"lacks the layer {path}", to=at, hint="export the image again")
    return blob


def _tags(names: Iterable[str]) -> tuple[str, ...]:
    parsed = [parse_reference(name) for name in names]
    for one in parsed:
        if one.digest is not None:
            raise Invalid("is a digest, which cannot be given", to=f"image {one}", hint="write name:tag")
    return tuple(str(one) for one in parsed)


def _full_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """A bare tag (OCI's ref.name often is one) names no repository."""
    return tuple(name for name in names if "/" in name or ":" in name)
