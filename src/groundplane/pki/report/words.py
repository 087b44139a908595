"""What libraries say of damage, in words."""

import ssl

_HANDSHAKES = {
    "WRONG_VERSION_NUMBER": "what answers does not speak TLS",
    "HTTP_REQUEST": "what answers does not speak TLS",
    "UNEXPECTED_EOF_WHILE_READING": "it hangs up during the handshake",
    "UNSUPPORTED_PROTOCOL": "it speaks only a TLS that is too old",
}


def in_words(bad: BaseException) -> str:
    """Why a certificate cannot be read: Rust's names of its own types say nothing to a reader."""
    text = str(bad)
    if "PEM" in text:
        return "this is no PEM"
    return "its DER cannot be read" if "ParseError" in text or "asn1" in text.lower() else text


def of_handshake(bad: Exception, *, patience: float) -> str:
    """Why no certificate was shown within `patience` seconds."""
    if isinstance(bad, TimeoutError):
        return f"nothing within {patience:g} s"
    if isinstance(bad, UnicodeError):
        return "this is no host name"
    if isinstance(bad, ssl.SSLError):
        reason = bad.reason or "EOF"
        return _HANDSHAKES.get(reason, f"the handshake fails ({reason.replace('_', ' ').lower()})")
    return getattr(bad, "strerror", None) or str(bad) or type(bad).__name__
