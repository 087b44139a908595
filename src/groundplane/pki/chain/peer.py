"""The certificates that a TLS server sends, whatever they are worth: asked without verification, verified here."""

import socket
import ssl
import warnings
from typing import Any

from groundplane.errors import Invalid, Unavailable
from groundplane.pki.chain.link import Link, link_of
from groundplane.pki.load import certificate_of_der


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
    connection = _connected(host, port, within)
    try:
        with connection, context.wrap_socket(connection, server_hostname=_indication(server_name)) as secured:
            sent = _sent(secured)
    except (OSError, UnicodeError, ValueError) as bad:
        raise Unavailable(f"there is no TLS to be had: {bad}", to=f"{host}:{port}") from bad
    source = f"{host}:{port}"
    try:
        return tuple(link_of(certificate_of_der(each), source=source) for each in sent)
    except ValueError as bad:
        raise Invalid("it shows something that is no certificate", to=source) from bad


def split_address(text: str, *, default: int) -> tuple[str, int]:
    """HOST, HOST:PORT, [ADDRESS]:PORT or a bare IPv6 address. Raises Invalid, with Go's words."""
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or (":" in host and not bracketed) or text.endswith("]"):
        return text.removeprefix("[").removesuffix("]"), default
    if not (port.isascii() and port.isdigit() and len(port) <= len("65535")):
        raise Invalid(f"dial tcp: address tcp/{port}: unknown port", to=text, hint="give a number")
    if int(port) > 0xFFFF:  # noqa: PLR2004 - the highest port
        raise Invalid(f"dial tcp: address {port}: invalid port", to=text, hint="65535 is the highest")
    return host[1:-1] if bracketed else host, int(port)


def _connected(host: str, port: int, within: float) -> socket.socket:
    try:
        found = [place[4][0] for place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as unknown:
        raise Unavailable(f"dial tcp: lookup {host}: no such host", to=host) from unknown
    try:
        return socket.create_connection((host, port), timeout=within)
    except OSError as bad:
        first = str(next((address for address in found if ":" not in str(address)), found[0]))
        place = f"[{first}]:{port}" if ":" in first else f"{first}:{port}"
        raise Unavailable(f"dial tcp {place}: {_words(bad)}", to=f"{host}:{port}") from bad


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


def _words(bad: OSError) -> str:
    """As Go says it."""
    if isinstance(bad, TimeoutError):
        return "i/o timeout"
    return f"connect: {(bad.strerror or str(bad)).lower()}"
