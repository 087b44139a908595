"""Where a remote is: `[http://|https://]host[:port]`, or several with commas between them, asked in that order.

Without a scheme the port is 8888 and the protocol HTTP; with one it is that scheme's own port, as in CFSSL. CFSSL
refuses an address of numbers without a scheme (`127.0.0.1:8888`) and a slash at the end; both are taken here.
"""

import re
from dataclasses import dataclass

from groundplane.errors import Invalid

DEFAULT_PORT = 8888
_SCHEME_PORTS = {"http": 80, "https": 443}
_ADDRESS = re.compile(
    r"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://)?"
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+(?:%[A-Za-z0-9._-]+)?)\]|(?P<host>[^\s/:@\[\]?#%\"'<>\\^`{|}\x00-\x20\x7f]+))"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)
_BARE_V6 = re.compile(r"[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*")
_MOST, _LARGEST_PORT = 32, 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One server. `shown` is what a URL has after the scheme: the port only if it was said or is not the scheme's."""

    secure: bool
    host: str
    port: int
    shown: str

    def url(self, endpoint: str) -> str:
        """The URL of an endpoint, as messages have it."""
        return f"{'https' if self.secure else 'http'}://{self.shown}/api/v1/cfssl/{endpoint}"


def parse_addresses(text: str) -> tuple[Address, ...]:
    """All of them. Raises Invalid."""
    parts = text.split(",")
    if len(parts) > _MOST:
        raise Invalid(f"these are {len(parts)} addresses", to="remote", hint=f"name {_MOST} at most")
    return tuple(_parse(part.strip()) for part in parts)


def _parse(text: str) -> Address:
    if _BARE_V6.fullmatch(text):
        text = f"[{text}]"
    found = _ADDRESS.fullmatch(text)
    scheme = (found["scheme"] or "").lower() if found else ""
    if found is None or scheme not in {"", *_SCHEME_PORTS}:
        raise _refused(text)
    host = found["v6"] or found["host"]
    usual = _SCHEME_PORTS.get(scheme, DEFAULT_PORT)
    port = int(found["port"]) if found["port"] else usual
    if not 0 < port <= _LARGEST_PORT:
        raise _refused(text)
    shown = f"[{host}]" if ":" in host else host
    if found["port"] or not scheme:
        shown += f":{port}"
    return Address(secure=scheme == "https", host=host, port=port, shown=shown)


def _refused(text: str) -> Invalid:
    return Invalid(f"{text!r} is not the address of a server", to="remote", hint="write https://HOST:PORT")
