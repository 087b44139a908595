"""Folders of counters go with their processes, and at the latest when the next ones begin."""

import fcntl
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from groundplane.pki.operators.counters import counting

KILLED = """import os, signal
from groundplane.pki.operators.counters import counting
with counting() as folder:
    (folder / "counter_1.db").write_bytes(b"x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "before")
    return tmp_path


def test_a_folder_goes_with_its_block(place: Path) -> None:
    with counting() as folder:
        assert Path(os.environ["PROMETHEUS_MULTIPROC_DIR"]) == folder
        assert (folder.parent, folder.stat().st_mode & 0o777) == (place, 0o700)
    assert list(place.iterdir()) == []


def test_what_a_killed_one_left_goes_when_the_next_begins_and_nothing_else(place: Path) -> None:
    for name in ("groundplane-pki-other", "groundplane-pki-odd"):
        (place / name).mkdir()
    (place / "groundplane-pki-odd" / "lock").symlink_to("/etc/passwd")
    done = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ}, check=False, timeout=30)
    assert done.returncode == -9
    (left,) = (path.parent for path in place.glob("*/counter_1.db"))
    with counting() as first, counting() as second:
        assert not left.exists()
        assert first.exists()
        assert second.exists()
        with (first / "lock").open() as lock, pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert sorted(path.name for path in place.iterdir()) == ["groundplane-pki-odd", "groundplane-pki-other"]
