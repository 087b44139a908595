"""The page of the server, for people: one file, nothing from elsewhere, and no script but its own may run."""

import base64
import hashlib
import re
from functools import lru_cache
from pathlib import Path

from groundplane.pki.server.model import Answer, Call

_PLACES = frozenset({"/", "/bundle", "/scan", "/packages"})
_OK, _MOVED = 200, 301


class Page:
    """Answers for the paths under which CFSSL has its page."""

    def answer(self, call: Call) -> Answer | None:
        """The page, for any method, as Go's file server has it."""
        if call.path == "/index.html":
            return Answer(status=_MOVED, body=b"", headers=((b"location", b"./"),), code=_MOVED)
        if call.path not in _PLACES:
            return None
        body, policy = _page()
        headers = (
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
        )
        return Answer(status=_OK, body=body, headers=headers, code=_OK)


@lru_cache(maxsize=1)
def _page() -> tuple[bytes, bytes]:
    body = Path(__file__).with_name("page.html").read_bytes()
    script, style = (_digest(body, tag) for tag in (b"script", b"style"))
    policy = f"default-src 'none'; script-src {script}; style-src {style}; connect-src 'self'; img-src data:; "
    return body, (policy + "form-action 'none'; base-uri 'none'; frame-ancestors 'none'").encode()


def _digest(body: bytes, tag: bytes) -> str:
    found = re.search(rb"<%b>(.*?)</%b>" % (tag, tag), body, re.DOTALL)
    assert found is not None
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1]).digest()).decode()}'"
