"""The certificates that a TLS server sends, whatever they are worth: asked without verification, verified here."""

import socket
import ssl
import warnings
from typing import Any

from cryptography import x509

from groundplane.errors import Unavailable
from groundplane.pki.chain.link import Link, link


def peer_certificates(host: str, port: int, *, server_name: str, within: float) -> tuple[Link, ...]:
    """What the server at `host` sends for `server_name`, leaf first. Raises Unavailable, Invalid."""
    # Nothing is sent over this connection; what comes back is judged by the caller.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old servers are looked at too
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        connection = socket.create_connection((host, port), timeout=within)
    except socket.gaierror as unknown:
        raise Unavailable(f"dial tcp: lookup {host}: no such host", to=host) from unknown
    except (OSError, UnicodeError) as bad:
        raise Unavailable(f"dial tcp {host}:{port}: {_words(bad)}", to=f"{host}:{port}") from bad
    try:
        with connection, context.wrap_socket(connection, server_hostname=_indication(server_name)) as secured:
            sent = _sent(secured)
    except (OSError, UnicodeError, ValueError) as bad:
        raise Unavailable(f"there is no TLS to be had: {bad}", to=f"{host}:{port}") from bad
    source = f"{host}:{port}"
    return tuple(link(x509.load_der_x509_certificate(each), source=source) for each in sent)


def _indication(name: str) -> str | None:
    """A name for the handshake; an address is none (RFC 6066, 3), nor is a name that cannot be written there."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in name else socket.AF_INET, name)
    except OSError:
        return name or None
    return None


def _sent(secured: ssl.SSLSocket) -> list[bytes]:
    """The whole chain. Python 3.13 says it; before that, what 3.13's method calls does."""
    told: Any = getattr(secured, "get_unverified_chain", None)
    if told is not None:
        return list(told())
    inner: Any = secured._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - present since 3.10, public since 3.13
    return [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in inner.get_unverified_chain() or ()]


def _words(bad: Exception) -> str:
    """As Go says it."""
    if isinstance(bad, TimeoutError):
        return "i/o timeout"
    return f"connect: {(bad.strerror or str(bad)).lower()}" if isinstance(bad, OSError) else str(bad)
