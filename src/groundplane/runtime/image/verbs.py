"""The image service's verbs. Pulling from a registry is not built: an image comes from an archive on this host.

Either the client names the archive, or it names an image and the archive lies ready under that name in the directory
`image_archives`: so an unchanged client, which knows nothing of archives, can pull on a host without a registry.
"""

import asyncio
from functools import partial
from pathlib import Path
from urllib.parse import quote

from groundplane.errors import Invalid, NotFound, Unimplemented
from groundplane.oci import parse_reference
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


def archive_name(reference: str) -> str:
    """The file name of `reference`'s archive in the directory of archives: its full name, percent-encoded. Pure.

    `busybox` is `docker.io%2Flibrary%2Fbusybox%3Alatest.tar`. Raises Invalid for what is not a reference.
    """
    return quote(str(parse_reference(reference)), safe="") + ".tar"


async def pull(node: Node, reference: str) -> str:
    """The image's id: it is here, or is taken in from a local archive. Raises Unimplemented for a registry's."""
    if not reference:
        raise Invalid("image is empty", to="PullImageRequest")
    local = local_path(reference)
    if local is None:
        try:
            return (await node.image(reference)).id
        except NotFound as missing:
            local = _ready_archive(node, reference, missing)
    path, name = local
    if not path.exists():
        raise NotFound("no such file", to=path)
    found = await node.flights.join(
        ("image.pull", reference), partial(asyncio.to_thread, node.images.import_archive, path, name)
    )
    return found.id


def _ready_archive(node: Node, reference: str, missing: NotFound) -> tuple[Path, str]:
    wanted = parse_reference(reference)
    path = node.config.image_archives / archive_name(reference)
    # One named by digest is not looked for: what lies there under a name need not have the digest that was asked for.
    if wanted.digest is None and path.exists():
        return path, str(wanted)
    save = "save it as an archive (`skopeo copy docker://… oci-archive:FILE`)"
    raise Unimplemented(
        "it is not in the store, and pulling from a registry is not built",
        to=f"image {reference}",
        hint=f"{save} at {path}" if wanted.digest is None else f"{save} and pull oci-archive:FILE",
    ) from missing


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
