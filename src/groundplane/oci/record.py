"""The document that the store keeps of an image: its config as it came, and what the store knows besides."""

import json
from pathlib import Path

from groundplane.errors import Invalid
from groundplane.oci.manifest import created, parse_config
from groundplane.oci.model import Digest, Image, digest_of


def dump(image: Image, config: bytes) -> bytes:
    """What to write; `config` are the bytes that the image's id is the digest of."""
    record = {
        "id": image.id,
        "config": config.decode(),
        "size": image.size_bytes,
        "inodes": image.inodes,
        "tags": list(image.repo_tags),
        "digests": list(image.repo_digests),
    }
    return json.dumps(record).encode()


def load(path: Path) -> tuple[Image, bytes] | None:
    """An image and its config's bytes; None for a document that is damaged: it is imported again, not run."""
    try:
        record = json.loads(path.read_bytes())
        config = record["config"].encode()
        image = Image(
            id=Digest(record["id"]),
            config=parse_config(config, source=str(path)),
            created=created(config, source=str(path)),
            size_bytes=int(record["size"]),
            inodes=int(record["inodes"]),
            repo_tags=tuple(record["tags"]),
            repo_digests=tuple(record["digests"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, Invalid):
        return None
    return (image, config) if digest_of(config) == image.id else None
