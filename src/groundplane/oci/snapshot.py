"""Root file systems of containers: an image's layers below, a directory of its own on top, shown as one by overlayfs.

root/containers/<key>/upper, work     what the container writes
root/containers/<key>/layers          the chain ids it stands on, so that they are kept after a restart
"""

import os
import shutil
import threading
from pathlib import Path

from groundplane.errors import Exhausted, Invalid
from groundplane.oci.model import Digest, Image
from groundplane.oci.store import Images
from groundplane.system import files, mount, netns

_PAGE = 4000  # mount(2) takes one page of options
_CLONE_FS = 0x200


class Snapshots:
    """Writable layers by key."""

    def __init__(self, images: Images) -> None:
        self._images = images
        self._root = images.root / "containers"
        files.ensure_directory(self._root, mode=0o711)
        for entry in self._root.iterdir():
            data = files.read_optional(entry / "layers")
            if data is None:
                shutil.rmtree(entry)  # its making was cut short: nobody has been told of it
            else:
                self._images.hold_layers(_chains(data))

    def prepare(self, key: str, image: Image) -> None:
        """Make the writable layer `key` on top of `image`, unless it is there."""
        place = self._place(key)
        if (place / "layers").exists():
            return
        held = self._images.hold(image.id)
        for name in ("upper", "work"):
            (place / name).mkdir(parents=True, exist_ok=True)
        place.chmod(0o711)
        (place / "upper").chmod(0o755)
        files.replace(place / "layers", "\n".join(held.chain_ids).encode(), durable=False)

    def mount(self, key: str, target: Path) -> None:
        """Show the root file system of `key` at `target`, an existing directory."""
        place = self._place(key)
        chains = _chains((place / "layers").read_bytes())
        lower = self._lower(chains)
        options = f"lowerdir={lower},upperdir={place / 'upper'},workdir={place / 'work'},index=off"
        self._overlay(target, options, key)

    def view(self, image: Image, target: Path) -> None:
        """Show an image read-only at `target`."""
        chains = image.chain_ids
        if len(chains) == 1:
            mount.bind(self._images.layer_path(chains[0]), target, read_only=True)
        else:
            self._overlay(target, f"lowerdir={self._lower(chains)}", str(target))

    def unmount(self, target: Path) -> None:
        """Already gone is fine."""
        mount.unmount(target)

    def remove(self, key: str) -> None:
        """Remove what was written, and let the layers below go; already gone is fine."""
        place = self._place(key)
        data = files.read_optional(place / "layers")
        if place.exists():
            shutil.rmtree(place)
        if data is not None:
            self._images.release(_chains(data))

    def upper(self, key: str) -> Path | None:
        """The directory with what the container wrote; None if there is none."""
        place = self._place(key) / "upper"
        return place if place.is_dir() else None

    def _place(self, key: str) -> Path:
        if not key or "/" in key or key.startswith("."):
            raise Invalid("cannot be a layer's key", to=repr(key))
        return self._root / key

    def _lower(self, chains: tuple[Digest, ...]) -> str:
        """Paths relative to the layers' directory: up to some fifty layers then fit into one page."""
        return ":".join(f"{chain.removeprefix('sha256:')}/fs" for chain in reversed(chains))

    def _overlay(self, target: Path, options: str, key: str) -> None:
        if len(options) > _PAGE:
            raise Exhausted("has more layers than one mount takes", to=key, hint="squash the image")
        errors: list[mount.MountFailed] = []

        def inside() -> None:
            # The paths are relative; after unshare(CLONE_FS) a thread has a working directory of its own.
            try:
                netns.unshare(_CLONE_FS)
                os.chdir(self._images.root / "layers")
                mount.mount("overlay", target, "overlay", 0, options)
            except mount.MountFailed as failed:
                errors.append(failed)

        thread = threading.Thread(target=inside, name=f"overlay:{key[:8]}")
        thread.start()
        thread.join()
        if errors:
            raise errors[0]


def _chains(data: bytes) -> tuple[Digest, ...]:
    return tuple(Digest(line) for line in data.decode().split())
