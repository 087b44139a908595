"""The HTTP server's bounds, on loopback: heads that never end, too many connections, bodies without an end."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from groundplane.pki.acme import http
from groundplane.pki.acme.app import LARGEST_BODY
from groundplane.pki.authority import Authority
from groundplane.pki.policy import client_request
from groundplane.pki.wire import parse_policy
from tests.support.acme import Lab, lab

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Lab]:
    made = lab(tmp_path)
    yield made
    made.store._engine.dispose()


def server_context(here: Lab, folder: Path) -> ssl.SSLContext:
    profile = parse_policy(b'{"signing":{"default":{"expiry":"1h","usages":["server auth"]}}}', source="p").default
    authority: Authority = here.authority
    issued = authority.issue(client_request("localhost"), profile, now=here.clock.now())
    (folder / "pair.pem").write_bytes(issued.certificate_pem + issued.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return context


@contextlib.asynccontextmanager
async def serving(here: Lab, folder: Path) -> AsyncIterator[int]:
    server = http.Server(here.app, server_context(here, folder))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(server.serve(sockets=[listener]))
            await server.ready.wait()
            try:
                yield int(listener.getsockname()[1])
            finally:
                server.should_exit = True


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Streams]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def said(reader: asyncio.StreamReader, *, within: float = 5) -> bytes:
    """All that comes until the end."""
    data = b""
    async with asyncio.timeout(within):
        with contextlib.suppress(ConnectionError):
            while more := await reader.read(65536):
                data += more
    return data


async def test_a_head_that_comes_too_slowly_is_not_waited_for(
    here: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEAD_WITHIN", 0.3)
    async with serving(here, tmp_path) as port, connected(port) as (reader, writer):
        writer.write(b"GET /directory HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        for _ in range(10):  # the second head, letter by letter
            writer.write(b"G")
            await asyncio.sleep(0.05)
        await said(reader, within=1)


async def test_a_head_without_an_end_is_refused(here: Lab, tmp_path: Path) -> None:
    async with serving(here, tmp_path) as port, connected(port) as (reader, writer):
        writer.write(b"GET /directory HTTP/1.1\r\n" + b"x: " + b"y" * 100_000)
        assert (await said(reader)).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_without_an_end_is_refused(here: Lab, tmp_path: Path, *, chunked: bool) -> None:
    head = b"POST /acme/new-account HTTP/1.1\r\nHost: x\r\nContent-Type: application/jose+json\r\n"
    async with serving(here, tmp_path) as port, connected(port) as (reader, writer):
        if chunked:
            size = LARGEST_BODY + 1
            writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % size + b"z" * size + b"\r\n")
        else:
            writer.write(head + b"Content-Length: 999999999\r\n\r\n")
        assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 413")


async def test_one_connection_too_many_is_closed(here: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "CONNECTIONS", 2)
    async with serving(here, tmp_path) as port, connected(port), connected(port):
        with contextlib.suppress(OSError):
            async with connected(port) as (reader, writer):
                writer.write(b"GET /directory HTTP/1.1\r\nHost: x\r\n\r\n")
                assert await said(reader) == b""
