"""TLS towards a remote: whom to trust, and which certificate to show. TLS 1.2 at least."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTLS:
    """Files; empty text: not given. `trust`: CAs instead of the system's. The pair counts only when it is whole."""

    trust: str = ""
    certificate: str = ""
    key: str = ""

    @property
    def shows(self) -> bool:
        """Whether there is a pair to show."""
        return bool(self.certificate and self.key)


def client_context(files: ClientTLS) -> ssl.SSLContext:
    """The context for connections to remotes. Raises Plain in Go's words."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False  # RFC 9525, and Go
    context.set_alpn_protocols(["http/1.1"])
    if files.trust:
        _trust(context, Path(files.trust))
    else:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if files.shows:
        load_pair(context, files.certificate, files.key)
    return context


def context_of(files: ClientTLS, journal: Journal, *, told: bool = True) -> ssl.SSLContext:
    """The same, with the lines that CFSSL logs about it; `told` False: only about a pair that cannot be read.

    Raises Plain.
    """
    pair = f"mutual-tls-cert: {files.certificate} %s mutual-tls-key: {files.key}"

    def tell(line: str) -> None:
        if told:
            journal.info(line)

    if files.shows:
        try:
            load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files.certificate, files.key)
        except Plain:
            words = f"from file: {files.certificate} or key from file: {files.key}"
            journal.critical(f"Unable to read client certificate {words}")
            tell(f"Invalid {pair % 'or'}, defaulting to no client auth")
            raise
        tell(f"Using client auth with {pair % 'and'}")
    try:
        context = client_context(files)
    except Plain:
        tell(f"Invalid tls-remote-ca: {files.trust}, defaulting to system trust store")
        raise
    if files.trust:
        tell(f"Using trusted CA from tls-remote-ca: {files.trust}")
    return context


def _trust(context: ssl.SSLContext, path: Path) -> None:
    try:
        data = path.read_text(encoding="ascii", errors="replace")
    except OSError as missing:
        raise Plain(f"open {path}: {(missing.strerror or str(missing)).lower()}") from missing
    if not data:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)  # an empty file is no file, in CFSSL
        return
    try:
        context.load_verify_locations(cadata=data)
    except (ssl.SSLError, ValueError) as bad:
        raise Plain("failed to load cert pool") from bad
    # Whatever is in the file is trusted, as in Go: an intermediate, or the server's own certificate.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN


def load_pair(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Show this pair. Raises Plain in Go's words."""
    for path in (certificate, key):
        try:
            Path(path).read_bytes()
        except OSError as missing:
            raise Plain(f"open {path}: {(missing.strerror or str(missing)).lower()}") from missing
    try:
        context.load_cert_chain(certificate, key, password=lambda: b"")  # never ask at a terminal
    except (ssl.SSLError, ValueError) as bad:
        reason = getattr(bad, "reason", None) or str(bad)
        raise Plain(f"tls: failed to load {certificate} with {key}: {reason}".lower()) from bad
