"""The agent's socket: one JSON object a line each way, for root only.

`{"op": …}` is answered by `{"ok": true, "result": …}` or by `{"ok": false, "error": …}` with an object of `kind`,
`happened`, `to`, `hint` and `cni_code`.
A connection may ask any number of times, one after the other; different connections are served at once.
"""

import asyncio
import json
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from groundplane.cni.errors import code_of
from groundplane.errors import GroundplaneError, Invalid, Kind
from groundplane.observe import logger
from groundplane.system import files

Handler = Callable[[str, Mapping[str, Any]], Awaitable[object]]
_LONGEST_LINE = 1 << 24
_AT_ONCE = 64  # a host starts tens of pods at a time; more connections than this wait in the kernel's own queue


class AgentServer:
    """Serves `handle(op, message)` at `path` for the length of an `async with` block.

    A file left by a killed agent is replaced; a lock beside it keeps two agents from serving one path.
    """

    def __init__(self, path: Path, handle: Handler) -> None:
        self._path, self._handle = path, handle
        self._log = logger("agent")
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._server: asyncio.Server | None = None
        self._lock = files.lock(path.with_name(path.name + ".lock"))
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        files.ensure_directory(self._path.parent)
        self._lock.__enter__()
        self._path.unlink(missing_ok=True)
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        before = os.umask(0o177)  # the file is born 0600; no thread of this process makes files yet
        try:
            listening.bind(str(self._path))
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=_LONGEST_LINE, backlog=512)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in tuple(self._open):
            writer.close()
        await self._server.wait_closed()
        self._path.unlink(missing_ok=True)
        self._lock.__exit__(None, None, None)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while line := await reader.readline():
                async with self._slots:
                    answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # the asker went away, or sent a line without end: there is nobody to answer
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
            if not isinstance(message, dict) or not isinstance(message.get("op"), str):
                raise Invalid("is not an object with an op", to="request")  # noqa: TRY301 - answered like any other
            return {"ok": True, "result": await self._handle(message["op"], message)}
        except GroundplaneError as refused:
            return {"ok": False, "error": error_document(refused)}
        except ValueError as bad:
            return {"ok": False, "error": error_document(Invalid(f"is not JSON: {bad}", to="request"))}
        except Exception as bug:  # noqa: BLE001 - a bug in one operation must not end the connection without a word
            self._log.exception("agent.request", op=str(line[:60]))
            happened = f"{type(bug).__name__}: {bug}"
            error = {"kind": Kind.FAILED.name, "happened": happened, "to": "agent", "hint": "see the agent's log"}
            return {"ok": False, "error": {**error, "cni_code": Kind.FAILED.cni_code}}


def error_document(error: GroundplaneError) -> dict[str, Any]:
    """What a refusal looks like on the socket."""
    return {
        "kind": error.kind.name,
        "happened": error.happened,
        "to": str(error.to),
        "hint": error.hint,
        "cni_code": code_of(error),
    }
