"""The daemon: files become parts, parts are put together, and run until a signal."""

import asyncio
import base64
import binascii
import socket
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa
from cryptography import x509

from groundplane.aio.lifetime import serve_until_signal
from groundplane.errors import GroundplaneError, Invalid, NotFound, Unavailable
from groundplane.observe.log import logger, set_up
from groundplane.pki.acme.app import App
from groundplane.pki.acme.config import Config, parse_config
from groundplane.pki.acme.context import Context, Urls
from groundplane.pki.acme.engine import open_engine
from groundplane.pki.acme.http import Server
from groundplane.pki.acme.identity import Identity
from groundplane.pki.acme.issuer import Issuer
from groundplane.pki.acme.ledger import CertificateLedger
from groundplane.pki.acme.order_store import OrderStore
from groundplane.pki.acme.validation import Validator
from groundplane.pki.acme.worker import Worker
from groundplane.pki.authority import Authority
from groundplane.pki.certdb import read_database_config, subject_key_id_of
from groundplane.pki.certdb.database import CertificateDatabase
from groundplane.pki.keys import load_key
from groundplane.pki.signer import LocalSigner
from groundplane.pki.wire import parse_policy
from groundplane.system import files
from groundplane.system.clock import Clock, SystemClock

_CHECK_IDENTITY = timedelta(hours=1)
_SHORTEST_SECRET = 16
_log = logger("acme")


def main(path: Path) -> int:
    """Serve by the configuration at `path`, until SIGTERM or SIGINT."""
    set_up()
    asyncio.run(serve_until_signal(running(read_config(path))))
    return 0


def check(path: Path) -> int:
    """Read everything that `main` would, and open the database. Raises what it would."""
    open_parts(read_config(path)).close()
    return 0


def read_config(path: Path) -> Config:
    """The configuration at `path`. Raises NotFound, Invalid."""
    return parse_config(_read(path), source=str(path), folder=path.parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the files of the configuration say, opened."""

    issuer: Issuer
    authority: Authority
    store: OrderStore
    engine: sa.Engine
    certificates: CertificateDatabase
    external_keys: Mapping[str, bytes]

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()
        self.certificates.close()


def open_parts(config: Config) -> Parts:
    """Read and open everything. Raises GroundplaneError for the first thing that is wrong."""
    chain = _certificates(config.ca_certificate)
    signer = LocalSigner(load_key(_read(config.ca_key), source=str(config.ca_key)))
    authority = Authority(chain[0], signer, source=str(config.ca_certificate))
    policy = parse_policy(_read(config.policy), source=str(config.policy))
    for name in {config.profile, config.tls_profile, *config.profiles}:
        policy.profile(name)
    if not (key_id := subject_key_id_of(chain[0])):
        happened = "it has no subject key identifier, by which its certificates are kept"
        raise Invalid(happened, to=config.ca_certificate, hint="make one with `groundplane pki gencert --initca`")
    keys = {kid: _secret(path) for kid, path in config.external.keys.items()}
    database = read_database_config(_read(config.database), source=str(config.database))
    certificates = CertificateDatabase.open(database, migrate=True)
    engine = open_engine(database)
    store = OrderStore(engine)
    store.migrate()
    issuer = Issuer(
        chain,
        signer,
        policy=policy,
        default_profile=config.profile,
        ledger=CertificateLedger(certificates, authority_key_id=key_id),
        alternates=[_certificates(path) for path in config.alternate_chains],
        source=str(config.ca_certificate),
    )
    files.ensure_directory(config.state, mode=files.PRIVATE_DIR)
    return Parts(
        issuer=issuer,
        authority=authority,
        store=store,
        engine=engine,
        certificates=certificates,
        external_keys=keys,
    )


@asynccontextmanager
async def running(config: Config, *, clock: Clock | None = None) -> AsyncIterator[None]:
    """The server, as long as the block lasts."""
    clock = clock or SystemClock()
    parts = await asyncio.to_thread(open_parts, config)
    try:
        identity = Identity(config, parts.issuer, parts.authority, clock)
        await asyncio.to_thread(identity.ensure)
        loop, due = asyncio.get_running_loop(), asyncio.Event()
        context = Context(
            config=config,
            urls=Urls(base=config.url),
            store=parts.store,
            issuer=parts.issuer,
            clock=clock,
            wake=lambda: _wake(loop, due),
            external_keys=parts.external_keys,
        )
        validator = Validator(config.validation, caa_identities=config.caa_identities)
        server = Server(App(context), identity.context)
        with _listening(config) as listener:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(server.serve(sockets=[listener]))
                beside = [tasks.create_task(Worker(context, validator, wake=due).run())]
                beside.append(tasks.create_task(_renew(identity)))
                await server.ready.wait()
                _log.info("acme.ready", url=context.urls.directory, listen=str(config.listen))
                try:
                    yield
                finally:
                    server.should_exit = True
                    await asyncio.wait([serving])
                    for task in beside:
                        task.cancel()
    finally:
        parts.close()


@contextmanager
def _listening(config: Config) -> Generator[socket.socket]:
    family = socket.AF_INET6 if ":" in config.listen.host else socket.AF_INET
    # The protocol is named, because asyncio turns Nagle's algorithm off for sockets that say they are TCP's.
    with socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((config.listen.host, config.listen.port))
        except OSError as taken:
            happened = f"cannot listen: {taken.strerror or taken}"
            raise Unavailable(happened, to=config.listen, hint="free the address, or choose another") from taken
        yield listener


def _wake(loop: asyncio.AbstractEventLoop, due: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(due.set)
    except RuntimeError:
        pass  # the loop has ended; the challenge stays due in the database


async def _renew(identity: Identity) -> None:
    """Look every hour: certificates may live for hours only, and clocks may jump."""
    while True:
        await asyncio.sleep(_CHECK_IDENTITY.total_seconds())
        try:
            await asyncio.to_thread(identity.ensure)
        except (GroundplaneError, OSError) as failed:
            _log.error("acme.identity.failed", error=str(failed))


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(path))
    except ValueError as bad:
        raise Invalid("there is no certificate in it that can be read", to=path, hint="give a PEM file") from bad


def _secret(path: Path) -> bytes:
    """An external account's HMAC key, in base64url."""
    text = _read(path).strip()
    if path.stat().st_mode & 0o077:
        raise Invalid("others can read this secret", to=path, hint=f"chmod 600 {path}")
    try:
        secret = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except (ValueError, binascii.Error) as bad:
        raise Invalid("this is not base64url", to=path, hint="make one: openssl rand -base64 32") from bad
    if len(secret) < _SHORTEST_SECRET:
        raise Invalid(f"the secret has less than {_SHORTEST_SECRET} bytes", to=path, hint="make a longer one")
    return secret


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as bad:
        raise NotFound(f"cannot be read: {bad.strerror or bad}", to=path, hint="name another file") from bad
