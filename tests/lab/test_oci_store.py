"""The store and its overlays on a real file system: every kind of archive, crashes, threads, hundreds of layers."""

import gzip
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from groundplane.errors import Exhausted, Invalid, NotFound
from groundplane.oci import Image, ImageConfig, Images, Snapshots, lab_image, layer
from groundplane.oci.model import digest_of
from groundplane.system import mount
from tests.unit.oci import samples
from tests.unit.oci.samples import Entry, directory, tar

pytestmark = pytest.mark.lab

LOW = tar([directory("d"), Entry(name="d/low", data=b"low"), Entry(name="both", data=b"low")])
HIGH = tar(
    [directory("d"), Entry(name="d/.wh.low"), Entry(name="d/high", data=b"high"), Entry(name="both", data=b"high")]
)
BUSYBOX = Path("/bin/busybox")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def put(images: Images, base: Path, *layers: bytes, name: str = "x:1") -> Image:
    return images.import_archive(write(base / "in.tar", samples.saved(layers)), name=name)


@contextmanager
def mounted(snapshots: Snapshots, key: str, target: Path) -> Iterator[Path]:
    target.mkdir(exist_ok=True)
    snapshots.mount(key, target)
    try:
        yield target
    finally:
        snapshots.unmount(target)


def test_every_kind_of_archive_gives_the_same_image_and_one_copy_of_its_layers(tmp_path: Path) -> None:
    plain = samples.layout([LOW, HIGH], name="registry.test/app:1")
    zipped = samples.layout([LOW, HIGH], stored=[gzip.compress(LOW), gzip.compress(HIGH)], name="registry.test/app:2")
    sources = [
        lay(tmp_path / "layout", plain),
        write(tmp_path / "layout.tar", samples.packed(plain)),
        write(tmp_path / "layout.tar.gz", gzip.compress(samples.packed(plain))),
        lay(tmp_path / "zipped", zipped),
        write(tmp_path / "saved.tar", samples.saved([LOW, HIGH])),
        write(
            tmp_path / "saved.tar.gz",
            gzip.compress(
                samples.saved([gzip.compress(LOW), gzip.compress(HIGH)], diff_ids=[digest_of(LOW), digest_of(HIGH)])
            ),
        ),
    ]
    images = Images(tmp_path / "store")
    found = {images.import_archive(source).id for source in sources}
    (image,) = images.list()
    assert found == {image.id}
    assert set(image.repo_tags) == {"registry.test/app:1", "registry.test/app:2", "docker.io/library/x:1"}
    assert len(names(tmp_path / "store/layers")) == 2
    assert images.usage() == (image.size_bytes, image.inodes) == (3 + 3 + 4 + 4, 7)
    assert not names(tmp_path / "store/tmp")


def test_an_image_that_skopeo_wrote_is_taken_in(tmp_path: Path) -> None:
    source = lay(tmp_path / "layout", samples.layout([LOW, HIGH], name="v1"))
    images = Images(tmp_path / "store")
    for kind in ("docker-archive", "oci-archive"):
        out = tmp_path / f"{kind}.tar"
        command = [
            "skopeo",
            "--insecure-policy",
            "copy",
            "-q",
            f"oci:{source}:v1",
            f"{kind}:{out}:registry.test/app:{kind}",
        ]
        subprocess.run(command, check=True, capture_output=True)
        image = images.import_archive(out)
        assert f"registry.test/app:{kind}" in image.repo_tags
        assert image.config.diff_ids == (digest_of(LOW), digest_of(HIGH))


def test_an_image_is_found_by_whatever_names_it_and_by_nothing_else(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    image = images.import_archive(lay(tmp_path / "layout", samples.layout([LOW])), name="cafe:1")
    plain = image.id.removeprefix("sha256:")
    assert len(image.repo_digests) == 1
    for reference in (
        image.id,
        plain,
        plain[:12],
        f"sha256:{plain[:5]}",
        "cafe:1",
        "docker.io/library/cafe:1",
        image.repo_digests[0],
    ):
        assert images.find(reference) == image
    for reference in ("cafe", "cafe:2", "0" * 64, "sha256:" + "0" * 64, plain[:2]):
        assert images.find(reference) is None
    with pytest.raises(Invalid):
        images.find("Not A Name")
    with pytest.raises(NotFound):
        images.resolve("nothing")


def test_a_name_belongs_to_one_image_and_all_names_go_with_theirs(tmp_path: Path) -> None:
    images = Images(tmp_path / "store", pinned=["infra:1"])
    first, second = put(images, tmp_path, LOW, name="a:1"), put(images, tmp_path, LOW, HIGH, name="b:1")
    images.tag(second.id, "a:1")
    assert (images.resolve(first.id).repo_tags, images.resolve("a:1").id) == ((), second.id)
    assert images.tag("b:1", "infra:1").pinned
    with pytest.raises(Invalid):
        images.tag("b:1", first.id.replace("sha256:", "a@sha256:"))
    assert Images(tmp_path / "store", pinned=["infra:1"]).list() == images.list()
    assert images.remove("a:1")
    assert [image.id for image in images.list()] == [first.id]
    assert not images.remove("a:1")
    assert not images.remove("f" * 64)
    assert len(names(tmp_path / "store/layers")) == 1


def test_nothing_is_left_of_an_import_that_fails(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    lie = samples.saved([LOW, HIGH], diff_ids=[digest_of(LOW), digest_of(b"other")])
    for data in (lie, samples.saved([LOW, HIGH])[:-9000], samples.saved([LOW], diff_ids=["/sys"])):
        with pytest.raises(Invalid):
            images.import_archive(write(tmp_path / "bad.tar", data))
        assert [names(tmp_path / "store" / one) for one in ("layers", "images", "tmp")] == [set(), set(), set()]


def test_half_made_things_are_gone_when_the_store_is_opened(tmp_path: Path) -> None:
    store = tmp_path / "store"
    images = Images(store)
    whole, broken = put(images, tmp_path, LOW, name="whole:1"), put(images, tmp_path, HIGH, name="broken:1")
    (images.layer_path(broken.chain_ids[0]).parent / "size").write_bytes(b"")  # as after a power cut
    (store / "tmp/half/fs").mkdir(parents=True)
    (store / f"images/{'1' * 64}.json").write_text("{")
    (store / f"layers/{'2' * 64}/fs").mkdir(parents=True)
    (store / f"layers/{'2' * 64}/size").write_text("1 1")  # whole, but its image was never recorded
    (store / "containers/half/upper").mkdir(parents=True)
    again = Images(store)
    Snapshots(again)
    assert again.list() == [whole]
    assert names(store / "layers") == {whole.chain_ids[0].removeprefix("sha256:")}
    assert names(store / "tmp") == names(store / "containers") == set()
    assert names(store / "images") == {whole.id.removeprefix("sha256:") + ".json"}
    assert put(again, tmp_path, HIGH, name="broken:1") == broken


def test_a_container_sees_the_layers_as_one_and_writes_only_its_own(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    image = put(images, tmp_path, LOW, HIGH)
    snapshots.prepare("k", image)
    with mounted(snapshots, "k", tmp_path / "at") as at:
        assert (names(at), names(at / "d"), (at / "both").read_bytes()) == ({"d", "both"}, {"high"}, b"high")
        (at / "new").write_bytes(b"x" * 10_000)
        (at / "d/high").unlink()
    octets, inodes = snapshots.usage("k")
    assert (octets >= 10_000, inodes) == (True, 4)
    images.remove(image.id)
    later = Snapshots(Images(tmp_path / "store"))  # a restart, with the image removed meanwhile
    later.prepare("k", image)
    with mounted(later, "k", tmp_path / "at") as at:
        assert (names(at), names(at / "d")) == ({"d", "both", "new"}, set())
    later.remove("k")
    later.remove("k")
    assert names(tmp_path / "store/layers") == names(tmp_path / "store/containers") == set()
    assert (later.upper("k"), later.usage("k")) == (None, (0, 0))
    with pytest.raises(NotFound):
        later.mount("k", tmp_path / "at")


@pytest.mark.parametrize("key", ["", ".", "../k", "a/b", "a,lowerdir=/", "a:b", "k\n"])
def test_a_key_that_could_mean_more_is_refused(key: str, tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    with pytest.raises(Invalid):
        Snapshots(images).prepare(key, put(images, tmp_path, LOW))


def test_a_layer_that_hides_all_below_it_does(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    image = put(images, tmp_path, LOW, tar([Entry(name=".wh..wh..opq"), Entry(name="only")]), tar([Entry(name="top")]))
    assert layer.is_opaque(images.layer_path(image.chain_ids[1]))
    snapshots.prepare("k", image)
    with mounted(snapshots, "k", tmp_path / "at") as at:
        assert names(at) == {"only", "top"}


@pytest.mark.parametrize("count", [2, 54, 60, 300, 500])
def test_hundreds_of_layers_are_one_file_system(count: int, tmp_path: Path) -> None:
    base = tmp_path / ("long" * 40)
    images = Images(base)
    snapshots = Snapshots(images)
    image = put(
        images,
        tmp_path,
        *(tar([Entry(name=f"f{number}"), Entry(name="last", data=b"%d" % number)]) for number in range(count)),
    )
    snapshots.prepare("k" * 64, image)
    with mounted(snapshots, "k" * 64, tmp_path / "at") as at:
        assert len(names(at)) == count + 1
        assert (at / "last").read_bytes() == b"%d" % (count - 1)
        (at / "f0").unlink()
    (tmp_path / "view").mkdir()
    snapshots.view(image, tmp_path / "view")
    try:
        assert len(names(tmp_path / "view")) == count + 1
    finally:
        snapshots.unmount(tmp_path / "view")


def test_more_layers_than_the_kernel_takes_are_refused_by_name(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    snapshots.prepare("k", put(images, tmp_path, *(tar([Entry(name=f"f{number}")]) for number in range(501))))
    with pytest.raises(Exhausted, match="501 layers"):
        snapshots.mount("k", tmp_path)


@pytest.mark.parametrize("layers", [[LOW], [LOW, HIGH]])
def test_a_view_is_read_only(layers: list[bytes], tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    (tmp_path / "at").mkdir()
    snapshots = Snapshots(images)
    snapshots.view(put(images, tmp_path, *layers), tmp_path / "at")
    try:
        with pytest.raises(OSError, match="Read-only"):
            (tmp_path / "at/new").touch()
    finally:
        snapshots.unmount(tmp_path / "at")


def test_a_mount_that_cannot_be_says_so(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    snapshots.prepare("k", put(images, tmp_path, LOW))
    with pytest.raises(mount.MountFailed, match="No such file"):
        snapshots.mount("k", tmp_path / "nowhere")


def test_a_directory_or_its_tar_becomes_an_image(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin/tool").write_bytes(b"tool")
    (source / "bin/tool").chmod(0o4755)
    (source / "bin/again").hardlink_to(source / "bin/tool")
    (source / "link").symlink_to("bin")
    (source / ".hidden").write_bytes(b"")
    os.setxattr(source / "bin/tool", "user.note", b"\xff\0")
    config = ImageConfig(cmd=("/bin/tool",), user="5", env=("A=b",), labels=(("k", "v"),), stop_signal="SIGINT")
    images = Images(tmp_path / "store")
    image = images.import_rootfs(source, name="made:1", config=config)
    assert images.import_rootfs(source, name="made:2", config=config).id == image.id
    fs = images.layer_path(image.chain_ids[0])
    assert names(fs) == {"bin", "link", ".hidden"}
    assert ((fs / "bin/tool").stat().st_mode & 0o7777, (fs / "bin/tool").stat().st_nlink) == (0o4755, 2)
    assert os.getxattr(fs / "bin/tool", "user.note") == b"\xff\0"
    assert (image.config.cmd, image.config.user, image.config.stop_signal) == (("/bin/tool",), "5", "SIGINT")
    other = images.import_rootfs(write(tmp_path / "low.tar.gz", gzip.compress(LOW)), name="low:1")
    assert other.config.diff_ids == (digest_of(LOW),)
    with pytest.raises(NotFound):
        images.import_rootfs(tmp_path / "nothing", name="x:1")
    assert len(images.list()) == 2
    assert not names(tmp_path / "store/tmp")


def test_who_asks_does_not_wait_for_an_import_and_a_removal_takes_none_of_its_layers(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    small = put(images, tmp_path, LOW, name="small:1")
    big = write(
        tmp_path / "big.tar", samples.saved([LOW, tar([Entry(name=f"f{i}", data=bytes(4 << 20)) for i in range(40)])])
    )
    done: list[Image] = []
    importing = threading.Thread(target=lambda: done.append(images.import_archive(big, name="big:1")))
    importing.start()
    slowest, asked, removed = 0.0, 0, False
    while importing.is_alive():
        begun = time.monotonic()
        images.find("small:1")
        images.list()
        images.usage()
        slowest, asked = max(slowest, time.monotonic() - begun), asked + 1
        if asked == 3:
            removed = images.remove("small:1")  # the import stands on the same lowest layer
        time.sleep(0.005)
    importing.join()
    assert (removed, asked > 3, slowest < 0.2) == (True, True, True), (removed, asked, slowest)
    assert images.list() == done
    assert done[0].chain_ids[0] == small.chain_ids[0]
    assert (images.layer_path(done[0].chain_ids[0]) / "both").read_bytes() == b"low"


def test_many_threads_leave_a_store_that_opens_the_same(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    archives = [write(tmp_path / f"{n}.tar", samples.saved([LOW, tar([Entry(name=f"f{n}")])])) for n in range(4)]
    failures: list[BaseException] = []

    def work(turn: int) -> None:
        try:
            for again in range(4):
                image = images.import_archive(archives[turn % 4], name=f"x{turn % 4}:1")
                try:
                    snapshots.prepare(f"k{turn}-{again}", image)
                except NotFound:
                    continue  # another thread removed it first
                assert (images.layer_path(image.chain_ids[0]) / "both").exists()
                images.remove(image.id)
                snapshots.remove(f"k{turn}-{again}")
        except BaseException as failed:  # noqa: BLE001 - shown by the test's own thread
            failures.append(failed)

    threads = [threading.Thread(target=work, args=(turn,)) for turn in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for image in images.list():
        images.remove(image.id)
    assert names(tmp_path / "store/layers") == names(tmp_path / "store/tmp") == set()
    assert images.usage() == (0, 0)


def test_the_lab_image_is_the_same_each_time_and_its_programs_run(tmp_path: Path) -> None:
    first = lab_image.build(BUSYBOX)
    assert lab_image.build(BUSYBOX) == first
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    image = images.import_archive(write(tmp_path / "lab.tar", first))
    assert images.resolve(lab_image.NAME) == image
    assert (image.repo_tags, image.config.cmd) == (("docker.io/groundplane/lab:latest",), ("sh",))
    snapshots.prepare("k", image)
    with mounted(snapshots, "k", tmp_path / "at") as at:
        ran = subprocess.run(
            ["chroot", at, "/bin/sh", "-c", "id -un && cat /www/index.html && touch /tmp/a && stat -c %a /tmp"],
            capture_output=True,
            check=True,
        )
        assert ran.stdout == b"root\ngroundplane lab\n1777\n"
    with pytest.raises(NotFound, match="not installed"):
        lab_image.build(tmp_path / "busybox")
    with pytest.raises(Invalid, match="not statically linked"):
        lab_image.build(Path("/usr/bin/env"))


def dig(top: Path, depth: int) -> None:
    """What a container can do: directories in directories, far beyond the length of a path."""
    at = os.open(top, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir("deeper", dir_fd=at)
        below = os.open("deeper", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)


def test_a_container_that_nests_directories_without_end_can_be_measured_and_removed(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    snapshots = Snapshots(images)
    image = put(images, tmp_path, LOW)
    for key in ("k", "cut"):
        snapshots.prepare(key, image)
        dig(tmp_path / f"store/containers/{key}/upper", 2500)
    assert snapshots.usage("k")[1] == 2501
    snapshots.remove("k")
    # What a crash leaves half removed or half made must not keep the store from opening.
    (tmp_path / "store/containers/cut").rename(tmp_path / "store/tmp/cut")
    (tmp_path / "store/containers/half/upper").mkdir(parents=True)
    dig(tmp_path / "store/containers/half/upper", 2500)
    later = Images(tmp_path / "store")
    Snapshots(later)
    assert names(tmp_path / "store/tmp") == names(tmp_path / "store/containers") == set()
    assert later.list() == [image]


def test_an_image_that_replaces_what_it_only_implied_is_there_after_a_restart(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    image = put(images, tmp_path, tar([Entry(name="a/b/c/file", data=b"x"), Entry(name="a", data=b"y")]))
    assert (image.inodes, images.usage()[1]) == (1, 1)
    assert Images(tmp_path / "store").list() == [image]


def test_a_layer_that_is_not_stored_as_its_name_says_is_refused(tmp_path: Path) -> None:
    squeezed, other = gzip.compress(LOW, 9, mtime=0), gzip.compress(LOW, 1, mtime=1)
    files = samples.layout([LOW], stored=[squeezed], kind="application/vnd.oci.image.layer.v1.tar+gzip")
    name = "blobs/sha256/" + digest_of(squeezed).removeprefix("sha256:")
    images = Images(tmp_path / "store")
    with pytest.raises(Invalid, match="not as its name says"):
        images.import_archive(lay(tmp_path / "bad", {**files, name: other}))
    assert names(tmp_path / "store/layers") == names(tmp_path / "store/tmp") == set()
    assert images.import_archive(lay(tmp_path / "good", files)).config.diff_ids == (digest_of(LOW),)


def test_what_is_written_down_of_an_image_is_private_and_checked(tmp_path: Path) -> None:
    images = Images(tmp_path / "store")
    image = put(images, tmp_path, LOW)
    document = tmp_path / f"store/images/{image.id.removeprefix('sha256:')}.json"
    assert document.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "store/layers").stat().st_mode & 0o777 == 0o700
    record = json.loads(document.read_bytes())
    document.write_text(json.dumps({**record, "config": samples.config([digest_of(HIGH)]).decode()}))
    assert Images(tmp_path / "store").list() == []
