"""BIRD's file on disk and BIRD's own idea of it, kept the same."""

import asyncio
from pathlib import Path

from groundplane.network.bird.control import BirdControl, BirdRefused, BirdSilent
from groundplane.observe import logger
from groundplane.system import files

_MODE = 0o640
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


class BirdKeeper:
    """Writes the file when it differs, and tells BIRD until BIRD has heard.

    A BIRD that starts later reads the file by itself; one that is just starting has read it but not opened its socket
    yet. The two look alike from here, so a BIRD that does not answer is told again until it does: it has no event.
    """

    def __init__(self, config: Path, control: BirdControl) -> None:
        self._config, self._control = config, control
        self._wanted: str | None = None
        self._woken = asyncio.Event()
        self._log = logger("bird")

    def want(self, text: str) -> None:
        """Make this the file; `run` does it."""
        if text != self._wanted:
            self._wanted = text
            self._woken.set()

    def ensure_file(self, text: str) -> None:
        """Write `text` where there is no file at all, so that BIRD can start."""
        if not self._config.exists():
            files.ensure_directory(self._config.parent)
            files.replace(self._config, text.encode(), mode=_MODE, durable=False)

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            assert self._wanted is not None
            data = self._wanted.encode()
            if files.read_optional(self._config) != data:
                files.replace(self._config, data, mode=_MODE, durable=False)
            await self._tell(data)

    async def _tell(self, data: bytes) -> None:
        pause = _FIRST_PAUSE
        while not self._woken.is_set():  # a newer file is about to be written: that one is to be told
            try:
                await self._control.configure()
            except BirdSilent:
                await asyncio.sleep(pause)
                pause = min(pause * 1.5, _LONGEST_PAUSE)
            except BirdRefused as refused:
                self._log.error("bird.refused", reason=str(refused))
                return
            else:
                self._log.info("bird.configured", bytes=len(data))
                return
