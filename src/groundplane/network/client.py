"""The agent's socket, asked from asyncio: what the operator's side of the network goes through."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from groundplane.cni.errors import agent_error
from groundplane.errors import DeadlineExceeded, Unavailable

_LONGEST_LINE = 1 << 26


class AgentSilent(Unavailable):
    """The agent is not running, or broke off."""


class AgentClient:
    """The agent at `path`. Each call is a connection of its own, so calls may run at once and survive its restart."""

    def __init__(self, path: Path, *, within: timedelta = timedelta(seconds=30)) -> None:
        self._path, self._within = path, within

    async def status(self) -> dict[str, Any]:
        """`node`, `synced`, `revision`, `bgp`, `blocks`, `endpoints`, `pools`."""
        return dict(await self.ask("status"))

    async def apply(self, documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Create or replace resources, in dependency order; what was done with each."""
        return list(await self.ask("resources.apply", documents=list(documents)))

    async def list(self, kind: str, *, namespace: str | None = None) -> list[dict[str, Any]]:
        """All resources of a kind; `namespace` None: of every namespace."""
        return list(await self.ask("resources.list", kind=kind, namespace=namespace))

    async def delete(self, kind: str, name: str, *, namespace: str = "") -> None:
        """Raises NotFound."""
        await self.ask("resources.delete", kind=kind, name=name, namespace=namespace)

    async def ask(self, op: str, **fields: Any) -> Any:
        """The `result` of an operation. Raises what the agent raised, AgentSilent, or DeadlineExceeded."""
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                answer = await self._exchange({"op": op, **fields})
        except TimeoutError as late:
            what = f"no answer within {self._within.total_seconds():g} s"
            raise DeadlineExceeded(what, to=f"agent at {self._path}, {op}") from late
        if answer.get("ok"):
            return answer.get("result")
        raise agent_error(answer.get("error") or {})

    async def _exchange(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._path), limit=_LONGEST_LINE)
            try:
                writer.write(json.dumps(message).encode() + b"\n")
                line = await reader.readline()
            finally:
                writer.close()
            answer = json.loads(line) if line else None
        except (OSError, ValueError) as silent:
            hint = "is groundplane-agent running?"
            raise AgentSilent(f"does not answer: {silent}", to=f"agent at {self._path}", hint=hint) from silent
        if not isinstance(answer, Mapping):
            raise AgentSilent("closed the connection before it answered", to=f"agent at {self._path}")
        return answer
