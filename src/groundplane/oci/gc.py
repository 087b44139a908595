"""What may go from a store: decided from what is wanted, nothing looked up."""

from collections.abc import Iterable

from groundplane.oci.model import Digest


def garbage(
    present: Iterable[Digest], *, images: Iterable[tuple[Digest, ...]], held: Iterable[Digest]
) -> tuple[Digest, ...]:
    """The layers of `present` that neither an image (its chain ids) nor a holder stands on.

    Each layer is a directory of its own that depends on none below it, so any order of removal is safe.
    """
    wanted = set(held).union(*images)
    return tuple(layer for layer in present if layer not in wanted)
