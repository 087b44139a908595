"""The certificate that a TLS server shows now, without believing it."""

import re
import socket
import ssl
from collections.abc import Iterator
from datetime import timedelta

from groundplane.errors import Invalid
from groundplane.pki.load import certificate_of_der
from groundplane.pki.report.find import found_of
from groundplane.pki.report.model import Found
from groundplane.pki.report.words import in_words, of_handshake

TIMEOUT = timedelta(seconds=10)
_HTTPS, _LAST = 443, 65535
_PORT = re.compile("[0-9]{1,5}")


def in_endpoint(address: str, *, timeout: timedelta = TIMEOUT) -> Iterator[Found]:
    """The certificate of `HOST[:PORT]`; that nobody answers is a trouble of that place. Raises Invalid."""
    host, port = split(address)
    place = f"{host}:{port}" if ":" not in host else f"[{host}]:{port}"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False  # what it shows is looked at, and nothing is said to it
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), timeout=timeout.total_seconds()) as connection,
            context.wrap_socket(connection, server_hostname=host) as secure,
        ):
            der = secure.getpeercert(binary_form=True)
    except (OSError, ValueError) as bad:
        why = of_handshake(bad, patience=timeout.total_seconds())
        yield Found(place=place, trouble=f"no TLS server answers: {why}")
        return
    if der is None:
        yield Found(place=place, trouble="it shows no certificate")
        return
    try:
        yield found_of(certificate_of_der(der), place)
    except ValueError as bad:
        yield Found(place=place, trouble=f"its certificate cannot be read: {in_words(bad)}")


def split(address: str) -> tuple[str, int]:
    """Host and port (443 if none) of `host`, `host:port`, `::1` or `[::1]:port`. Raises Invalid."""
    text = address.strip()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        port = rest.removeprefix(":") if bracket and (not rest or rest.startswith(":")) else "?"
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    number = int(port) if _PORT.fullmatch(port) else (0 if port else _HTTPS)
    if not host or not 0 < number <= _LAST:
        raise Invalid("this is no address", to=repr(address), hint="write HOST:PORT")
    return host, number
