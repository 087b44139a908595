"""What the runtime needs of images, layers and the network: the shape only, so that tests can stand in for each."""

from pathlib import Path
from typing import Protocol

from groundplane.runtime.model import Image, SandboxID, SandboxSpec


class ImageStore(Protocol):
    """Images on this host. All of it blocks, and is called on a worker thread."""

    def resolve(self, reference: str) -> Image:
        """By id, unique prefix of it, tag or digest. Raises NotFound."""

    def list(self) -> list[Image]:
        """One entry per image."""

    def remove(self, reference: str) -> None:
        """The image and all its names; unknown is fine."""

    def import_archive(self, path: Path, reference: str) -> Image:
        """Take in an OCI or Docker archive, or a directory in OCI layout."""

    def usage(self) -> tuple[int, int]:
        """Bytes and inodes."""

    @property
    def root(self) -> Path:
        """Where it keeps them."""


class Layers(Protocol):
    """Writable root file systems made of an image's layers. All of it blocks, and is called on a worker thread."""

    def mount(self, key: str, image: str, target: Path) -> None:
        """Make the layer `key` on top of `image` if there is none, and show it at `target`."""

    def unmount(self, target: Path) -> None:
        """Already gone is fine."""

    def remove(self, key: str) -> None:
        """Already gone is fine."""

    def upper(self, key: str) -> Path | None:
        """The directory that holds what the container wrote."""


class Network(Protocol):
    """The pod network."""

    def ready(self) -> tuple[bool, str]:
        """Whether pods can be attached, and if not, why."""

    async def attach(self, sandbox: SandboxID, spec: SandboxSpec, netns: Path) -> tuple[tuple[str, ...], str]:
        """The pod's addresses, the first one first, and the result as JSON."""

    async def detach(self, sandbox: SandboxID, spec: SandboxSpec, netns: Path | None) -> None:
        """Let go of everything; `netns` None if it is gone. What is already gone is fine."""
