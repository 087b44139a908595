"""10,000 issues and revokes against PostgreSQL from 16 clients, with the server killed in the middle.

No serial twice, no certificate that a client holds missing from the database, no revoked one answered good.
"""

import http.client
import json
import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from groundplane.pki.certdb import Status
from groundplane.pki.certdb.database import CertificateDatabase
from groundplane.pki.certdb.model import DatabaseConfig
from groundplane.pki.csr import make_csr
from groundplane.pki.keys import generate
from groundplane.pki.model import P256
from groundplane.pki.name import AlternativeNames, Subject
from tests.lab.databases import Server, postgres  # noqa: F401 - a fixture

GROUNDPLANE = (sys.executable, "-m", "groundplane.cli.main")
CLIENTS, EACH = 16, 625  # calls; every second one revokes what the one before was issued
KILLS = 2
_RETRY = 0.1


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Daemon:
    """A server in a process group of its own, so that one signal ends master and workers at once."""

    argv: tuple[str, ...]
    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        with (self.folder / f"log-{self.port}").open("ab") as log:
            self.process = subprocess.Popen(
                [*GROUNDPLANE, *self.argv], cwd=self.folder, stderr=log, start_new_session=True
            )
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert time.monotonic() < end, (self.folder / f"log-{self.port}").read_text()[-2000:]
                time.sleep(0.05)
            else:
                return

    def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, number)
        self.process.wait(30)


def client(number: int, api: int, responder: int, folder: Path) -> None:
    """One client: asks until it has an answer, and writes down what it was told."""
    dice = random.Random(number)
    issuer = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    key = generate(P256)
    names = AlternativeNames(dns=(f"client-{number}.example",))
    csr = make_csr(key, subject=Subject(), names=names).decode()
    told = []
    last: x509.Certificate | None = None
    for _ in range(EACH):
        if last is None:
            reply = ask(api, "sign", {"certificate_request": csr})
            result = reply["result"]
            assert isinstance(result, dict)
            last = x509.load_pem_x509_certificate(result["certificate"].encode())
            told.append({"issued": str(last.serial_number)})
            continue
        aki = last.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert aki is not None
        what = {"serial": str(last.serial_number), "authority_key_id": aki.hex(), "reason": "superseded"}
        assert ask(api, "revoke", what)["success"] is True
        told.append({"revoked": str(last.serial_number)})
        if dice.random() < 0.25:
            assert standing(responder, last, issuer) is ocsp.OCSPCertStatus.REVOKED
        last = None
    (folder / f"told-{number}.json").write_text(json.dumps(told))


def ask(port: int, endpoint: str, body: object) -> dict[str, object]:
    """The reply; a server that is not there, or dies under way, is asked again."""
    end = time.monotonic() + 60
    while True:
        try:
            status, reply = post(port, f"/api/v1/cfssl/{endpoint}", json.dumps(body).encode(), "application/json")
        except (OSError, http.client.HTTPException):
            assert time.monotonic() < end, f"nobody answers {endpoint}"
            time.sleep(_RETRY)
            continue
        document: dict[str, object] = json.loads(reply)
        assert status == 200, document
        return document


def post(port: int, path: str, body: bytes, kind: str) -> tuple[int, bytes]:
    """Over a connection that is kept."""
    connection = _CONNECTIONS.get(port) or http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    _CONNECTIONS[port] = connection
    try:
        connection.request("POST", path, body, {"content-type": kind})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except BaseException:
        connection.close()
        del _CONNECTIONS[port]
        raise


_CONNECTIONS: dict[int, http.client.HTTPConnection] = {}


def standing(port: int, certificate: x509.Certificate, issuer: x509.Certificate) -> ocsp.OCSPCertStatus:
    request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA256()).build()
    for _ in range(100):
        _, reply = post(port, "/", request.public_bytes(Encoding.DER), "application/ocsp-request")
        answer = ocsp.load_der_ocsp_response(reply)
        if answer.response_status is not ocsp.OCSPResponseStatus.TRY_LATER:
            break
        time.sleep(_RETRY)  # all its threads are busy
    assert answer.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL, answer.response_status
    return answer.certificate_status


@pytest.fixture
def folder(tmp_path: Path, postgres: Server) -> Path:  # noqa: F811 - the fixture
    config = postgres.new_database()
    (tmp_path / "db.json").write_text(json.dumps({"driver": config.driver, "data_source": config.data_source}))
    (tmp_path / "db.json").chmod(0o600)
    (tmp_path / "ca.json").write_text('{"CN":"root","ca":{"expiry":"87600h"}}')
    usages = ["digital signature", "server auth"]
    (tmp_path / "policy.json").write_text(json.dumps({"signing": {"default": {"expiry": "100h", "usages": usages}}}))
    for argv in (
        ("pki", "gencert", "--initca", "ca.json", "--out", "ca"),
        ("pki", "db", "init", "--db-config", "db.json"),
    ):
        subprocess.run([*GROUNDPLANE, *argv], cwd=tmp_path, check=True, timeout=60, capture_output=True)
    return tmp_path


@pytest.mark.timeout(240)
def test_nothing_is_lost_or_doubled_when_the_server_is_killed_under_load(folder: Path) -> None:
    api, responder = free_port(), free_port()
    ca = {"certificate": "ca.pem", "key": "ca-key.pem"}
    config = {"listen": f"127.0.0.1:{api}", "ca": ca, "policy": "policy.json", "database": "db.json"}
    (folder / "serve.json").write_text(json.dumps({**config, "logLevel": "error"}))
    server = Daemon(("pki", "serve", "--config", "serve.json"), folder, api)
    by = ("--db-config", "db.json", "--ca", "ca.pem", "--ca-key", "ca-key.pem")
    live = Daemon(("pki", "ocsp", *by, "--port", str(responder), "--workers", "1"), folder, responder)
    server.start()
    live.start()
    fork = multiprocessing.get_context("fork")
    clients = [fork.Process(target=client, args=(number, api, responder, folder)) for number in range(CLIENTS)]
    try:
        for one in clients:
            one.start()
        for kill in range(1, KILLS + 1):
            wait_until(lambda: count(folder) >= kill * CLIENTS * EACH // 2 // (KILLS + 1))  # noqa: B023 - called at once
            server.end(signal.SIGKILL)
            server.start()
        for one in clients:
            one.join(200)
        assert [one.exitcode for one in clients] == [0] * CLIENTS
    finally:
        for one in clients:
            one.kill()
        server.end(signal.SIGTERM)
        live.end(signal.SIGTERM)
    judge(folder)


def judge(folder: Path) -> None:
    told = [line for path in folder.glob("told-*.json") for line in json.loads(path.read_text())]
    assert len(told) == CLIENTS * EACH
    issued = [line["issued"] for line in told if "issued" in line]
    revoked = {line["revoked"] for line in told if "revoked" in line}
    assert len(set(issued)) == len(issued)
    with database(folder) as (records, status):
        assert set(issued) <= records
        assert {serial for serial in revoked if status(serial) is not Status.REVOKED} == set()
        assert {serial for serial in set(issued) - revoked if status(serial) is not Status.GOOD} == set()


class database:  # noqa: N801 - reads as one
    """The serials of all rows, and the status of one."""

    def __init__(self, folder: Path) -> None:
        document = json.loads((folder / "db.json").read_text())
        self._database = CertificateDatabase.open(DatabaseConfig(**document))

    def __enter__(self) -> tuple[set[str], Callable[[str], Status]]:
        from groundplane.pki.certdb import Search

        found = {str(record.serial): record.status for record in self._database.search(Search())}
        return set(found), found.__getitem__

    def __exit__(self, *_: object) -> None:
        self._database.close()


def count(folder: Path) -> int:
    """Rows so far."""
    import psycopg

    source = json.loads((folder / "db.json").read_text())["data_source"]
    with psycopg.connect(source) as connection:
        row = connection.execute("SELECT count(*) FROM certificates").fetchone()
        assert row is not None
        return int(row[0])


def wait_until(true: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)
