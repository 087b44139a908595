"""URLs as Go's net/url takes them in a request and writes them again (RFC 3986, section 3).

What Go refuses is no URL; what it takes it normalises: the scheme in small letters, blanks and other characters that a
path cannot hold as %XX, an empty authority left out. The query is kept as it stands, and `#` is nothing special.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv6Address

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")
_USER_PLAIN = _UNRESERVED | frozenset(b"$&+,;=")
_USER_TAKEN = _UNRESERVED | frozenset(b"!$&'()*+,;=:%@")
_HOST_PLAIN = _UNRESERVED | frozenset(b"!$&'()*+,;=:[]<>\"")
_PATH_PLAIN = _UNRESERVED | frozenset(b"$&+,/:;=@")
_PATH_KEPT = _PATH_PLAIN | frozenset(b"!'()*[]%")  # written as they came, where all of a path is so
_SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})?")
_PORT = re.compile(rb"(?::[0-9]*)?")
_ZONE = b"%25"
_FIRST_NOT_ASCII = 0x80


class _NoURL(ValueError):
    """Go would not take it."""


@dataclass(frozen=True, slots=True)
class _Authority:
    user: bytes | None
    host: bytes


def normalized(text: str) -> str | None:
    """`text` as Go's `url.ParseRequestURI(text).String()` has it, or None where Go refuses it."""
    try:
        return _normalized(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")
    except _NoURL:
        return None


def _normalized(raw: bytes) -> bytes:
    if not raw or _CONTROL.search(raw):
        raise _NoURL
    if raw == b"*":
        return raw
    if raw.startswith(b":"):
        raise _NoURL  # where a scheme should be
    scheme, rest = b"", raw
    if found := _SCHEME.fullmatch(raw):
        scheme, rest = found[1].lower() + b":", found[2]
    rest, mark, query = rest.partition(b"?")
    if not rest.startswith(b"/"):
        if not scheme:
            raise _NoURL
        return scheme + rest + mark + query
    if not (scheme and rest.startswith(b"//")):
        return scheme + _path(rest) + mark + query
    authority, slash, path = rest[2:].partition(b"/")
    there = _authority(authority)
    path = _path(slash + path)
    if there.user is None and not there.host and not path:
        return scheme + mark + query
    user = b"" if there.user is None else there.user + b"@"
    return scheme + b"//" + user + _escaped(there.host, _HOST_PLAIN) + path + mark + query


def _path(raw: bytes) -> bytes:
    plain = _unescaped(raw)
    return raw if all(byte in _PATH_KEPT for byte in raw) else _escaped(plain, _PATH_PLAIN)


def _authority(raw: bytes) -> _Authority:
    user, at, host = raw.rpartition(b"@")
    host = _host(host)
    if not at:
        return _Authority(None, host)
    if not all(byte in _USER_TAKEN for byte in user):
        raise _NoURL
    name, colon, password = user.partition(b":")
    written = (_escaped(_unescaped(part), _USER_PLAIN) for part in (name, password))
    return _Authority(colon.join(written) if colon else next(written), host)


def _host(raw: bytes) -> bytes:
    if b"[" in raw:
        return _literal(raw)
    name, colon, port = raw.partition(b":")
    if not _PORT.fullmatch(colon + port):
        raise _NoURL
    return _host_text(name) + colon + port


def _literal(raw: bytes) -> bytes:
    """An address in brackets, perhaps with a zone (RFC 6874)."""
    inside, bracket, port = raw.rpartition(b"]")
    if not bracket or not raw.startswith(b"[") or not _PORT.fullmatch(port):
        raise _NoURL
    address, mark, zone = inside[1:].partition(_ZONE)
    plain = _host_text(address)
    try:
        IPv6Address(plain.decode("ascii"))
    except (AddressValueError, UnicodeDecodeError) as bad:
        raise _NoURL from bad
    return b"[" + plain + (b"%" + _zone(zone) if mark else b"") + b"]" + port


def _host_text(raw: bytes) -> bytes:
    """Of ASCII nothing but the percent sign itself may be written as %XX."""
    for found in _ESCAPE.finditer(raw):
        if found[1] is None or (int(found[1], 16) < _FIRST_NOT_ASCII and found[0] != _ZONE):
            raise _NoURL
    if any(byte < _FIRST_NOT_ASCII and byte not in _HOST_PLAIN and byte != ord("%") for byte in raw):
        raise _NoURL
    return _unescaped(raw)


def _zone(raw: bytes) -> bytes:
    for found in _ESCAPE.finditer(raw):
        if found[1] is None:
            raise _NoURL
    plain = _unescaped(raw)
    if any(byte < _FIRST_NOT_ASCII and byte not in _HOST_PLAIN and byte not in b"% " for byte in plain):
        raise _NoURL
    return plain


def _unescaped(raw: bytes) -> bytes:
    def one(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            raise _NoURL
        return bytes([int(found[1], 16)])

    return _ESCAPE.sub(one, raw)


def _escaped(plain: bytes, kept: frozenset[int]) -> bytes:
    return b"".join(bytes([byte]) if byte in kept else b"%%%02X" % byte for byte in plain)
