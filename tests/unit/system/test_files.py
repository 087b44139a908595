"""Files that appear whole or not at all, several of one thing together, and one writer at a time."""

import threading
import time
from pathlib import Path

import pytest

from groundplane.system import files


def test_a_draft_has_no_name_until_it_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "x"
    draft = files.Draft(path, b"new", mode=0o600)
    assert not path.exists()
    path.write_bytes(b"old")
    with pytest.raises(FileExistsError) as taken:
        draft.place_new()
    assert taken.value.filename == str(path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]
    files.Draft(path, b"new", mode=0o600).place()
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_named_and_leaves_no_draft(tmp_path: Path) -> None:
    for path in (tmp_path / "no" / "x", tmp_path):
        with pytest.raises(OSError, match="directory") as refused:
            files.replace(path, b"")
        assert refused.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []
    assert not list(tmp_path.parent.glob(f".{tmp_path.name}.*"))


def test_one_process_at_a_time_in_a_directory(tmp_path: Path) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait()
        with files.one_at_a_time(tmp_path):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with files.one_at_a_time(tmp_path):
        inside.set()
        time.sleep(0.05)  # long enough for it to go wrong
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_of_several_none_is_written_where_one_stands(tmp_path: Path) -> None:
    them = [files.Wanted(tmp_path / name, name.encode(), 0o600) for name in ("a", "b", "c")]
    (tmp_path / "c").symlink_to("nowhere")
    with pytest.raises(FileExistsError) as taken:
        files.write_together(them, over=False)
    assert taken.value.filename == str(tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["c"]
    files.write_together(them, over=True)
    assert {path.name: (path.read_bytes(), path.stat().st_mode & 0o777) for path in tmp_path.iterdir()} == {
        name: (name.encode(), 0o600) for name in ("a", "b", "c")
    }


def test_what_a_crash_left_of_drafts_is_found_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    draft = files.Draft(tmp_path / "deep" / "a.key", b"secret", mode=files.PRIVATE)
    for name in (".a.key.tmp", "a.key.abcdefgh.tmp", ".a.key.ABCDEFGH.tmp", ".a.key.abcdefg.tmp", "a.tmp"):
        (tmp_path / name).touch()
    (tmp_path / ".link.abcdefgh.tmp").symlink_to(tmp_path / "a.tmp")
    (tmp_path / ".folder.abcdefgh.tmp").mkdir()
    assert [path.name.startswith(".a.key.") for path in files.drafts(tmp_path)] == [True]
    draft.discard()
    assert list(files.drafts(tmp_path)) == []
