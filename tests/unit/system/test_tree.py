"""Trees that would break a walk: deeper than Python recurses and than a path may be long."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.system import tree

DEEP = 3000  # of names of six characters: 18 000 characters, where 4096 are a path's most


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def dig(top: Path, depth: int, *, name: str = "deeper") -> None:
    """Directories in directories, a file in the last."""
    at = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=at))
    os.close(at)


def test_a_tree_of_any_depth_is_measured_and_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    dig(top, DEEP)
    dig(top, 5, name="beside")
    before = open_descriptors()
    assert tree.measure(top)[1] == 1 + DEEP + 1 + 5 + 1
    tree.remove(top)
    assert not top.exists()
    assert open_descriptors() == before


def test_what_is_not_there_is_removed_and_measures_nothing(tmp_path: Path) -> None:
    tree.remove(tmp_path / "nothing")
    assert tree.measure(tmp_path / "nothing") == (0, 0)


def test_links_lead_nowhere(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_bytes(b"x" * 100_000)
    top = tmp_path / "top"
    top.mkdir()
    (top / "link").symlink_to(tmp_path / "kept")
    assert tree.measure(top)[1] == 2
    tree.remove(top)
    assert (tmp_path / "kept/file").exists()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for refused in (tree.remove, tree.measure):
        with pytest.raises(NotADirectoryError):
            refused(tmp_path / "link")
    assert (tmp_path / "kept/file").exists()


def test_a_file_of_several_names_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 100_000)
    once = tree.measure(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d/b").hardlink_to(tmp_path / "a")
    octets, inodes = tree.measure(tmp_path)
    assert inodes == once[1] + 1
    assert octets == once[0] + (tmp_path / "d").stat().st_blocks * 512


def test_a_directory_moved_while_it_is_looked_at_leads_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        (tmp_path / f"beside{number}").mkdir()
    top = tmp_path / "top"
    (top / "a/b").mkdir(parents=True)
    scan = os.scandir

    def moving(folder: int) -> object:
        if (top / "a/b").exists() and os.path.samestat(os.fstat(folder), (top / "a/b").stat()):
            (top / "a/b").rename(top / "b")
            (top / "a").rename(tmp_path / "away")
        return scan(folder)

    monkeypatch.setattr(os, "scandir", moving)
    assert tree.measure(top)[1] == 3


shapes = st.recursive(
    st.binary(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(["a", "b", "c", "-1"]), inner, max_size=3),
    max_leaves=8,
)


def build(at: Path, shape: bytes | dict[str, object]) -> int:
    """How many inodes."""
    if isinstance(shape, bytes):
        at.write_bytes(shape)
        return 1
    at.mkdir()
    return 1 + sum(build(at / name, inner) for name, inner in shape.items())  # type: ignore[misc,arg-type] # as drawn


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), shapes, max_size=3))
def test_every_shape_of_tree_is_counted_and_gone(tmp_path: Path, shape: dict[str, object]) -> None:
    made = build(tmp_path / "top", shape)
    assert tree.measure(tmp_path / "top")[1] == made
    tree.remove(tmp_path / "top")
    assert list(tmp_path.iterdir()) == []
