"""TLS of the server: 1.2 at least, its certificate from files, and whom it lets in by their certificates."""

import ssl
from pathlib import Path

from groundplane.pki.cfssl.errors import Plain

_OLDEST = {"1.3": ssl.TLSVersion.TLSv1_3}


def server_context(*, certificate: Path, key: Path, clients: Path | None, oldest: str) -> ssl.SSLContext:
    """The context for new connections. `clients`: whoever connects needs a certificate of one of these CAs.

    `oldest` is -min-tls-version: 1.3 is understood, anything else is 1.2. Raises Plain with Go's words.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _OLDEST.get(oldest, ssl.TLSVersion.TLSv1_2)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    if clients is not None:
        try:
            context.load_verify_locations(cadata=clients.read_text(encoding="ascii", errors="replace"))
        except OSError as missing:
            words = f"open {clients}: {(missing.strerror or str(missing)).lower()}"
            raise Plain(f"failed to load mutual TLS CA file: {words}") from missing
        except ssl.SSLError as bad:
            raise Plain("failed to load mutual TLS CA file: failed to load cert pool") from bad
        context.verify_mode = ssl.CERT_REQUIRED
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as missing:
            raise Plain(f"open {path}: {(missing.strerror or str(missing)).lower()}") from missing
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # never ask at a terminal
    except (ssl.SSLError, ValueError) as bad:
        reason = getattr(bad, "reason", None) or str(bad)
        raise Plain(f"tls: failed to load {certificate} with {key}: {reason}".lower()) from bad
    return context


def common_name(der: bytes) -> str:
    """What a client's certificate calls it; empty for none, or one that cannot be read."""
    from cryptography.x509.oid import NameOID

    from groundplane.pki.load import certificate_of_der

    try:
        found = certificate_of_der(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return ""
    return str(found[-1].value) if found else ""
