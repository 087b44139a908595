"""Container images and the root file systems made of them.

Words: `model`, `reference` (the grammar of names), `manifest` (OCI's and Docker's documents). Effects: `layer` (a tar
becomes a directory), `archive` (what a tar or directory holds), `store` (the images of a host), `snapshot` (overlay
mounts), `lab_image` (an image made of the machine's busybox). All of it blocks; call it on a worker thread.
"""

from groundplane.oci.model import Image, ImageConfig
from groundplane.oci.reference import Reference, parse_reference
from groundplane.oci.snapshot import Snapshots
from groundplane.oci.store import Images

__all__ = ["Image", "ImageConfig", "Images", "Reference", "Snapshots", "parse_reference"]
