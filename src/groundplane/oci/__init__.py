"""Container images and the root file systems made of them.

Words: `model`, `reference` (the grammar of names), `manifest` (OCI's and Docker's documents). Decisions: `gc` (layers
that nobody needs). Effects: `tape` (a tar read without trust), `layer` (it becomes a directory), `archive` (what a tar
or directory holds), `rootfs` (a plain directory as an image), `record` (what the store writes down), `store` (images
of a host), `overlay` and `snapshot` (root file systems), `lab_image` (an image made of the machine's busybox). All of
it blocks; call it on a worker thread. No registry is spoken to: images come from archives and directories.
"""

from groundplane.oci.model import Image, ImageConfig
from groundplane.oci.reference import Reference, parse_reference
from groundplane.oci.snapshot import Snapshots
from groundplane.oci.store import Images

__all__ = ["Image", "ImageConfig", "Images", "Reference", "Snapshots", "parse_reference"]
