"""The daemon: keeps a transport's pair fresh until a signal, and runs hooks whenever it is a new one.

What fails is tried again after five minutes, then after twice as long each time, up to six hours (see `plan`); until
then the old certificate is as good as it was.
"""

import asyncio
import os
import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from groundplane.aio.lifetime import notify
from groundplane.errors import GroundplaneError
from groundplane.observe import logger
from groundplane.pki.transport.plan import pause_after
from groundplane.pki.transport.transport import Transport
from groundplane.system import process
from groundplane.system.clock import SystemClock

_LONGEST_SLEEP = timedelta(minutes=30)  # clocks may be set
_HOOK_WITHIN = timedelta(minutes=5)
_log = logger("pki-transport")


@dataclass(slots=True, kw_only=True)
class Keeper:
    """`hooks` are programs with their arguments, run in order; they know the pair from two variables."""

    transport: Transport
    hooks: tuple[tuple[str, ...], ...] = ()
    clock: Callable[[], datetime] = field(default=SystemClock().now)
    chance: Callable[[], float] = field(default=random.random)
    _pending_hooks: bool = field(default=False, init=False)

    async def once(self) -> bool:
        """Refresh now; whether there is a new certificate. Raises GroundplaneError, also of a hook."""
        fresh = await asyncio.to_thread(self.transport.refresh)
        if fresh:
            certificate = self.transport.certificate
            assert certificate is not None
            until = str(certificate.not_valid_after_utc)
            _log.info("a new certificate", serial=str(certificate.serial_number), until=until)
            self._pending_hooks = True
        if self._pending_hooks:
            await self._run_hooks()
            self._pending_hooks = False
        return fresh

    async def run(self) -> None:
        """Until SIGTERM or SIGINT; SIGHUP looks at once."""
        loop, stop, wake = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

        def end() -> None:
            stop.set()
            wake.set()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)
        loop.add_signal_handler(signal.SIGHUP, wake.set)
        failures = 0
        notify("READY=1")
        while not stop.is_set():
            try:
                await self.once()
            except GroundplaneError as bad:
                failures += 1
                pause = pause_after(failures, chance=self.chance())
                _log.error("no new certificate", error=str(bad), attempt=failures, again=str(self.clock() + pause))
            else:
                failures, pause = 0, self.transport.due() - self.clock()
            pause = min(pause, _LONGEST_SLEEP) if not failures else pause
            try:
                async with asyncio.timeout(max(pause.total_seconds(), 1)):
                    await wake.wait()
            except TimeoutError:
                pass  # it is time to look again
            wake.clear()
        notify("STOPPING=1")

    async def _run_hooks(self) -> None:
        paths = self.transport.identity.paths
        names = (
            {}
            if paths is None
            else {"GROUNDPLANE_CERTIFICATE": paths.certificate, "GROUNDPLANE_KEY": paths.private_key}
        )
        for hook in self.hooks:
            await process.run(hook, within=_HOOK_WITHIN, env={**os.environ, **names})
