"""Paths that Go's server would send elsewhere: `//` and dots are cleaned, by a redirection."""

import posixpath
from html import escape
from urllib.parse import quote

from groundplane.pki.server.model import Answer, Call

_MOVED = 301


def clean(path: str) -> str:
    """The path as Go wants it: absolute, without empty parts or dots; a slash at the end stays."""
    if not path:
        return "/"
    found = posixpath.normpath("/" + path.lstrip("/"))
    return found + "/" if path.endswith("/") and found != "/" else found


def moved(call: Call) -> Answer | None:
    """The redirection, if the path is not clean."""
    wanted = clean(call.path)
    if wanted == call.path:
        return None
    place = quote(wanted, safe="/:@!$&'()*+,;=~-._") + (f"?{call.query}" if call.query else "")
    headers: tuple[tuple[bytes, bytes], ...] = ((b"location", place.encode("latin-1")),)
    body = b""
    if call.method in {"GET", "HEAD"}:
        headers = ((b"content-type", b"text/html; charset=utf-8"), *headers)
        body = f'<a href="{escape(place)}">Moved Permanently</a>.\n\n'.encode()
    return Answer(status=_MOVED, body=body, headers=headers, code=_MOVED)
