from pathlib import Path

import pytest

from groundplane.errors import Invalid, NotFound
from groundplane.oci.archive import Found, look, open_tree
from groundplane.oci.model import digest_of
from tests.unit.oci import samples
from tests.unit.oci.samples import Entry, tar

LAYER = tar([Entry(name="a", data=b"x")])


def found(path: Path) -> Found:
    with open_tree(path) as tree:
        return look(tree, source="test")


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_one_image_is_the_same_in_every_kind_of_archive(tmp_path: Path) -> None:
    layout = samples.layout([LAYER], name="x:1")
    (tmp_path / "layout.tar").write_bytes(samples.packed(layout))
    (tmp_path / "saved.tar").write_bytes(samples.saved([LAYER]))
    seen = [found(one) for one in (lay(tmp_path / "layout", layout), tmp_path / "layout.tar", tmp_path / "saved.tar")]
    assert {one.id for one in seen} == {digest_of(samples.config([digest_of(LAYER)]))}
    assert {one.names for one in seen} == {("x:1",)}


@pytest.mark.parametrize("outside", ["/etc/hostname", "../secret", "link"])
def test_no_document_is_read_from_outside_of_a_directory(outside: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "link").symlink_to(tmp_path / "secret")
    with open_tree(tree) as opened:
        assert opened.open(outside) is None


def test_a_blob_that_is_not_what_its_name_says_is_refused(tmp_path: Path) -> None:
    layout = samples.layout([LAYER])
    config = "blobs/sha256/" + digest_of(samples.config([digest_of(LAYER)])).removeprefix("sha256:")
    with pytest.raises(Invalid, match="not what its name says"):
        found(lay(tmp_path / "a", {**layout, config: b"{}"}))
    del layout[config]
    with pytest.raises(Invalid, match="lacks the blob"):
        found(lay(tmp_path / "b", layout))


def test_an_artifact_is_no_image(tmp_path: Path) -> None:
    layout = samples.layout([LAYER], kind="application/vnd.example.model")
    with pytest.raises(Invalid, match="no image to run"):
        found(lay(tmp_path, layout))


@pytest.mark.parametrize("data", [b"", b"text", b"\x1f\x8b", b"\x1f\x8b" + bytes(50), bytes(10240)])
def test_what_is_no_archive_is_invalid(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(Invalid):
        found(tmp_path / "file")


@pytest.mark.parametrize("kept", [100, 600, 1500, 3000])
def test_a_truncated_archive_is_invalid(kept: int, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(samples.saved([LAYER])[:kept])
    with pytest.raises(Invalid):
        found(tmp_path / "file")


def test_an_archive_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        found(tmp_path / "nothing")
