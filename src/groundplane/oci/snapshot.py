"""Root file systems of containers: an image's layers below, a directory of its own on top, shown as one by overlayfs.

root/containers/<key>/upper, work     what the container writes
root/containers/<key>/layers          the chain ids it stands on, so that they are kept after a restart
"""

import re
import threading
from contextlib import suppress
from pathlib import Path

from groundplane.errors import Invalid, NotFound
from groundplane.oci import layer
from groundplane.oci.model import Digest, Image, parse_digest
from groundplane.oci.overlay import mount_overlay
from groundplane.oci.store import Images
from groundplane.system import files, mount, tree

_KEY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")  # it stands in a mount's options


class Snapshots:
    """Writable layers by key."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._root = images.root / "containers"
        self._lock = threading.Lock()
        files.ensure_directory(self._root, mode=files.PRIVATE_DIR)
        for entry in self._root.iterdir():
            chains = _chains(entry / "layers")
            if chains is None:
                tree.remove(entry)  # its making was cut short: nobody has been told of it
            else:
                self._images.hold_layers(chains)
        self._images.collect()  # what an import left that a crash cut short before the image was recorded

    def prepare(self, key: str, image: Image) -> None:
        """Make the writable layer `key` on top of `image`, unless it is there. Raises NotFound, Invalid."""
        place = self._place(key)
        with self._lock:
            if _chains(place / "layers") is not None:
                return
            held = self._images.hold(image.id)
            try:
                for name in ("upper", "work"):
                    (place / name).mkdir(parents=True, exist_ok=True)
                (place / "upper").chmod(0o755)
                files.replace(place / "layers", "\n".join(held.chain_ids).encode(), durable=False)
            except BaseException:
                self._images.release(held.chain_ids)
                with suppress(OSError):  # without its list of layers it is none, and goes with the next opening
                    tree.remove(place)
                raise

    def mount(self, key: str, target: Path) -> None:
        """Show the root file system of `key` at `target`, an existing directory. Raises NotFound, MountFailed."""
        chains = _chains(self._place(key) / "layers")
        if chains is None:
            raise NotFound("has no writable layer", to=f"container {key}", hint="create the container again")
        mount_overlay(
            self._images.root / "layers",
            target,
            lower=self._lower(chains),
            upper=f"../containers/{key}/upper",
            work=f"../containers/{key}/work",
        )

    def view(self, image: Image, target: Path) -> None:
        """Show an image read-only at `target`; whoever does `hold`s it as long. Raises MountFailed."""
        lower = self._lower(image.chain_ids)
        base = self._images.root / "layers"
        if len(lower) == 1:
            mount.bind(base / lower[0], target, read_only=True)
        else:
            mount_overlay(base, target, lower=lower)

    def unmount(self, target: Path) -> None:
        """Already gone is fine."""
        mount.unmount(target)

    def remove(self, key: str) -> None:
        """Remove what was written, and let the layers below go; already gone is fine."""
        place = self._place(key)
        with self._lock:
            chains = _chains(place / "layers")
            # Renamed first: what a crash leaves of it must not be taken for a whole one.
            grave = self._images.scratch()
            try:
                place.rename(grave / "container")
            except FileNotFoundError:
                chains = None  # already gone
        tree.remove(grave)
        if chains is not None:
            self._images.release(chains)

    def upper(self, key: str) -> Path | None:
        """The directory with what the container wrote; None if there is none."""
        place = self._place(key) / "upper"
        return place if place.is_dir() else None

    def usage(self, key: str) -> tuple[int, int]:
        """Bytes on disk and inodes of what the container wrote; (0, 0) if there is none. It walks: ask seldom."""
        return tree.measure(self._place(key) / "upper")

    def _place(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise Invalid("cannot be a layer's key", to=repr(key), hint="use letters, digits, '_', '.' and '-'")
        return self._root / key

    def _lower(self, chains: tuple[Digest, ...]) -> list[str]:
        """The layers to show, top first, as far down as they can be seen: relative to where all of them are."""
        shown = []
        for chain in reversed(chains):
            shown.append(f"{chain.removeprefix('sha256:')}/fs")
            if layer.is_opaque(self._images.layer_path(chain)):
                break
        return shown


def _chains(path: Path) -> tuple[Digest, ...] | None:
    """The layers that a container stands on; None where that was never written, or not whole."""
    lines = (files.read_optional(path) or b"").decode("ascii", "replace").split()
    try:
        return tuple(parse_digest(line, at=str(path)) for line in lines) or None
    except Invalid:
        return None
