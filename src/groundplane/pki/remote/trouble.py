"""A connection that failed, in the words of Go's client: what CFSSL's users know, and grep for."""

import socket
import ssl
from http.client import BadStatusLine, HTTPException, RemoteDisconnected

_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 26, 27})  # X509_V_ERR_…: no trusted issuer, or an untrusted one
_ENDED, _NOT_BEGUN = 10, 9
_OTHER_NAME = frozenset({62, 63, 64})
_PLAIN_TEXT = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE"})
_ALERTS = {
    "UNKNOWN_CA": "unknown certificate authority",
    "HANDSHAKE_FAILURE": "handshake failure",
    "PROTOCOL_VERSION": "protocol version not supported",
    "BAD_CERTIFICATE": "bad certificate",
    "CERTIFICATE_REQUIRED": "certificate required",
    "CERTIFICATE_EXPIRED": "expired certificate",
    "UNRECOGNIZED_NAME": "unrecognized name",
    "ACCESS_DENIED": "access denied",
    "INTERNAL_ERROR": "internal error",
}


class Late(OSError):
    """The time for the whole call is over."""


def dial_words(place: str, bad: OSError) -> str:
    """Why there is no connection to `place`, an address and a port."""
    if isinstance(bad, TimeoutError):
        return f"dial tcp {place}: i/o timeout"
    return f"dial tcp {place}: connect: {(bad.strerror or str(bad)).lower()}"


def lookup_words(host: str, bad: OSError) -> str:
    """Why the name has no address."""
    if isinstance(bad, socket.gaierror) and bad.errno == socket.EAI_AGAIN:
        return f"dial tcp: lookup {host}: temporary failure in name resolution"
    return f"dial tcp: lookup {host}: no such host"


def words_of(bad: OSError | HTTPException | ValueError, *, host: str, ends: str) -> str:  # noqa: PLR0911 - a table
    """Why a connection to `host` came to nothing; `ends` are its two, as `A->B`."""
    match bad:
        case Late():
            return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        case ssl.SSLCertVerificationError():
            return _certificate(bad, host)
        case ssl.SSLError():
            return _tls(bad)
        case TimeoutError():
            return "net/http: TLS handshake timeout"
        case RemoteDisconnected():
            return "EOF"
        case ConnectionResetError() | BrokenPipeError():
            verb = "write" if isinstance(bad, BrokenPipeError) else "read"
            return f"{verb} tcp {ends}: {verb}: {(bad.strerror or 'connection reset by peer').lower()}"
        case BadStatusLine():
            return f'net/http: HTTP/1.x transport connection broken: malformed HTTP response "{_shown(bad.args[0])}"'
        case OSError():
            return (bad.strerror or str(bad)).lower()
        case _:
            return f"net/http: HTTP/1.x transport connection broken: {type(bad).__name__}"


def _certificate(bad: ssl.SSLCertVerificationError, host: str) -> str:
    code = bad.verify_code
    if code in _UNKNOWN_AUTHORITY:
        return "x509: certificate signed by unknown authority"
    if code in {_ENDED, _NOT_BEGUN}:
        which = "expired" if code == _ENDED else "not yet valid"
        return f"x509: certificate has expired or is not yet valid: it is {which}"
    if code in _OTHER_NAME:
        return f"x509: certificate is not valid for {host}"
    return f"x509: {bad.verify_message}"


def _tls(bad: ssl.SSLError) -> str:
    reason = bad.reason or ""
    if reason in _PLAIN_TEXT:
        return "http: server gave HTTP response to HTTPS client"
    _, alert, name = reason.partition("_ALERT_")
    if alert:
        return f"remote error: tls: {_ALERTS.get(name, name.replace('_', ' ').lower())}"
    return f"tls: {(reason or 'handshake failed').replace('_', ' ').lower()}"


def _shown(line: object) -> str:
    return "".join(char if char.isprintable() and char != '"' else "." for char in str(line)[:64])
