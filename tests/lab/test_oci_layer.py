"""Layers on a real file system, held to umoci and to tar; no archive, however made, writes outside or crashes."""

import gzip
import io
import os
import random
import stat
import subprocess
import tarfile
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundplane.errors import GroundplaneError, Invalid, Unimplemented
from groundplane.oci import layer
from groundplane.oci.model import digest_of
from groundplane.system import process, tree
from tests.unit.oci.samples import DIRECTORY, LINK, SYMLINK, Entry, directory, tar

pytestmark = pytest.mark.lab


def unpack(data: bytes, root: Path, *, expected: bytes | None = None) -> tuple[str, int, int]:
    root.mkdir(exist_ok=True)
    wanted = None if expected is None else digest_of(expected)
    return layer.unpack(io.BytesIO(data), root, expected=wanted, at="test")


def outside(base: Path) -> dict[str, str]:
    """Everything but what is below the layer's own root."""
    found = {}
    for path in sorted(base.rglob("*")):
        if path != base / "root" and base / "root" not in path.parents:
            found[str(path)] = f"{path.lstat().st_mode:o} {path.lstat().st_nlink} {path.read_bytes()!r}"
    return found


HOSTILE = {
    "dots": [Entry(name="../escaped", data=b"x")],
    "dots within": [Entry(name="a/../../escaped", data=b"x")],
    "absolute": [Entry(name="/escaped", data=b"x")],
    "absolute link": [Entry(name="a", kind=SYMLINK, link="{base}"), Entry(name="a/escaped", data=b"x")],
    "relative link": [Entry(name="a", kind=SYMLINK, link="../"), Entry(name="a/victim", data=b"x")],
    "chain of links": [
        Entry(name="a", kind=SYMLINK, link=".."),
        Entry(name="b", kind=SYMLINK, link="a/.."),
        Entry(name="b/escaped", data=b"x"),
    ],
    "through a link to a file": [
        Entry(name="a", kind=SYMLINK, link="{base}/victim"),
        Entry(name="a", data=b"overwritten"),
    ],
    "hard link out": [Entry(name="a", kind=LINK, link="../victim"), Entry(name="a", data=b"x")],
    "hard link absolute": [Entry(name="a", kind=LINK, link="{base}/victim")],
    "hard link through a link": [
        Entry(name="a", kind=SYMLINK, link="{base}"),
        Entry(name="b", kind=LINK, link="a/victim"),
    ],
    "hard link to a link": [
        Entry(name="a", kind=SYMLINK, link="{base}/victim"),
        Entry(name="b", kind=LINK, link="a"),
        Entry(name="b", data=b"x", mode=0o777),
    ],
    "whiteout of parent": [Entry(name=".wh...")],
    "whiteout of itself": [Entry(name=".wh..")],
    "whiteout of nothing": [Entry(name="d/.wh.")],
    "whiteout through a link": [Entry(name="a", kind=SYMLINK, link="{base}"), Entry(name="a/.wh.victim")],
    "opaque through a link": [Entry(name="a", kind=SYMLINK, link="{base}"), Entry(name="a/.wh..wh..opq")],
    "link to itself": [Entry(name="a", kind=SYMLINK, link="a"), Entry(name="a/b", data=b"x")],
    "a file as a directory": [Entry(name="a", data=b"x"), Entry(name="a/b", data=b"x")],
    "infinite time": [Entry(name="a", pax={"mtime": "inf"})],
    "an owner beyond numbers": [Entry(name="a", pax={"uid": str(1 << 70)})],
    "marks of overlayfs": [Entry(name="a", pax={"SCHILY.xattr.trusted.overlay.redirect": "/etc"})],
}


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_hostile_reaches_outside_of_the_layer(case: str, tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"untouched")
    (tmp_path / "root").mkdir()
    before = outside(tmp_path)
    entries = [
        Entry(name=e.name, kind=e.kind, link=e.link.replace("{base}", str(tmp_path)), data=e.data, pax=e.pax)
        for e in HOSTILE[case]
    ]
    try:
        unpack(tar(entries), tmp_path / "root")
    except Invalid:
        pass  # refused, which is one of the two right answers; the other is to stay inside
    assert outside(tmp_path) == before
    for path in (tmp_path / "root").rglob("*"):
        marks = os.listxattr(path, follow_symlinks=False)
        assert "trusted.overlay.redirect" not in marks


names = st.sampled_from(
    ["a", "b", "a/b", "a/b/c", "b/a", "a/.wh.b", ".wh.a", "a/.wh..wh..opq", "a/../../v", "../v", "/v", ".wh...", "."]
)
links = st.sampled_from(["..", "/", "a", "b/..", "../v", "a/b", "{base}", "/v", "."])
kinds = st.sampled_from([tarfile.REGTYPE, tarfile.REGTYPE, DIRECTORY, DIRECTORY, SYMLINK, LINK, tarfile.FIFOTYPE])
hostile = st.builds(lambda name, kind, link: Entry(name=name, kind=kind, link=link), names, kinds, links)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(st.lists(hostile, max_size=8))
def test_no_combination_of_entries_reaches_outside_and_all_that_is_there_is_counted(
    tmp_path: Path, drawn: list[Entry]
) -> None:
    base = Path(tempfile.mkdtemp(dir=tmp_path))
    (base / "v").write_bytes(b"untouched")
    before = outside(base)
    entries = [replace(entry, link=entry.link.replace("{base}", str(base))) for entry in drawn]
    try:
        _, _, inodes = unpack(tar(entries), base / "root")
    except Invalid:
        pass  # refused whole
    else:
        assert inodes == tree.measure(base / "root")[1] - 1
    assert outside(base) == before


def test_no_damage_to_an_archive_raises_anything_but_our_errors(tmp_path: Path) -> None:
    good = tar(
        [
            directory("d"),
            Entry(name="d/" + "long" * 60, data=b"x" * 700),
            Entry(name="l", kind=SYMLINK, link="d"),
            Entry(name="x", data=b"1", pax={"SCHILY.xattr.user.a": "b", "mtime": "12.5"}),
            Entry(name="s", data=b"1", pax={"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}),
            Entry(name="d/.wh.gone"),
        ]
    )
    chance = random.Random(7)  # the same damage each time
    for turn in range(300):
        bad = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            bad[chance.randrange(len(bad))] = chance.choice((0, 0x30, 0x37, 0x80, 0xFF, chance.randrange(256)))
        if turn % 3 == 0:
            del bad[chance.randrange(len(bad)) :]
        data = gzip.compress(bytes(bad), 1)[: None if turn % 5 else -9] if turn % 2 else bytes(bad)
        try:
            unpack(data, tmp_path / f"root{turn}", expected=good)
        except GroundplaneError:
            pass  # named, as it must be


def test_a_broken_header_in_the_middle_does_not_end_an_archive_quietly(tmp_path: Path) -> None:
    first = tar([Entry(name="a", data=b"x")])[:1024]
    with pytest.raises(Invalid, match="damaged"):
        unpack(first + b"\xff" * 1024 + tar([Entry(name="b")]), tmp_path / "root")


def test_headers_that_announce_headers_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 1
    one = member.tobuf(tarfile.GNU_FORMAT) + b"a".ljust(512, b"\0")
    with pytest.raises(Invalid, match="damaged"):
        unpack(one * 3000 + tar([Entry(name="a")]), tmp_path / "root")


def test_content_that_is_not_what_the_image_says_is_refused_even_behind_the_end(tmp_path: Path) -> None:
    good = tar([Entry(name="a", data=b"x")])
    unpack(good, tmp_path / "good", expected=good)
    with pytest.raises(Invalid, match="image says"):
        unpack(good + b"\0" * 512, tmp_path / "bad", expected=good)


def test_gzip_of_several_members_is_one_layer_and_zstd_is_named_as_not_built(tmp_path: Path) -> None:
    data = tar([Entry(name="a", data=b"x" * 5000)])
    unpack(gzip.compress(data[:700]) + gzip.compress(data[700:]), tmp_path / "root", expected=data)
    assert (tmp_path / "root/a").read_bytes() == b"x" * 5000
    with pytest.raises(Unimplemented, match="zstd"):
        unpack(b"\x28\xb5\x2f\xfd" + bytes(100), tmp_path / "other")


def test_whiteouts_become_those_of_overlayfs(tmp_path: Path) -> None:
    root = tmp_path / "root"
    entries = [
        Entry(name="d/.wh.gone"),
        Entry(name="o/first"),
        Entry(name="o/.wh..wh..opq"),
        Entry(name="o/last"),
        Entry(name=".wh.again"),
        Entry(name="again/new"),
        Entry(name=".wh.file"),
        Entry(name="file", data=b"new"),
        Entry(name=".wh..wh.plnk"),
    ]
    unpack(tar(entries), root)
    gone = (root / "d/gone").lstat()
    assert (stat.S_ISCHR(gone.st_mode), gone.st_rdev) == (True, 0)
    assert os.getxattr(root / "o", layer.OPAQUE_ATTRIBUTE) == b"y"
    assert {path.name for path in (root / "o").iterdir()} == {"first", "last"}
    # A directory that a layer both hides and has is new: what was in it below must not show through.
    assert os.getxattr(root / "again", layer.OPAQUE_ATTRIBUTE) == b"y"
    assert (root / "file").read_bytes() == b"new"
    assert not (root / ".wh..wh.plnk").exists()
    assert not layer.is_opaque(root)


def test_the_last_entry_of_a_name_wins_whatever_it_replaces(tmp_path: Path) -> None:
    root = tmp_path / "root"
    entries = [
        directory("a"),
        Entry(name="a/in", data=b"1"),
        Entry(name="a/.wh.low"),
        Entry(name="a", data=b"file"),
        Entry(name="b", data=b"file"),
        directory("b", mode=0o700),
        Entry(name="c", data=b"one"),
        Entry(name="c", data=b"two"),
    ]
    _, octets, inodes = unpack(tar(entries), root)
    assert (root / "a").read_bytes() == b"file"
    assert stat.S_IMODE((root / "b").stat().st_mode) == 0o700
    assert (root / "c").read_bytes() == b"two"
    assert (octets, inodes) == (1 + 4 + 4 + 3 + 3, 3)


def test_modes_owners_times_and_attributes_are_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "d/e").mkdir(parents=True)
    (source / "d/su").write_bytes(b"program")
    os.chown(source / "d/su", 12, 34)
    (source / "d/su").chmod(0o4755)
    os.setxattr(source / "d/su", "user.note", b"a\0b\xff")
    capability = bytes.fromhex("0100000200040000000000000000000000000000")
    os.setxattr(source / "d/su", "security.capability", capability)
    (source / "hard").hardlink_to(source / "d/su")
    (source / "soft").symlink_to("/nowhere/at all")
    os.lchown(source / "soft", 5, 6)
    os.mkfifo(source / "pipe", 0o640)
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (source / ("n" * 200)).write_bytes(b"long")
    (source / "ünïcode").write_bytes(b"")
    with (source / "holes").open("wb") as out:
        for at in (0, 1 << 22, 5 << 22):
            out.seek(at)
            out.write(b"data" * 2048)
        out.truncate(1 << 30)
    os.utime(source / "soft", (1, 2), follow_symlinks=False)
    for path in (source / "d/e", source / "d/su", source / "d", source / "null", source):
        os.utime(path, (1_000_000, 1_000_000))
    for form in ("posix", "gnu"):
        archive = process.run_now(
            ["tar", "-C", str(source), "--sparse", f"--format={form}", "--xattrs", "--xattrs-include=*", "-c", "."]
            if form == "posix"
            else ["tar", "-C", str(source), "--sparse", f"--format={form}", "-c", "."],
            within=timedelta(seconds=30),
        ).stdout
        assert len(archive) < 1 << 20
        root = tmp_path / form
        unpack(archive, root, expected=archive)
        seen = {str(path.relative_to(root)): path.lstat() for path in root.rglob("*")}
        wanted = {str(path.relative_to(source)): path.lstat() for path in source.rglob("*")}
        assert seen.keys() == wanted.keys()
        for name, want in wanted.items():
            have = seen[name]
            same = ("st_mode", "st_uid", "st_gid", "st_nlink", "st_rdev")
            assert [getattr(have, one) for one in same] == [getattr(want, one) for one in same], name
            assert int(have.st_mtime) == int(want.st_mtime), name
            if not stat.S_ISDIR(have.st_mode):
                assert have.st_size == want.st_size, name
        assert (root / "soft").readlink() == Path("/nowhere/at all")
        assert (root / "holes").stat().st_blocks < 1000
        for at in (0, 1 << 22, 5 << 22):
            with (root / "holes").open("rb") as holes:
                holes.seek(at)
                assert holes.read(8192) == b"data" * 2048
        if form == "posix":
            assert os.getxattr(root / "hard", "user.note") == b"a\0b\xff"
            assert os.getxattr(root / "hard", "security.capability") == capability


def test_a_small_archive_that_claims_an_exabyte_takes_no_space(tmp_path: Path) -> None:
    member = tarfile.TarInfo("huge")
    member.size = 512
    member.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,512",
        "GNU.sparse.size": str(1 << 62),
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(member, io.BytesIO(bytes(512)))
    try:
        unpack(out.getvalue(), tmp_path / "root")
    except Invalid:
        return  # ext4 has no file of that size; tmpfs has
    assert (tmp_path / "root/huge").stat().st_blocks <= 8


def test_what_umoci_unpacks_overlayfs_shows_too(tmp_path: Path) -> None:
    from groundplane.oci import Images, Snapshots
    from tests.unit.oci.samples import layout

    layers = [
        tar([directory("d"), Entry(name="d/low", data=b"1"), Entry(name="o/x"), Entry(name="r/x"), Entry(name="f")]),
        tar(
            [
                Entry(name="d/.wh.low"),
                Entry(name="o/y"),
                Entry(name="o/.wh..wh..opq"),
                Entry(name=".wh.r"),
                Entry(name="r/new", data=b"2"),
                Entry(name=".wh.f"),
                Entry(name="s", kind=SYMLINK, link="d"),
            ]
        ),
        tar([Entry(name="d/top", data=b"3"), Entry(name="t", mode=0o4711)]),
    ]
    source = tmp_path / "layout"
    for name, data in layout(layers, name="v1").items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(data)
    subprocess.run(["umoci", "raw", "unpack", "--image", f"{source}:v1", tmp_path / "peer"], check=True)
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    snapshots.prepare("k", images.import_archive(source, name="registry.test/a:1"))
    ours = tmp_path / "ours"
    ours.mkdir()
    snapshots.mount("k", ours)
    try:

        def listing(root: Path) -> dict[str, tuple[object, ...]]:
            return {
                str(path.relative_to(root)): (oct(path.lstat().st_mode), path.is_file() and path.read_bytes())
                for path in root.rglob("*")
            }

        assert listing(ours) == listing(tmp_path / "peer")
        assert "r/x" not in listing(ours)
    finally:
        snapshots.unmount(ours)
