from hypothesis import given
from hypothesis import strategies as st

from groundplane.oci.gc import garbage
from groundplane.oci.model import Digest, digest_of

layers = st.integers(0, 9).map(lambda number: digest_of(bytes([number])))
stacks = st.lists(layers, max_size=4).map(tuple)


@given(st.lists(layers, unique=True), st.lists(stacks), st.lists(layers))
def test_exactly_what_nobody_needs_goes(
    present: list[Digest], images: list[tuple[Digest, ...]], held: list[Digest]
) -> None:
    gone = garbage(present, images=images, held=held)
    wanted = {layer for stack in images for layer in stack} | set(held)
    assert set(gone) == set(present) - wanted
    left = [layer for layer in present if layer not in gone]
    assert garbage(left, images=images, held=held) == ()
