"""Where worker processes count together: files in a folder of their own, which nothing outlives.

A master that is killed cannot tidy up, so the next one does: each folder has a lock that its processes hold.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX, _LOCK = "groundplane-pki-", "lock"


@contextlib.contextmanager
def counting() -> Iterator[Path]:
    """As long as the block lasts `prometheus_client` counts in a new folder. Call it before it is imported."""
    parent = Path(tempfile.gettempdir())
    _tidy(parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    # Locked before it has its name: a lock that can be seen and is free was left behind.
    lock = os.open(folder / f"{_LOCK}.new", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    (folder / f"{_LOCK}.new").rename(folder / _LOCK)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _tidy(parent: Path) -> None:
    """Remove our own folders whose processes are gone."""
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        try:
            if lock.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue  # it went away in this moment
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
        except OSError:
            pass  # in use
        finally:
            os.close(descriptor)
