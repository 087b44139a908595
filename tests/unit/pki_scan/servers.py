"""Servers to be scanned: OpenSSL's in memory, without a socket; and strange ones on loopback."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from groundplane.pki.chain.build import Pool
from groundplane.pki.scan.hello import Offer, hello_message, hello_record
from groundplane.pki.scan.line import Line, Site, open_line
from groundplane.pki.scan.model import Trouble
from groundplane.pki.scan.registry import OLD_GROUPS, PAIRS, TLS12, old_suites
from tests.unit.pki_chain.workshop import Made, key, key_pem, made

Talk = Callable[[socket.socket], None]


@cache
def leaf(kind: str) -> Made:
    """A certificate that signs itself."""
    return made("localhost", the_key=key(kind), hosts=["localhost"])


def context(kind: str = "p256") -> ssl.SSLContext:
    """A server's."""
    made_so = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        pair = Path(folder, "pair.pem")
        pair.write_bytes(leaf(kind).pem + key_pem(leaf(kind).key))
        made_so.load_cert_chain(pair)
    return made_so


def answer(record: bytes, kind: str = "p256", *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What OpenSSL answers to that record."""
    server = context(kind)
    server.maximum_version = newest
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    secured = server.wrap_bio(came, goes, server_side=True)
    came.write(record)
    try:
        secured.do_handshake()
    except ssl.SSLError:
        pass  # it wants more, or refuses: both are in what it wrote
    return goes.read()


def site() -> Site:
    """Nobody is trusted, nothing is known."""

    def no_ranges() -> tuple[str, ...]:
        raise Trouble("nobody is asked", to="ranges")

    return Site(
        roots=lambda: Pool(()),
        is_revoked=lambda _: False,
        strangers=lambda chain: chain,
        ranges=no_ranges,
        clock=lambda: datetime.now(UTC),
    )


@contextmanager
def talking(talk: Talk, *, seconds: float = 5.0) -> Iterator[Line]:
    """A server on loopback that talks to each connection in a thread of its own; the line to it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return  # closed: the test is over
                threading.Thread(target=_one, args=(talk, connection), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        port = listener.getsockname()[1]
        yield open_line(f"127.0.0.1:{port}", "", site=site(), within=timedelta(seconds=seconds))
        listener.shutdown(socket.SHUT_RDWR)


def _one(talk: Talk, connection: socket.socket) -> None:
    with connection:
        try:
            talk(connection)
        except OSError:
            pass  # the client hung up, as scans do


@cache
def old_record() -> bytes:
    """The first flight of a TLS 1.2 server, recorded."""
    offer = Offer(version=TLS12, suites=old_suites(), groups=tuple(OLD_GROUPS), schemes=tuple(PAIRS))
    record = hello_record(hello_message(offer, bytes(range(64))), TLS12)
    return answer(record, newest=ssl.TLSVersion.TLSv1_2)
