"""Save a member's database to a file that is either whole and verified, or not there.

The stream ends with the SHA-256 of what came before it; the file keeps it, as `etcdctl snapshot restore` wants it.
"""

import asyncio
import hashlib
import os
import tempfile
from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from groundplane.errors import Failed
from groundplane.system import files

if TYPE_CHECKING:
    from groundplane.etcd.client import Client

_DIGEST = hashlib.sha256().digest_size
_PAGE = 512  # bbolt's files are multiples of this


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A snapshot's file, its size in octets with the trailing digest, and the digest of the rest."""

    path: Path
    size: int
    sha256: str


async def save(client: "Client", endpoint: str, path: Path, *, within: timedelta = timedelta(minutes=5)) -> Saved:
    """Write the database of the member at `endpoint` to `path` (0600: it holds every secret), over what is there."""
    fd, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(fd, "wb") as out:
            os.fchmod(fd, files.PRIVATE)
            size, sha256 = await _receive(client, endpoint, out, within)
            out.flush()
            await asyncio.to_thread(os.fsync, fd)
        await asyncio.to_thread(os.replace, name, path)
    except BaseException:
        with files.open_missing_ok():
            os.unlink(name)  # noqa: PTH108 - of a moment, and it must not wait for a thread while being cancelled
        raise
    files.sync_directory(path.parent)
    return Saved(path=path, size=size, sha256=sha256)


async def _receive(client: "Client", endpoint: str, out: BinaryIO, within: timedelta) -> tuple[int, str]:
    """Write every piece; the size of all, and the digest once it has been found true."""
    digest, held, size = hashlib.sha256(), deque[bytes](), 0
    async for piece in client.snapshot(endpoint, within=within):
        held.append(piece)
        size += len(piece)
        await asyncio.to_thread(out.write, piece)
        # The last 32 octets are the digest, and may come in a piece of their own: keep that many back.
        while sum(map(len, held)) - len(held[0]) >= _DIGEST:
            digest.update(held.popleft())
    tail = b"".join(held)
    digest.update(tail[:-_DIGEST])
    if size % _PAGE != _DIGEST or digest.digest() != tail[-_DIGEST:]:
        raise Failed("the snapshot's digest does not match its content", to=endpoint, hint="take it again")
    return size, digest.hexdigest()
