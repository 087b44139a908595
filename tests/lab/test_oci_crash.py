"""kill -9 at any moment of an import or a removal leaves a store that opens, with whole images or none."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from groundplane.oci import Images, Snapshots
from groundplane.oci.model import Digest
from tests.unit.oci.samples import Entry, saved, tar

pytestmark = pytest.mark.lab

LAYERS = [tar(Entry(name=f"f{layer}-{number}", data=b"x" * 4000) for number in range(40)) for layer in range(3)]


def killed_after(seconds: float, work: Callable[[], object]) -> bool:
    """Whether `work`, in a process of its own, had ended before it was killed."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0


def content(images: Images, chains: tuple[Digest, ...]) -> list[set[tuple[str, bytes]]]:
    return [{(path.name, path.read_bytes()) for path in images.layer_path(chain).iterdir()} for chain in chains]


def check(store: Path, whole: list[set[tuple[str, bytes]]]) -> int:
    """The store opens clean; what it lists is whole. How many images it has."""
    images = Images(store)
    Snapshots(images)
    for image in images.list():
        assert content(images, image.chain_ids) == whole
    wanted = {chain.removeprefix("sha256:") for image in images.list() for chain in image.chain_ids}
    assert {path.name for path in (store / "layers").iterdir()} == wanted
    assert not list((store / "tmp").iterdir())
    return len(images.list())


def test_an_image_is_whole_or_absent_whenever_its_import_or_removal_is_killed(tmp_path: Path) -> None:
    archive = tmp_path / "in.tar"
    archive.write_bytes(saved(LAYERS))
    begun = time.monotonic()
    first = Images(tmp_path / "first")
    image = first.import_archive(archive)
    longest = time.monotonic() - begun
    whole = content(first, image.chain_ids)
    outcomes = set()
    for turn in range(24):
        store = tmp_path / f"store{turn}"
        after = longest * 1.3 * turn / 24
        ended = killed_after(after, lambda at=store: Images(at).import_archive(archive))  # type: ignore[misc]
        there = check(store, whole)
        assert there or not ended
        outcomes.add(there)
        assert Images(store).import_archive(archive) == image
        ended = killed_after(after / 3, lambda at=store: Images(at).remove(image.id))  # type: ignore[misc]
        assert not (check(store, whole) and ended)
    assert 0 in outcomes  # or nothing was ever cut short, and this has shown nothing
