"""Images that the file's pods need, in each host's store: the lab's own, made on the spot, and local archives."""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

from groundplane.aio import Retry
from groundplane.cluster import layout
from groundplane.cluster.lab.lab import Lab
from groundplane.cluster.model import Pod
from groundplane.cluster.provider import HostDoor
from groundplane.cluster.wanted import LAB_IMAGE
from groundplane.errors import NotFound
from groundplane.oci.lab_image import build as make_lab_image
from groundplane.runtime.client import RuntimeClient
from groundplane.runtime.proto import api_pb2 as cri

_SETTLE = Retry(within=timedelta(seconds=10))  # a runtime that has just started
_ARCHIVE = "groundplane-lab.tar"
_BUSYBOX = (Path("/bin/busybox"), Path("/usr/sbin/busybox"))


def build_lab_image(lab: Lab) -> Path:
    """The archive of `groundplane/lab`, made from this machine's static busybox unless it is there already."""
    from groundplane.system import files

    busybox = next((path for path in _BUSYBOX if path.exists()), _BUSYBOX[0])
    archive = lab.paths.images / _ARCHIVE
    data = make_lab_image(busybox)
    if files.read_optional(archive) != data:
        lab.paths.images.mkdir(parents=True, exist_ok=True)
        files.replace(archive, data, durable=False)
    return archive


async def ensure(door: HostDoor, pods: Iterable[Pod], lab_archive: Path | None) -> tuple[str, ...]:
    """Make sure that a host's store has the images of `pods`. The names imported."""
    done = []
    async with RuntimeClient(door.socket(layout.CRI_SOCKET.name)) as client:
        for name in dict.fromkeys(pod.image for pod in pods):
            spec = cri.ImageSpec(image=name)
            status = await _SETTLE(partial(client.call, "ImageStatus", cri.ImageStatusRequest(image=spec)))
            if status.HasField("image"):
                continue
            if name != LAB_IMAGE or lab_archive is None:
                raise NotFound(
                    f"the image {name!r} is not in the host's store",
                    to=door.name,
                    hint=f"use {LAB_IMAGE}, or import it first: crictl pull oci-archive:FILE",
                )
            inside = layout.IMAGES / lab_archive.name
            door.copy(lab_archive, inside)
            await client.call("PullImage", cri.PullImageRequest(image=cri.ImageSpec(image=f"oci-archive:{inside}")))
            done.append(name)
    return tuple(done)
