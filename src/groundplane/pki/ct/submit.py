"""A precertificate to a log, and the log's timestamp back (RFC 6962, 4.2).

A log that says it is busy (408, 429, 503) is asked again, for half a minute in all.
"""

import base64
import json
import ssl
import time
from collections.abc import Sequence
from http.client import responses
from time import monotonic
from urllib.parse import urlsplit

from groundplane.pki.ct.model import BadTimestamp, Timestamp, read_timestamp
from groundplane.pki.remote.post import Cut, Failed, Reply, Target, post
from groundplane.pki.remote.tls import ClientTLS, client_context

WITHIN = 30.0  # seconds for one log, all attempts together
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 8.0
_BUSY = frozenset({408, 429, 503})
_OK = 200
_LARGEST = 64 << 10
_PORTS = {"http": 80, "https": 443}


class LogFailed(Exception):
    """The log has not taken it; `str` says why."""


def submit(url: str, chain: Sequence[bytes], *, within: float = WITHIN) -> Timestamp:
    """`chain`: the precertificate and its issuers, in DER. Raises LogFailed."""
    target = _target(url)
    body = json.dumps({"chain": [base64.b64encode(one).decode() for one in chain]}).encode()
    end, pause = monotonic() + within, _FIRST_PAUSE
    while True:
        reply = _asked(target, url, body, end)
        if reply.status not in _BUSY or monotonic() + pause >= end:
            return _read(reply)
        time.sleep(min(_pause(reply, pause), max(0.0, end - monotonic())))
        pause = min(pause * 2, _LONGEST_PAUSE)


def _asked(target: Target, url: str, body: bytes, end: float) -> Reply:
    try:
        return post(target, body, within=max(0.1, end - monotonic()), largest=_LARGEST)
    except (Failed, Cut) as bad:
        raise LogFailed(f'Post "{url.rstrip("/")}/ct/v1/add-pre-chain": {bad}') from bad


def _read(reply: Reply) -> Timestamp:
    if reply.status != _OK:
        status = f"{reply.status} {responses.get(reply.status, '')}".rstrip()
        raise LogFailed(f'got HTTP status "{status}"')
    try:
        fields = json.loads(reply.body)
        if not isinstance(fields, dict):
            raise BadTimestamp("it is no object")
        return read_timestamp(fields)
    except (ValueError, RecursionError) as bad:
        raise LogFailed(f"the log's answer cannot be used: {bad}") from bad


def _pause(reply: Reply, usual: float) -> float:
    said = reply.headers.get("retry-after", "")
    return float(said) if said.isdigit() and len(said) <= 4 else usual  # noqa: PLR2004 - digits of seconds


def _target(url: str) -> Target:
    """Raises LogFailed."""
    try:
        split = urlsplit(url if "://" in url else f"https://{url}")
        port = split.port
    except ValueError as bad:
        raise LogFailed(f"{url!r} is no URL: {bad}") from bad
    if split.scheme not in _PORTS or not split.hostname:
        raise LogFailed(f"{url!r} is not the URL of a log")
    tls: ssl.SSLContext | None = client_context(ClientTLS()) if split.scheme == "https" else None
    return Target(
        host=split.hostname,
        port=port or _PORTS[split.scheme],
        host_header=split.netloc.rpartition("@")[2],
        path=f"{split.path.rstrip('/')}/ct/v1/add-pre-chain",
        tls=tls,
    )
