"""The images of one host: layers unpacked by chain id, a small document for each image.

    root/images/<hex>.json     an image; written last, so that an image appears only when every layer is there
    root/layers/<hex>/fs       a layer, renamed here when whole; `size` beside it
    root/tmp/                  half-made things, removed when the store is opened

One process at a time uses a store (the runtime holds a lock); threads may.
"""

import json
import os
import shutil
import tempfile
import threading
from pathlib import Path

from groundplane.errors import Invalid, NotFound
from groundplane.oci import layer
from groundplane.oci.archive import Found, LayerSource, Tree, look, open_tree
from groundplane.oci.manifest import parse_config
from groundplane.oci.model import Digest, Image, chain_ids
from groundplane.oci.reference import parse_reference
from groundplane.system import files

_SHORTEST_PREFIX = 3


class Images:
    """Import, find and remove images. Layers that no image needs go with the last image that did."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.RLock()
        self._images: dict[Digest, Image] = {}
        self._held: dict[Digest, int] = {}
        for name in ("images", "layers", "tmp"):
            files.ensure_directory(root / name, mode=files.PRIVATE_DIR if name == "tmp" else 0o711)
        for left in (root / "tmp").iterdir():
            shutil.rmtree(left, ignore_errors=True)
        for path in sorted((root / "images").glob("*.json")):
            image = _load(path)
            if image is not None and all(self._layer(chain).is_dir() for chain in image.chain_ids):
                self._images[image.id] = image

    def list(self) -> list[Image]:
        """Every image, by id."""
        with self._lock:
            return [self._images[key] for key in sorted(self._images)]

    def find(self, reference: str) -> Image | None:
        """By id (with or without `sha256:`), unique prefix of one, tag or digest; None if there is none.

        Raises Invalid for what cannot be the name of an image, or for a prefix of several.
        """
        with self._lock:
            plain = reference.removeprefix("sha256:")
            hexadecimal = len(plain) >= _SHORTEST_PREFIX and set(plain) <= set("0123456789abcdef")
            if hexadecimal:
                fitting = [
                    image for key, image in self._images.items() if key.removeprefix("sha256:").startswith(plain)
                ]
                if len(fitting) > 1:
                    raise Invalid("is the beginning of several images' ids", to=reference, hint="give more digits")
                if fitting:
                    return fitting[0]
            if reference.startswith("sha256:"):
                return None
            name = str(parse_reference(reference))
            return next((i for i in self._images.values() if name in i.repo_tags or name in i.repo_digests), None)

    def resolve(self, reference: str) -> Image:
        """Like `find`, but raises NotFound."""
        image = self.find(reference)
        if image is None:
            raise NotFound("no such image here", to=f"image {reference}", hint="import it first")
        return image

    def import_archive(self, path: Path, *, name: str = "") -> Image:
        """Take in an OCI layout (tar or directory) or a docker-save tar, under `name` or the names it holds.

        Layers that are here already are not unpacked again. Raises NotFound, Invalid; nothing is left of it then.
        """
        with open_tree(path) as tree:
            found = look(tree, source=str(path))
            names = tuple(str(parse_reference(one)) for one in ((name,) if name else _full_names(found.names)))
            with self._lock:
                for chain, diff_id, source in zip(
                    chain_ids(found.config.diff_ids), found.config.diff_ids, found.layers, strict=True
                ):
                    self._unpack(tree, chain, diff_id, source, at=str(path))
                return self._record(found, names)

    def remove(self, reference: str) -> bool:
        """Remove the image that `reference` names, with all its names; False if there is none."""
        with self._lock:
            image = self.find(reference)
            if image is None:
                return False
            (self.root / "images" / f"{_hex(image.id)}.json").unlink(missing_ok=True)
            del self._images[image.id]
            self.collect()
            return True

    def hold(self, image: Digest) -> Image:
        """Keep an image's layers while something stands on them. Raises NotFound."""
        with self._lock:
            found = self.resolve(image)
            for chain in found.chain_ids:
                self._held[chain] = self._held.get(chain, 0) + 1
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
        with self._lock:
            wanted = {_hex(chain) for image in self._images.values() for chain in image.chain_ids}
            wanted |= {_hex(chain) for chain in self._held}
            for entry in (self.root / "layers").iterdir():
                if entry.name not in wanted:
                    # Renamed first: a crash while it is removed must not leave half a layer under its name.
                    grave = self.root / "tmp" / entry.name
                    entry.rename(grave)
                    shutil.rmtree(grave)

    def layer_path(self, chain: Digest) -> Path:
        """The directory of an unpacked layer."""
        return self._layer(chain) / "fs"

    def usage(self) -> tuple[int, int]:
        """Bytes and inodes of all layers; sums of what was counted while unpacking, no walk."""
        with self._lock:
            octets = inodes = 0
            for entry in (self.root / "layers").iterdir():
                size = files.read_optional(entry / "size") or b"0 0"
                first, second = size.split()
                octets, inodes = octets + int(first), inodes + int(second)
            return octets, inodes

    def _layer(self, chain: Digest) -> Path:
        return self.root / "layers" / _hex(chain)

    def _unpack(self, tree: Tree, chain: Digest, diff_id: Digest, source: LayerSource, *, at: str) -> None:
        if self._layer(chain).is_dir():
            return
        blob = tree.open(source.path)
        if blob is None:
            raise Invalid(f"lacks the layer {source.path}", to=at, hint="export the image again")
        work = Path(tempfile.mkdtemp(dir=self.root / "tmp"))
        try:
            fs = work / "fs"
            fs.mkdir(mode=0o755)
            with blob:
                _, octets, inodes = layer.unpack(blob, fs, expected=diff_id, at=f"{at}: {source.path}")
            (work / "size").write_text(f"{octets} {inodes}\n")
            work.chmod(0o711)
            if octets > _SYNC_ABOVE:
                os.sync()
            work.rename(self._layer(chain))
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise

    def _record(self, found: Found, names: tuple[str, ...]) -> Image:
        before = self._images.get(found.id)
        for other in list(self._images.values()):
            moved = tuple(tag for tag in other.repo_tags if tag in names)
            if other.id != found.id and moved:
                self._save(_renamed(other, tuple(tag for tag in other.repo_tags if tag not in moved)))
        tags = tuple(dict.fromkeys((*(before.repo_tags if before else ()), *names)))
        digests = before.repo_digests if before else ()
        if found.manifest_digest is not None:
            repositories = (parse_reference(one).repository for one in names)
            digests = tuple(dict.fromkeys((*digests, *(f"{one}@{found.manifest_digest}" for one in repositories))))
        sizes = [
            (files.read_optional(self._layer(c) / "size") or b"0 0").split() for c in chain_ids(found.config.diff_ids)
        ]
        image = Image(
            id=found.id,
            config=found.config,
            size_bytes=sum(int(octets) for octets, _ in sizes) or len(found.config_bytes),
            inodes=sum(int(inodes) for _, inodes in sizes),
            repo_tags=tags,
            repo_digests=digests,
        )
        self._save(image, config=found.config_bytes)
        return image

    def _save(self, image: Image, *, config: bytes | None = None) -> None:
        path = self.root / "images" / f"{_hex(image.id)}.json"
        if config is None:
            config = json.loads(path.read_bytes())["config"].encode()
        record = {
            "id": image.id,
            "config": config.decode(),
            "size": image.size_bytes,
            "inodes": image.inodes,
            "tags": list(image.repo_tags),
            "digests": list(image.repo_digests),
        }
        files.replace(path, json.dumps(record).encode(), mode=files.PUBLIC)
        self._images[image.id] = image


_SYNC_ABOVE = 1 << 24  # bytes; a small layer is written again from its archive sooner than a disk can be waited for


def _renamed(image: Image, tags: tuple[str, ...]) -> Image:
    from dataclasses import replace

    return replace(image, repo_tags=tags)


def _full_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """A bare tag (OCI's ref.name often is one) names no repository."""
    return tuple(name for name in names if "/" in name or ":" in name)


def _hex(digest: Digest) -> str:
    return digest.removeprefix("sha256:")


def _load(path: Path) -> Image | None:
    """An image's document; None for one that a crash of the disk has damaged: it is imported again, not run."""
    try:
        record = json.loads(path.read_bytes())
        return Image(
            id=Digest(record["id"]),
            config=parse_config(record["config"].encode(), source=str(path)),
            size_bytes=int(record["size"]),
            inodes=int(record["inodes"]),
            repo_tags=tuple(record["tags"]),
            repo_digests=tuple(record["digests"]),
        )
    except (ValueError, KeyError, TypeError, Invalid):
        return None
