"""A whole handshake, by Python's OpenSSL at its most permissive: nothing is verified, nothing is sent but a farewell.

OpenSSL 3 speaks TLS 1.0 to 1.3. A server that has nothing newer than SSL 3.0 shows its suites and certificates in a
hello (`ask`), and fails here.
"""

import re
import ssl
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

from groundplane.errors import Invalid
from groundplane.pki.chain.link import Link, link_of
from groundplane.pki.load import certificate_of_der
from groundplane.pki.scan.flight import alert_words
from groundplane.pki.scan.line import ANSWER_WITHIN, Line
from groundplane.pki.scan.model import OutOfTime, Refused, Trouble
from groundplane.pki.scan.registry import ALERTS

_ALERT = re.compile(r"(?:TLSV1|SSLV3|TLSV13)_(?:ALERT_)?([A-Z0-9_]+)")
# OpenSSL's words for alerts that are not Go's with blanks between.
_OPENSSL = {
    "unrecognized_name": 112,
    "bad_record_mac": 20,
    "certificate_revoked": 44,
    "certificate_expired": 45,
    "certificate_unknown": 46,
    "unknown_ca": 48,
    "decode_error": 50,
    "decrypt_error": 51,
    "protocol_version": 70,
    "insufficient_security": 71,
    "user_cancelled": 90,
    "unsupported_extension": 110,
    "certificate_required": 116,
}
_NUMBERS = {**{words.replace(" ", "_"): number for number, words in ALERTS.items()}, **_OPENSSL}
_LEGACY_SERVERS = 0x4  # SSL_OP_LEGACY_SERVER_CONNECT, which Python names from 3.12 on
_GOODBYE_WITHIN = 0.2
_TICKET_WITHIN = 0.5  # a server that gives TLS 1.3 tickets does so at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaken:
    """A handshake that was made. `session` can be brought to the next one."""

    chain: tuple[Link, ...]
    version: str
    resumed: bool
    session: ssl.SSLSession | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Client:
    """One client, with the sessions it remembers in `Shaken.session`; these are good for its own handshakes only."""

    _context: ssl.SSLContext = field(repr=False)

    def shake(self, line: Line, *, session: ssl.SSLSession | None = None, ticket: bool = False) -> Shaken:
        """Shake hands. `ticket`: wait for what TLS 1.3 resumes with. Raises Unreachable, Refused."""
        connection = line.connect()
        try:
            with connection:
                connection.settimeout(line.within(ANSWER_WITHIN))
                name = line.server_name or None
                with self._context.wrap_socket(connection, server_hostname=name, session=session) as secured:
                    if ticket:
                        _wait_for_ticket(secured, line)
                    shaken = Shaken(
                        chain=_chain(secured, line),
                        version=secured.version() or "",
                        resumed=bool(secured.session_reused),
                        session=secured.session,
                    )
                    _say_goodbye(secured)
                    return shaken
        except TimeoutError as late:
            raise Refused("tls: DialWithDialer timed out", to=line.place) from late
        except (OSError, UnicodeError, ValueError) as bad:
            raise Refused(_words(bad), to=line.place) from bad


def make_client(*, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1, newest: ssl.TLSVersion | None = None) -> Client:
    """One that speaks these versions, with every suite that this OpenSSL has."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.options |= _LEGACY_SERVERS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old servers are looked at too
        context.minimum_version = oldest
    if newest is not None:
        context.maximum_version = newest
    context.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    return Client(context)


def old_client() -> Client:
    """Up to TLS 1.2, as CFSSL's own."""
    return make_client(newest=ssl.TLSVersion.TLSv1_2)


def new_client() -> Client:
    """TLS 1.3 alone."""
    return make_client(oldest=ssl.TLSVersion.TLSv1_3)


def any_client(line: Line, *, server_waits: bool = False) -> tuple[Client, Shaken]:
    """One that gets on with the server: up to TLS 1.2 if it will, and else TLS 1.3. Raises Unreachable, Refused.

    `server_waits`: for sessions, as for `Client.shake`.
    """
    old = old_client()
    try:
        return old, old.shake(line)
    except Refused as refused:
        new = new_client()
        try:
            return new, new.shake(line, ticket=server_waits)
        except OutOfTime:
            raise
        except Trouble:
            raise refused from None  # what a client like CFSSL's hears


def _wait_for_ticket(secured: ssl.SSLSocket, line: Line) -> None:
    """It comes after the handshake, and is taken in by a read that gets nothing, or the server's first words."""
    ends = time.monotonic() + line.within(_TICKET_WITHIN)
    while not (secured.session is not None and secured.session.has_ticket):
        left = ends - time.monotonic()
        if left <= 0:
            return
        secured.settimeout(left)
        try:
            if not secured.recv(1):
                return
        except TimeoutError:
            return


def _say_goodbye(secured: ssl.SSLSocket) -> None:
    """A server forgets the session of a client that just goes. Whether it answers is its own affair."""
    try:
        secured.settimeout(_GOODBYE_WITHIN)
        secured.unwrap()
    except (OSError, ValueError):
        pass  # it has gone already, or has something else to say


def _chain(secured: ssl.SSLSocket, line: Line) -> tuple[Link, ...]:
    told: Any = getattr(secured, "get_unverified_chain", None)
    if told is not None:
        sent = list(told())
    else:
        inner: Any = secured._sslobj  # type: ignore[attr-defined]  # noqa: SLF001 - present since 3.10, public since 3.13
        sent = [ssl.PEM_cert_to_DER_cert(each.public_bytes()) for each in inner.get_unverified_chain() or ()]
    try:
        return tuple(link_of(certificate_of_der(each), source=line.place) for each in sent)
    except (ValueError, Invalid) as bad:
        raise Refused("tls: failed to parse certificate from server", to=line.place) from bad


def _words(bad: Exception) -> str:
    """As Go says it."""
    if isinstance(bad, ssl.SSLEOFError | ssl.SSLZeroReturnError | ConnectionResetError | BrokenPipeError):
        return "EOF"
    if isinstance(bad, ssl.SSLError):
        reason = str(bad.reason or "")
        if (found := _ALERT.match(reason)) and (number := _NUMBERS.get(found[1].lower())) is not None:
            return alert_words(number)
        if "UNEXPECTED_EOF" in reason:
            return "EOF"
        if reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST"}:
            return "tls: first record does not look like a TLS handshake"
        return f"tls: {reason.lower().replace('_', ' ') or bad}"
    return str(bad)
