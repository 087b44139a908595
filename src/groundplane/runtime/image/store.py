"""The oci package behind the runtime's ports: its images in the runtime's words, its snapshots as layers by key."""

from pathlib import Path

from groundplane import oci
from groundplane.runtime.model import Image, ImageConfig


def _image(found: oci.Image) -> Image:
    config = found.config
    return Image(
        id=found.id,
        tags=found.repo_tags,
        digests=found.repo_digests,
        size_bytes=found.size_bytes,
        config=ImageConfig(
            user=config.user,
            env=config.env,
            entrypoint=config.entrypoint,
            cmd=config.cmd,
            working_dir=config.working_dir,
            volumes=config.volumes,
            stop_signal=config.stop_signal,
        ),
    )


class OCIImages:
    """Images under one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = oci.Images(root)

    def resolve(self, reference: str) -> Image:
        """By id, unique prefix of it, tag or digest. Raises NotFound."""
        return _image(self.images.resolve(reference))

    def list(self) -> list[Image]:
        """One entry per image."""
        return [_image(found) for found in self.images.list()]

    def remove(self, reference: str) -> None:
        """The image and all its names; unknown is fine. Layers that a container stands on stay until it has gone."""
        self.images.remove(reference)

    def import_archive(self, path: Path, reference: str) -> Image:
        """Take in an archive or a directory in OCI layout, under `reference` or the names that it holds."""
        return _image(self.images.import_archive(path, name=reference))

    def usage(self) -> tuple[int, int]:
        """Bytes and inodes."""
        return self.images.usage()


class OCILayers:
    """Containers' root file systems, on those images."""

    def __init__(self, images: OCIImages) -> None:
        self._images = images.images
        self._snapshots = oci.Snapshots(images.images)

    def mount(self, key: str, image: str, target: Path) -> None:
        """Make the layer `key` on top of `image` if there is none, and show it at `target`."""
        self._snapshots.prepare(key, self._images.resolve(image))
        self._snapshots.mount(key, target)

    def unmount(self, target: Path) -> None:
        """Already gone is fine."""
        self._snapshots.unmount(target)

    def remove(self, key: str) -> None:
        """Already gone is fine."""
        self._snapshots.remove(key)

    def upper(self, key: str) -> Path | None:
        """The directory that holds what the container wrote."""
        return self._snapshots.upper(key)
