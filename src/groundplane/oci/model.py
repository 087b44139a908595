"""An image as it is once unpacked: what it is called, what it runs, which layers it stands on."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NewType

from groundplane.errors import Invalid

Digest = NewType("Digest", str)
"""`sha256:` and 64 lower-case hex digits: safe as a file's name and in the options of a mount."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """What the image says of its process (OCI image-spec, config.md); `diff_ids` name layers as tars, bottom first."""

    user: str = ""
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    working_dir: str = ""
    stop_signal: str = ""
    volumes: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    exposed_ports: tuple[str, ...] = ()
    diff_ids: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One image. `id` is its config's digest; `size_bytes` what its layers take on disk, unpacked."""

    id: Digest
    config: ImageConfig
    size_bytes: int
    inodes: int = 0
    repo_tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    pinned: bool = False
    created: str = ""  # RFC 3339, as the config says it; empty where it does not

    @property
    def chain_ids(self) -> tuple[Digest, ...]:
        """The names of its layers in the store, bottom first."""
        return chain_ids(self.config.diff_ids)


def digest_of(data: bytes) -> Digest:
    """The sha256 digest."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def parse_digest(text: str, *, at: str) -> Digest:
    """The digest that `text` is. Raises Invalid: it becomes a path and part of a mount, so nothing else may pass."""
    if not _DIGEST.fullmatch(text):
        hint = "write sha256: and 64 hex digits"
        raise Invalid(f"names the digest {text[:80]!r}, which is not one", to=at, hint=hint)
    return Digest(text)


def chain_ids(diff_ids: Iterable[Digest]) -> tuple[Digest, ...]:
    """OCI image-spec, config.md, "Layer ChainID": equal stacks of layers have equal names."""
    found: list[Digest] = []
    for diff_id in diff_ids:
        found.append(digest_of(f"{found[-1]} {diff_id}".encode()) if found else diff_id)
    return tuple(found)
