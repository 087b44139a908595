"""bird.ctl: one command a connection, so that a BIRD that was restarted in between is nothing special."""

import asyncio
from datetime import timedelta
from pathlib import Path

from groundplane.errors import Failed, Unavailable
from groundplane.network.bird.model import Session
from groundplane.network.bird.status import Reply, complete, parse_reply, parse_sessions

_WITHIN = timedelta(seconds=5)


class BirdSilent(Unavailable):
    """BIRD is not running, or does not answer."""


class BirdRefused(Failed):
    """BIRD refused the command or the file; its words are in the message. It goes on with the file before."""


class BirdControl:
    """The socket at `path`."""

    def __init__(self, path: Path, *, within: timedelta = _WITHIN) -> None:
        self._path, self._within = path, within

    async def configure(self) -> None:
        """Read the file again. Returns when BIRD has taken it; what it starts, it starts at once."""
        await self.ask("configure")

    async def sessions(self) -> tuple[Session, ...]:
        """The mesh's BGP sessions."""
        return parse_sessions(await self.ask("show protocols all"))

    async def ask(self, command: str) -> Reply:
        """Raises BirdSilent and BirdRefused."""
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                reader, writer = await asyncio.open_unix_connection(str(self._path))
                try:
                    await _read(reader)  # the greeting
                    writer.write(command.encode() + b"\n")
                    reply = await _read(reader)
                finally:
                    writer.close()
        except (OSError, TimeoutError) as silent:
            raise BirdSilent(f"does not answer: {silent or 'too late'}", to=self._path, hint="is bird up?") from silent
        if reply.failure:
            raise BirdRefused(reply.failure, to=f"bird: {command}")
        return reply


async def _read(reader: asyncio.StreamReader) -> Reply:
    lines: list[str] = []
    while not (lines and complete(lines[-1])):
        raw = await reader.readline()
        if not raw.endswith(b"\n"):
            raise ConnectionResetError("the connection ended within a reply")
        lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
    return parse_reply(lines)
