"""An ACME server of its own for one test, on loopback: a CA, a database, a small DNS, and free ports."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rdatatype
import dns.rrset

from tests.support.acme import AccountKey, Client

GROUNDPLANE = (sys.executable, "-m", "groundplane.cli.main")
POLICY = {
    "signing": {
        "default": {"expiry": "168h", "usages": ["digital signature", "key encipherment", "server auth"]},
        "profiles": {"hour": {"expiry": "1h", "usages": ["digital signature", "server auth"]}},
    }
}


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class DNS:
    """Every name is 127.0.0.1; a TXT record is a file of that name in `folder`, a line each."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        dns_server = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                data, answer = self.request
                answer.sendto(dns_server.answer(data), self.client_address)

        self._server = socketserver.ThreadingUDPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.port = int(self._server.server_address[1])

    def answer(self, data: bytes) -> bytes:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        texts: list[str] = []
        if question.rdtype == dns.rdatatype.A:
            texts = ["127.0.0.1"]
        elif question.rdtype == dns.rdatatype.TXT and (self.folder / name).is_file():
            texts = [f'"{line}"' for line in (self.folder / name).read_text().split()]
        if texts:
            reply.answer.append(dns.rrset.from_text(question.name, 0, "IN", question.rdtype, *texts))
        return reply.to_wire()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass
class AcmeServer:
    """The daemon and its files; `http_port` and `tls_port` are where it validates."""

    folder: Path
    port: int
    http_port: int
    tls_port: int
    dns: DNS
    process: subprocess.Popen[bytes] | None = None

    @property
    def directory(self) -> str:
        return f"https://localhost:{self.port}/directory"

    @property
    def ca(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> None:
        """Until it says that it is ready."""
        with (self.folder / "log").open("ab") as log:
            begin = log.tell()
            argv = (*GROUNDPLANE, "pki", "acme", "--config", str(self.folder / "acme.json"))
            self.process = subprocess.Popen(argv, stderr=log, cwd=self.folder)
        end = time.monotonic() + 20
        while "acme.ready" not in self.log[begin:]:
            assert self.process.poll() is None, self.log
            assert time.monotonic() < end, self.log
            time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(15)
        self.process = None
        return code

    def reconfigure(self, **changes: Any) -> None:
        path = self.folder / "acme.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def gencert(folder: Path) -> None:
    (folder / "ca.json").write_text(json.dumps({"CN": "lab CA", "key": {"algo": "ecdsa", "size": 256}}))
    argv = (*GROUNDPLANE, "pki", "gencert", "--initca", str(folder / "ca.json"), "--out", str(folder / "ca"))
    subprocess.run(argv, check=True, capture_output=True)


@contextlib.contextmanager
def acme_server(
    folder: Path, *, database: dict[str, str] | None = None, validation: dict[str, Any] | None = None, **changes: Any
) -> Iterator[AcmeServer]:
    """A server that runs; its configuration with `changes`."""
    gencert(folder)
    server = AcmeServer(folder, free_port(), free_port(), free_port(), DNS(folder / "zone"))
    config = {
        "listen": f"127.0.0.1:{server.port}",
        "url": f"https://localhost:{server.port}",
        "names": ["localhost", "127.0.0.1"],
        "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
        "policy": "policy.json",
        "database": "db.json",
        "state": "state",
        "identifiers": {"dns": {"allow": ["*.example.test"]}, "ip": {"allow": ["127.0.0.0/8"]}, "wildcards": True},
        "validation": {
            "allow": ["127.0.0.0/8"],
            "resolvers": [f"127.0.0.1:{server.dns.port}"],
            "http_port": server.http_port,
            "tls_port": server.tls_port,
            "timeout": "4s",
            "attempts": 2,
            "first_wait": "200ms",
            **(validation or {}),
        },
        **changes,
    }
    (folder / "acme.json").write_text(json.dumps(config))
    (folder / "policy.json").write_text(json.dumps(POLICY))
    usual = {"driver": "sqlite3", "data_source": str(folder / "certs.db")}
    (folder / "db.json").write_text(json.dumps(database or usual))
    try:
        server.start()
        yield server
    finally:
        if server.process is not None:
            server.stop(signal.SIGKILL)
        server.dns.close()


class Forward:
    """The server as an ASGI application: each request goes over TLS, so that the client of the unit tests can ask."""

    def __init__(self, server: AcmeServer) -> None:
        self._server = server

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        query = scope["query_string"].decode()
        target = scope["path"] + (f"?{query}" if query else "")
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        status, found, body = await asyncio.to_thread(self._ask, scope["method"], target, message["body"], headers)
        raw = [(name.lower().encode(), value.encode()) for name, value in found]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": body})

    def _ask(
        self, method: str, target: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        context = ssl.create_default_context(cafile=str(self._server.ca))
        connection = http.client.HTTPSConnection("localhost", self._server.port, context=context, timeout=20)
        with contextlib.closing(connection):
            connection.request(method, target, body or None, headers)
            reply = connection.getresponse()
            return reply.status, reply.getheaders(), reply.read()


def client_of(server: AcmeServer, key: AccountKey | None = None) -> Client:
    client = Client(Forward(server), base=f"https://localhost:{server.port}")
    return client if key is None else replace(client, key=key)


@dataclass
class Certbot:
    """Debian's certbot, whose files are all in `folder`."""

    server: AcmeServer
    folder: Path

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        places = [f"--{kind}-dir={self.folder / kind}" for kind in ("config", "work", "logs")]
        argv = ["certbot", *words, "--server", self.server.directory, *places, "-n"]
        environment = {**os.environ, "REQUESTS_CA_BUNDLE": str(self.server.ca)}
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False, timeout=60)
        assert not check or done.returncode == 0, done.stdout + done.stderr + self.server.log
        return done

    def get(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        domains = ["-d", name]
        return self.run(
            "certonly", "--agree-tos", "-m", "ops@example.test", "--no-eff-email", *domains, *words, check=check
        )

    def standalone(self) -> tuple[str, ...]:
        return ("--standalone", "--http-01-address", "127.0.0.1", "--http-01-port", str(self.server.http_port))

    def live(self, name: str) -> Path:
        return self.folder / "config" / "live" / name
