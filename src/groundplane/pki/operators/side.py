"""The second door, for operators: /metrics, /health, and /health/deep, which tries what the service needs."""

import asyncio
import json
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from cryptography.exceptions import InvalidSignature

from groundplane.errors import GroundplaneError
from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.server.app import Receive, Scope, Send


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried; `trouble` empty: it is well."""

    name: str
    trouble: str = ""


def tried(name: str, call: Callable[[], object]) -> Check:
    """What came of trying it."""
    try:
        call()
    except (GroundplaneError, CfsslError, ValueError, InvalidSignature) as bad:
        return Check(name=name, trouble=str(bad))
    return Check(name=name)


_TEXT, _JSON = b"text/plain; version=0.0.4; charset=utf-8", b"application/json"
_OK, _NOT_FOUND, _UNAVAILABLE = 200, 404, 503
_MOST_AT_ONCE = 32


class Side:
    """An ASGI application; both functions may block."""

    def __init__(self, *, metrics: Callable[[], bytes], checks: Callable[[], tuple[Check, ...]]) -> None:
        self._metrics = metrics
        self._checks = checks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """One request; its body is of no interest."""
        if scope["type"] != "http":
            return
        status, kind, body = await self._answer(scope["path"])
        headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, path: str) -> tuple[int, bytes, bytes]:
        match path:
            case "/metrics":
                return _OK, _TEXT, await asyncio.to_thread(self._metrics)
            case "/health":
                return _OK, _JSON, b'{"healthy":true}\n'
            case "/health/deep":
                checks = await asyncio.to_thread(self._checks)
                healthy = not any(check.trouble for check in checks)
                found = {check.name: check.trouble or "well" for check in checks}
                body = json.dumps({"healthy": healthy, "checks": found}) + "\n"
                return _OK if healthy else _UNAVAILABLE, _JSON, body.encode()
            case _:
                return _NOT_FOUND, _TEXT, b"404 page not found\n"


class SideServer(uvicorn.Server):
    """uvicorn without its own signals: the worker has them."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave them."""
        yield


def serve(side: Side, listener: socket.socket) -> tuple[SideServer, asyncio.Task[Any]]:
    """Begin to serve, in the running loop."""
    config = uvicorn.Config(
        side,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST_AT_ONCE,
        timeout_keep_alive=5,
    )
    server = SideServer(config)
    return server, asyncio.get_running_loop().create_task(server.serve(sockets=[listener.dup()]))
