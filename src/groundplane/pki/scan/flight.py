"""A server's answer to a hello, as bytes come in: records, handshake messages, and what they say. No I/O.

Nothing is believed: every length is checked, a flight has an end, and whatever is no TLS raises BadFlight.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from groundplane.pki.scan.registry import ALERTS, TLS12, TLS13

SERVER_HELLO, CERTIFICATE, KEY_EXCHANGE, SERVER_DONE, CERTIFICATE_VERIFY, FINISHED = 2, 11, 12, 14, 15, 20
_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _APPLICATION = 20, 21, 22, 23
_HEADER = 5
_LONGEST_RECORD = (1 << 14) + 2048
_LONGEST_FLIGHT = 1 << 18  # of which certificates are nearly all; OpenSSL's client takes 100 KB of them
_NAMED_CURVE = 3
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")  # RFC 8446, 4.1.3

Open = Callable[[bytes, bytes], tuple[int, bytes]]


class BadFlight(ValueError):
    """What came is no answer to a hello; the text says why."""


class Cut:
    """Bytes, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count`. Raises BadFlight."""
        end = self._at + count
        if end > len(self._data):
            raise BadFlight("a message ends too soon")
        taken, self._at = self._data[self._at : end], end
        return taken

    def number(self, size: int) -> int:
        """The next `size` bytes as a number."""
        return int.from_bytes(self.take(size))

    def block(self, size: int) -> bytes:
        """What follows a length of `size` bytes."""
        return self.take(self.number(size))

    @property
    def left(self) -> bool:
        """Whether there is any more."""
        return self._at < len(self._data)


@dataclass(slots=True, kw_only=True)
class FlightReader:
    """Takes bytes in any pieces. `messages`: kind and whole message, header included. `alert`: one that came.

    `open`: opens protected records, once there are keys: gives the kind within and the content.
    """

    open: Open | None = None
    messages: list[tuple[int, bytes]] = field(default_factory=list)
    alert: int | None = None
    _records: bytearray = field(default_factory=bytearray)
    _handshake: bytearray = field(default_factory=bytearray)
    _taken: int = 0

    def feed(self, data: bytes) -> None:
        """More bytes; stops at an alert. Raises BadFlight."""
        self._records += data
        self.go_on()

    def go_on(self) -> None:
        """What is here already, as far as it can be read: protected records wait for `open`. Raises BadFlight."""
        while self.alert is None and len(self._records) >= _HEADER:
            kind, length = self._records[0], int.from_bytes(self._records[3:_HEADER])
            if kind not in {_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _APPLICATION} or self._records[1] != 3:  # noqa: PLR2004 - SSL 3.0 to TLS 1.3
                raise BadFlight("first record does not look like a TLS handshake")
            if length > _LONGEST_RECORD:
                raise BadFlight(f"oversized record received with length {length}")
            if len(self._records) < _HEADER + length or (kind == _APPLICATION and self.open is None):
                return
            header = bytes(self._records[:_HEADER])
            content = bytes(self._records[_HEADER : _HEADER + length])
            del self._records[: _HEADER + length]
            self._taken += length + _HEADER
            if self._taken > _LONGEST_FLIGHT:
                raise BadFlight("the server's flight is too long")
            if kind == _APPLICATION and self.open is not None:
                kind, content = self.open(header, content)
            self._record(kind, content)

    def _record(self, kind: int, content: bytes) -> None:
        if kind == _ALERT and len(content) >= 2:  # noqa: PLR2004 - level and description
            if content[0] != 1 or content[1] == 0:  # a warning, unless it says that this is the end
                self.alert = content[1]
        elif kind == _HANDSHAKE:
            self._handshake += content
            while len(self._handshake) >= 4:  # noqa: PLR2004 - kind and length
                end = 4 + int.from_bytes(self._handshake[1:4])
                if end > _LONGEST_FLIGHT:
                    raise BadFlight(f"handshake message of length {end - 4} bytes exceeds maximum")
                if len(self._handshake) < end:
                    return
                self.messages.append((self._handshake[0], bytes(self._handshake[:end])))
                del self._handshake[:end]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHello:
    """`version` is the one that was chosen. `group` and `share` are TLS 1.3's; without a share it asks for another."""

    version: int
    suite: int
    group: int | None = None
    share: bytes = b""
    retry: bool = False


def server_hello(message: bytes) -> ServerHello:
    """Of the whole message. Raises BadFlight."""
    cut = Cut(message[4:])
    version, random = cut.number(2), cut.take(32)
    cut.block(1)
    suite = cut.number(2)
    cut.take(1)
    group, share, retry = None, b"", random == _RETRY
    extensions = Cut(cut.block(2)) if cut.left else Cut(b"")
    while extensions.left:
        kind, content = extensions.number(2), Cut(extensions.block(2))
        if kind == 43:  # noqa: PLR2004 - supported_versions
            version = content.number(2)
        elif kind == 51:  # noqa: PLR2004 - key_share
            group = content.number(2)
            share = b"" if retry else content.block(2)
    if version > TLS13:
        raise BadFlight(f"server selected unsupported protocol version {version:x}")
    if version <= TLS12:
        group = None
    return ServerHello(version=version, suite=suite, group=group, share=share, retry=retry)


def certificates(message: bytes, *, version: int) -> tuple[bytes, ...]:
    """The DER of each certificate. Raises BadFlight."""
    cut = Cut(message[4:])
    if version >= TLS13:
        cut.block(1)
    entries, found = Cut(cut.block(3)), []
    while entries.left:
        found.append(entries.block(3))
        if version >= TLS13:
            entries.block(2)
    return tuple(found)


def named_curve(message: bytes) -> int | None:
    """The curve of a key exchange; None for one that is spelt out. Raises BadFlight."""
    cut = Cut(message[4:])
    return cut.number(2) if cut.number(1) == _NAMED_CURVE else None


def scheme_of(message: bytes) -> int:
    """The signature algorithm of a CertificateVerify. Raises BadFlight."""
    return Cut(message[4:]).number(2)


def alert_words(alert: int) -> str:
    """As Go says it."""
    return f"remote error: {ALERTS.get(alert, f'alert({alert})')}"
