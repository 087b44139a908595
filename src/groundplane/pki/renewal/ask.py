"""A certificate again from a CFSSL server."""

from cryptography import x509

from groundplane.errors import Unimplemented
from groundplane.pki.keys import PrivateKey
from groundplane.pki.renewal.model import RemoteCA
from groundplane.pki.renewal.reissue import Successor


def ask(old: x509.Certificate, key: PrivateKey, remote: RemoteCA) -> Successor:  # noqa: ARG001 - until it is built
    """What the server makes of a request that says what `old` says. Raises GroundplaneError."""
    raise Unimplemented("renewal through a server is not built", to=remote.address)
