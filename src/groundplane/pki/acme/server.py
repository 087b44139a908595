"""The daemon: parts are put together and run until a signal; SIGHUP reads what may change anew."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from groundplane.aio.lifetime import serve_until_signal
from groundplane.errors import GroundplaneError, Invalid, Unavailable
from groundplane.observe.log import logger, set_up
from groundplane.pki.acme import metrics
from groundplane.pki.acme.app import App
from groundplane.pki.acme.config import Config, Endpoint
from groundplane.pki.acme.context import Context, Urls
from groundplane.pki.acme.http import Server
from groundplane.pki.acme.identity import Identity
from groundplane.pki.acme.material import Databases, load_material, open_databases, read_config
from groundplane.pki.acme.trial import tried_database
from groundplane.pki.acme.validation import Validator
from groundplane.pki.acme.worker import Worker
from groundplane.pki.operators.side import Check, Side, serve, tried
from groundplane.pki.operators.trail import Trail
from groundplane.system.clock import SystemClock

_CHECK_IDENTITY = timedelta(hours=1)
_FIXED = ("listen", "url", "database", "state", "metrics")  # the rest may change while it runs
_log = logger("acme")


def main(path: Path) -> int:
    """Serve by the configuration at `path`, until SIGTERM or SIGINT."""
    set_up()
    asyncio.run(serve_until_signal(running(path)))
    return 0


def check(path: Path) -> Config:
    """Read and try everything that `main` would, but bind nothing and make nothing. Raises what it would."""
    config = read_config(path)
    with tried_database(config) as certificates:
        material = load_material(config, certificates, make=False)
        _validator(config)
        Identity(config, material.issuer, material.authority, SystemClock()).plan()
    return config


@asynccontextmanager
async def running(path: Path) -> AsyncIterator[None]:
    """The server, as long as the block lasts."""
    config = read_config(path)
    databases = await asyncio.to_thread(open_databases, config)
    try:
        daemon = await asyncio.to_thread(_Daemon, path, config, databases, asyncio.get_running_loop())
        server = Server(daemon.app, daemon.identity.context)
        with (
            _listening(config.listen) as listener,
            _listening(config.metrics) as beside_it,
            _on_hangup(daemon.hangup),
        ):
            assert listener is not None
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(server.serve(sockets=[listener]))
                beside = [tasks.create_task(one) for one in (daemon.worker.run(), daemon.reload(), daemon.renew())]
                await server.ready.wait()
                side = None if beside_it is None else serve(_side(databases, daemon), beside_it)
                _log.info("acme.ready", url=daemon.context.urls.directory, listen=str(config.listen))
                try:
                    yield
                finally:
                    server.should_exit = True
                    if side is not None:
                        side[0].should_exit = True
                    await asyncio.wait([serving] if side is None else [serving, side[1]])
                    for task in beside:
                        task.cancel()
    finally:
        databases.close()


class _Daemon:
    """The parts, and how they are replaced."""

    def __init__(self, path: Path, config: Config, databases: Databases, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._databases = databases
        self._material = material = load_material(config, databases.certificates)
        clock, due = SystemClock(), asyncio.Event()
        self.hangup = asyncio.Event()
        self.identity = Identity(config, material.issuer, material.authority, clock)
        self.identity.ensure()
        self.context = Context(
            config=config,
            urls=Urls(base=config.url),
            store=databases.store,
            issuer=material.issuer,
            clock=clock,
            wake=lambda: _wake(loop, due),
            external_keys=material.external_keys,
        )
        self.app = App(self.context)
        self.worker = Worker(self.context, _validator(config), wake=due)

    @property
    def trail(self) -> Trail | None:
        """The audit of the moment."""
        return self._material.trail

    async def reload(self) -> None:
        """At each SIGHUP: all of the new configuration, or all of the old."""
        while True:
            await self.hangup.wait()
            self.hangup.clear()
            try:
                context, validator = await asyncio.to_thread(self._load)
            except (GroundplaneError, OSError) as failed:
                _log.error("acme.reload.failed", error=str(failed))
                continue
            self.context = context
            self.app.use(context)
            self.worker.use(context, validator)
            _log.info("acme.reloaded")

    def _load(self) -> tuple[Context, Validator]:
        config, before = read_config(self._path), self.context.config
        for name in _FIXED:
            if getattr(config, name) != getattr(before, name):
                raise Invalid(f"{name!r} cannot change while it runs", to=self._path, hint="start the server again")
        material = load_material(config, self._databases.certificates)
        validator = _validator(config)
        self.identity.use(config, material.issuer, material.authority)
        try:
            self.identity.ensure()
        except (GroundplaneError, OSError):
            self.identity.use(before, self._material.issuer, self._material.authority)
            raise
        self._material = material
        issuer, keys = material.issuer, material.external_keys
        return replace(self.context, config=config, issuer=issuer, external_keys=keys), validator

    async def renew(self) -> None:
        """Look every hour: certificates may live for hours only, and clocks may jump."""
        while True:
            await asyncio.sleep(_CHECK_IDENTITY.total_seconds())
            try:
                await asyncio.to_thread(self.identity.ensure)
            except (GroundplaneError, OSError) as failed:
                _log.error("acme.identity.failed", error=str(failed))


def _side(databases: Databases, daemon: _Daemon) -> Side:
    """The operators' door."""

    def checks() -> tuple[Check, ...]:
        trail = daemon.trail
        audit = () if trail is None else (tried("audit", trail.check),)
        return (tried("database", databases.certificates.ping), *audit)

    return Side(metrics=metrics.exposition, checks=checks)


def _validator(config: Config) -> Validator:
    return Validator(config.validation, caa_identities=config.caa_identities)


@contextmanager
def _on_hangup(event: asyncio.Event) -> Generator[None]:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, event.set)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


@contextmanager
def _listening(place: Endpoint | None) -> Generator[socket.socket | None]:
    """A bound socket; none for no place. Raises Unavailable."""
    if place is None:
        yield None
        return
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    # The protocol is named, because asyncio turns Nagle's algorithm off for sockets that say they are TCP's.
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((place.host, place.port))
        except OSError as taken:
            happened = f"cannot listen: {taken.strerror or taken}"
            raise Unavailable(happened, to=place, hint="free the address, or choose another") from taken
        yield listener


def _wake(loop: asyncio.AbstractEventLoop, due: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(due.set)
    except RuntimeError:
        pass  # the loop has ended; the challenge stays due in the database
