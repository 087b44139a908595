"""The image service's verbs. Pulling from a registry is not built: an image comes from an archive on this host."""

import asyncio
from functools import partial
from pathlib import Path

from groundplane.errors import Invalid, NotFound, Unimplemented
from groundplane.runtime.model import Image
from groundplane.runtime.node import Node

_SCHEMES = ("oci-archive:", "docker-archive:", "dir:", "oci:")


def local_path(reference: str) -> tuple[Path, str] | None:
    """The archive or directory that `reference` names, and the name it gives; None for a registry's. Pure.

    `/path`, `oci-archive:/path`, `docker-archive:/path`, `dir:/path`, each with `:name` after the path where the
    archive itself holds no name.
    """
    for scheme in _SCHEMES:
        if reference.startswith(scheme):
            rest = reference.removeprefix(scheme)
            if not rest.startswith("/"):
                raise Invalid("the path is not absolute", to=reference, hint=f"write {scheme}/path/to/image")
            break
    else:
        if not reference.startswith("/"):
            return None
        rest = reference
    path, _, name = rest.partition(":")
    return Path(path), name


async def pull(node: Node, reference: str) -> str:
    """The image's id: it is here, or is taken in from a local archive. Raises Unimplemented for a registry's."""
    if not reference:
        raise Invalid("image is empty", to="PullImageRequest")
    local = local_path(reference)
    if local is None:
        try:
            return (await node.image(reference)).id
        except NotFound as missing:
            raise Unimplemented(
                "it is not in the store, and pulling from a registry is not built",
                to=f"image {reference}",
                hint="save it as an archive (`skopeo copy docker://… oci-archive:FILE`) and pull oci-archive:/path",
            ) from missing
    path, name = local
    if not path.exists():
        raise NotFound("no such file", to=path)
    found = await node.flights.join(
        ("image.pull", reference), partial(asyncio.to_thread, node.images.import_archive, path, name)
    )
    return found.id


async def status(node: Node, reference: str) -> Image | None:
    """The image, or None if there is none by that name."""
    if not reference:
        raise Invalid("image is empty", to="ImageStatusRequest")
    try:
        return await node.image(reference)
    except (NotFound, Invalid):
        return None  # CRI: an unknown image is an empty answer


async def remove(node: Node, reference: str) -> None:
    """The image with all its names; unknown is fine."""
    if not reference:
        raise Invalid("image is empty", to="RemoveImageRequest")
    await asyncio.to_thread(node.images.remove, reference)


async def images(node: Node) -> list[Image]:
    """All of them."""
    return await asyncio.to_thread(node.images.list)
