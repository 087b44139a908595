"""The daemon as it is shipped: its own image store, an image taken in from an archive, no stand-in anywhere."""

import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from groundplane.oci import lab_image
from groundplane.runtime.proto import api_pb2 as pb
from tests.lab.runtime_host import Host, host

pytestmark = pytest.mark.lab


class Shipped(Host):
    def argv(self) -> list[str]:
        code = "import sys, pathlib; from groundplane.runtime import main; sys.exit(main(pathlib.Path(sys.argv[1])))"
        return [sys.executable, "-c", code, str(self.config)]


def test_an_image_from_an_archive_runs_is_used_while_removed_and_leaves_nothing() -> None:
    with host(kind=Shipped) as at:
        archive = at.base / "lab.tar"
        archive.write_bytes(lab_image.build(Path("/bin/busybox")))

        def pull(name: str) -> str:
            return str(at.image.PullImage(pb.PullImageRequest(image=pb.ImageSpec(image=name))).image_ref)

        image = pull(f"oci-archive:{archive}")
        assert image.startswith("sha256:")
        assert pull("groundplane/lab") == image
        with pytest.raises(grpc.RpcError) as raised:
            pull("registry.test/missing:1")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
        (listed,) = at.image.ListImages(pb.ListImagesRequest()).images
        assert (listed.id, bool(listed.size), next(iter(listed.repo_tags)).endswith("groundplane/lab:latest")) == (
            image,
            True,
            True,
        )
        status = at.image.ImageStatus(pb.ImageStatusRequest(image=pb.ImageSpec(image="groundplane/lab"))).image
        assert status.id == image
        missing = at.image.ImageStatus(pb.ImageStatusRequest(image=pb.ImageSpec(image="nothing")))
        assert not missing.HasField("image")
        assert at.image.ImageFsInfo(pb.ImageFsInfoRequest()).image_filesystems[0].used_bytes.value > 0

        sandbox = at.run()
        config = at.container_config("sleep", "1000")
        config.image.image = "groundplane/lab"
        container = at.create(sandbox, config=config)
        at.runtime.StartContainer(pb.StartContainerRequest(container_id=container))
        assert at.exec(container, "cat", "/www/index.html").stdout == b"groundplane lab\n"
        at.image.RemoveImage(pb.RemoveImageRequest(image=pb.ImageSpec(image=image)))
        at.restart()
        assert at.exec(container, "cat", "/www/index.html").stdout == b"groundplane lab\n"
        assert at.status(container).image_ref == image
        at.remove(sandbox)
        assert at.leftovers() == []
        assert not list((at.base / "root/oci/containers").iterdir())
        assert not list((at.base / "root/oci/layers").iterdir())


def test_a_second_daemon_on_the_same_directories_is_refused() -> None:
    with host(kind=Shipped) as at:
        second = subprocess.run(at.argv(), capture_output=True, text=True, timeout=30, check=False)
        assert second.returncode == 5
        assert "lock" in second.stderr


def test_a_client_that_knows_no_archives_pulls_one_that_lies_ready_and_nothing_by_digest() -> None:
    with host(kind=Shipped) as at:
        ready = at.base / "archives"
        ready.mkdir()
        (ready / "registry.test%2Fteam%2Fapp%3A1.tar").write_bytes(lab_image.build(Path("/bin/busybox")))
        spec = pb.ImageSpec(image="registry.test/team/app:1")
        image = at.image.PullImage(pb.PullImageRequest(image=spec)).image_ref
        found = at.image.ImageStatus(pb.ImageStatusRequest(image=spec)).image
        assert (found.id, list(found.repo_tags)) == (image, ["registry.test/team/app:1"])
        for name in ("registry.test/team/app:2", f"registry.test/team/app@sha256:{'0' * 64}"):
            with pytest.raises(grpc.RpcError) as raised:
                at.image.PullImage(pb.PullImageRequest(image=pb.ImageSpec(image=name)))
            assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
