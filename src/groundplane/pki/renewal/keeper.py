"""The renewal daemon: looks at every pair, renews what is due, runs its hooks, sleeps until the next one is.

What fails is tried again after a minute, then after twice as long each time, up to six hours; one pair's failure
delays no other, nor do its hooks. SIGHUP reads the file again; a file that cannot be read then changes nothing but the
log.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from groundplane.aio.lifetime import notify
from groundplane.errors import GroundplaneError
from groundplane.observe import logger
from groundplane.pki.renewal.config import Config
from groundplane.pki.renewal.due import due, pause_after
from groundplane.pki.renewal.model import Renewed, Target
from groundplane.pki.renewal.replace import Pair, read_pair, renew, why_now
from groundplane.pki.report.find import found_of
from groundplane.pki.report.model import Found, Thresholds, assess
from groundplane.pki.report.render import as_metrics
from groundplane.pki.seen import see
from groundplane.system import files, process

LONGEST_SLEEP = timedelta(hours=1)  # others replace files too
_HOOK_WITHIN = timedelta(minutes=5)

_log = logger("pki-renewer")


@dataclass(slots=True)
class _State:
    """Of one pair. `again`: not before then."""

    failures: int = 0
    again: datetime | None = None
    pending_hooks: bool = False
    hooks: asyncio.Task[bool] | None = None

    @property
    def is_running(self) -> bool:
        """Whether its hooks are."""
        return self.hooks is not None and not self.hooks.done()

    def failed(self, now: datetime) -> None:
        """Once more."""
        self.failures += 1
        self.again = now + pause_after(self.failures)


@dataclass(slots=True)
class Keeper:
    """Keeps the pairs of a file fresh. `load` reads it, `clock` tells the time in UTC."""

    load: Callable[[], Config]
    clock: Callable[[], datetime]
    _states: dict[Path, _State] = field(default_factory=dict)

    async def once(self, config: Config) -> int:
        """Look at every pair now, renew what is due, and run its hooks; how many failed."""
        for state in self._states.values():
            state.hooks = None
        async with asyncio.TaskGroup() as hooks:
            failed = await self._round(config, asyncio.Event(), hooks)
        run = [state.hooks.result() for state in self._states.values() if state.hooks is not None]
        return failed + run.count(False)

    async def _round(self, config: Config, stop: asyncio.Event, hooks: asyncio.TaskGroup) -> int:
        """One look at every pair; hooks are begun, and not waited for."""
        failed = 0
        for target in config.targets:
            state = self._states.setdefault(target.certificate, _State())
            if stop.is_set():
                break
            if state.again is not None and state.again > self.clock():
                continue
            if not await self._look(target, state, hooks):
                failed += 1
        if config.metrics is not None:
            await asyncio.to_thread(_write_metrics, config, config.metrics, self.clock())
        return failed

    async def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises GroundplaneError if the file cannot be read at the start."""
        loop, stop, again = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        config = self.load()
        reload = asyncio.Event()

        def wake(why: asyncio.Event) -> None:
            why.set()
            again.set()

        for number, why in ((signal.SIGTERM, stop), (signal.SIGINT, stop), (signal.SIGHUP, reload)):
            loop.add_signal_handler(number, wake, why)
        notify("READY=1")
        async with asyncio.TaskGroup() as hooks:
            while not stop.is_set():
                if reload.is_set():
                    reload.clear()
                    config = self._reloaded(config)
                await self._round(config, stop, hooks)
                pause = min(self._next(config) - self.clock(), LONGEST_SLEEP, _watchdog() or LONGEST_SLEEP)
                notify("WATCHDOG=1")
                try:
                    async with asyncio.timeout(max(pause.total_seconds(), 1)):
                        await again.wait()
                except TimeoutError:
                    pass  # nothing happened until the next pair is due
                again.clear()
            notify("STOPPING=1")
            for state in self._states.values():
                if state.hooks is not None:
                    state.hooks.cancel()  # which ends the program

    def _reloaded(self, config: Config) -> Config:
        try:
            fresh = self.load()
        except GroundplaneError as bad:
            _log.error("the file cannot be used; going on with what it said before", error=str(bad))
            return config
        self._states = {place: state for place, state in self._states.items() if state.is_running}
        _log.info("read the file again", certificates=len(fresh.targets))
        return fresh

    async def _look(self, target: Target, state: _State, hooks: asyncio.TaskGroup) -> bool:
        now = self.clock()
        place = str(target.certificate)
        try:
            pair = await asyncio.to_thread(read_pair, target)
            if reason := why_now(pair, target, now=now):
                made = await self._renew(pair, target, now)
                state.pending_hooks = True
                _log.info(
                    "renewed", certificate=place, reason=reason, serial=str(made.serial), until=str(made.not_after)
                )
                for note in made.notes:
                    _log.warning(note, certificate=place)
        except GroundplaneError as bad:
            state.failed(now)
            _log.error("not renewed", certificate=place, error=str(bad), attempt=state.failures, again=str(state.again))
            return False
        if state.pending_hooks and not state.is_running:
            state.hooks = hooks.create_task(self._hooked(target, state))
        elif not state.pending_hooks:
            state.failures, state.again = 0, None
        return True

    async def _hooked(self, target: Target, state: _State) -> bool:
        """Other pairs go on meanwhile."""
        try:
            await run_hooks(target)
        except GroundplaneError as bad:
            state.failed(self.clock())
            _log.error(
                "a hook failed; the certificate is renewed",
                certificate=str(target.certificate),
                error=bad.happened if isinstance(bad, process.ProgramMissing) else str(bad),
                program=str(bad.to),
                attempt=state.failures,
                again=str(state.again),
            )
            return False
        state.failures, state.again, state.pending_hooks = 0, None, False
        return True

    async def _renew(self, pair: Pair, target: Target, now: datetime) -> Renewed:
        return await asyncio.to_thread(renew, pair, target, now=now, must_gain=True)

    def _next(self, config: Config) -> datetime:
        """When the next pair is due, or to be tried again."""
        times = [self.clock() + LONGEST_SLEEP]
        for target in config.targets:
            state = self._states.get(target.certificate, _State())
            if state.again is not None:
                times.append(state.again)
                continue
            try:
                seen = see(read_pair(target).certificate)
            except GroundplaneError:
                continue  # the next look says so
            times.append(due(seen, target, now=self.clock()).at)
        return min(times)


async def run_hooks(target: Target) -> None:
    """Run the hooks in order; they know which pair from two variables. Raises ProgramFailed and its like."""
    names = {"GROUNDPLANE_CERTIFICATE": str(target.certificate), "GROUNDPLANE_KEY": str(target.key)}
    for hook in target.hooks:
        await process.run(hook, within=_HOOK_WITHIN, env={**os.environ, **names})


def _write_metrics(config: Config, path: Path, now: datetime) -> None:
    found = []
    for target in config.targets:
        try:
            found.append(found_of(read_pair(target).certificate, str(target.certificate)))
        except GroundplaneError as bad:
            found.append(Found(place=str(target.certificate), trouble=str(bad)))
    try:
        files.replace(path, as_metrics(assess(found, Thresholds(), now=now)).encode(), durable=False)
    except OSError as bad:
        _log.error("the metrics cannot be written", path=str(path), error=str(bad))


def _watchdog() -> timedelta | None:
    """Half of what systemd's watchdog allows, or None without one (sd_watchdog_enabled(3))."""
    text = os.environ.get("WATCHDOG_USEC", "")
    return timedelta(microseconds=int(text)) / 2 if text.isdigit() and int(text) else None
