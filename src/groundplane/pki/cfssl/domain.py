"""The certificate that a server shows now, for `certinfo -domain` and the API: looked at, not verified."""

from cryptography import x509

from groundplane.errors import GroundplaneError
from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.chain.peer import peer_certificates, split_address

_PORT = 443
_WITHIN = 10.0


def domain_certificate(domain: str) -> x509.Certificate:
    """That of HOST, HOST:PORT or [ADDRESS]:PORT; the port is 443 unless said. Raises Plain."""
    try:
        host, port = split_address(domain, default=_PORT)
        shown = peer_certificates(host, port, server_name=host, within=_WITHIN)
    except GroundplaneError as bad:
        raise Plain(bad.happened) from bad
    if not shown:
        raise Plain("received no server certificates")
    return shown[0].certificate
