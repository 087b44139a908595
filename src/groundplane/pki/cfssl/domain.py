"""The certificate that a server shows now, for `certinfo -domain` and the API: looked at, not verified."""

from cryptography import x509

from groundplane.errors import GroundplaneError
from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.chain.peer import peer_certificates

_PORT = 443
_WITHIN = 10.0


def domain_certificate(domain: str) -> x509.Certificate:
    """That of HOST, HOST:PORT or [ADDRESS]:PORT; the port is 443 unless said. Raises Plain."""
    host, port = _split(domain)
    try:
        shown = peer_certificates(host, port, server_name=host, within=_WITHIN)
    except GroundplaneError as bad:
        raise Plain(bad.happened) from bad
    if not shown:
        raise Plain("received no server certificates")
    return shown[0].certificate


def _split(domain: str) -> tuple[str, int]:
    host, colon, port = domain.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed) or domain.endswith("]"):
        return domain.removeprefix("[").removesuffix("]"), _PORT
    try:
        number = int(port) if port.isascii() and port.isdigit() else -1
    except ValueError:  # more digits than Python reads
        number = -1
    if not 0 <= number <= 0xFFFF:  # noqa: PLR2004 - the highest port
        raise Plain(f"dial tcp: address {port}: invalid port")
    return host[1:-1] if bracketed else host, number
