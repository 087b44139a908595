"""What commands read: a file or standard input, whole, and no more of it than can be meant."""

import sys
from pathlib import Path

from groundplane.errors import Exhausted, NotFound

MOST = 64 << 20  # the largest lists of revoked certificates have some tens of megabytes


def read(path: Path) -> bytes:
    """A file, or standard input for `-`. Raises NotFound, Exhausted for more than `MOST` bytes."""
    if str(path) == "-":
        data = sys.stdin.buffer.read(MOST + 1)
    else:
        try:
            with path.open("rb") as source:
                data = source.read(MOST + 1)
        except OSError as bad:
            raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
    if len(data) > MOST:
        raise Exhausted(f"it has more than {MOST >> 20} MiB", to=path, hint="is it the right file?")
    return data
