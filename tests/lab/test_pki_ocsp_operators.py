"""What operators see of `groundplane pki ocsp`: its second door, its log, what it tells systemd, what is left of it."""

import fcntl
import json
import os
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from groundplane.pki.certdb import CertificateDatabase, record_of
from groundplane.pki.certdb.config import read_database_config
from tests.lab.acme_lab import free_port
from tests.lab.ocsp_lab import NATIVE, Serving, serving
from tests.lab.test_pki_ocsp import about, base, certificate, openssl  # noqa: F401 - base is a fixture
from tests.unit.pki_ocsp.samples import NOW


@pytest.fixture
def here(base: Path) -> Path:  # noqa: F811 - the fixture
    """A database that knows leaf, and a delegate of its own."""
    written = {"driver": "sqlite3", "data_source": str(base / "watched.db")}
    (base / "watched.db").unlink(missing_ok=True)
    (base / "db.json").write_text(json.dumps(written))
    opened = CertificateDatabase.open(read_database_config((base / "db.json").read_bytes(), source="db"), migrate=True)
    opened.insert(record_of(certificate(base, "leaf"), now=NOW))
    opened.close()
    for name in ("delegate", "delegate-key"):
        (base / f"live-{name}.pem").write_bytes((base / f"{name}.pem").read_bytes())
    (base / "live-delegate-key.pem").chmod(0o600)
    return base


@contextmanager
def responding(here: Path, *argv: str, door: int = 0) -> Iterator[Serving]:
    files = ("--db-config", "db.json", "--ca", "ca.pem")
    keys = ("--responder", "live-delegate.pem", "--responder-key", "live-delegate-key.pem")
    beside = ("--metrics", f"127.0.0.1:{door}") if door else ()
    with serving(NATIVE, "ocsp", *files, *keys, *beside, *argv, at=here) as ours:
        yield ours


def get(port: int, path: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def lines_of(ours: Serving) -> list[dict[str, object]]:
    return [json.loads(line) for line in ours.log.read_text().splitlines()]


def test_a_door_of_their_own_tells_how_it_is(here: Path) -> None:
    door = free_port()
    with responding(here, door=door) as ours:
        before = time.time()
        for _ in range(20):  # whichever worker answers
            assert ours.ask("POST", body=about(here, "leaf"))[0] == 200
        assert ours.ask("POST", body=about(here, "second"))[0] == 200
        assert ours.ask("POST", body=b"garbage")[0] == 400
        told = get(door, "/metrics")[1]
        assert 'groundplane_ocsp_requests_total{outcome="good"} 20.0' in told
        assert 'groundplane_ocsp_requests_total{outcome="unknown"} 1.0' in told
        assert 'groundplane_ocsp_requests_total{outcome="malformed"} 1.0' in told
        assert "groundplane_ocsp_request_seconds_count 22.0" in told
        found = dict(line.split(" ") for line in told.splitlines() if line.startswith("groundplane_ocsp_newest"))
        assert before - 1 <= float(found["groundplane_ocsp_newest_answer_seconds"]) <= time.time()
        ahead = float(found["groundplane_ocsp_newest_answer_next_update_seconds"]) - before
        assert 3500 < ahead <= 3601
        ends = certificate(here, "delegate").not_valid_after_utc.timestamp()
        assert f"groundplane_ocsp_responder_not_after_seconds {ends:.0f}" in told
        assert get(door, "/health") == (200, '{"healthy":true}\n')
        status, deep = get(door, "/health/deep")
        checks = json.loads(deep)["checks"]
        assert checks.keys() == {"database", "certificate", "key"}
        assert (checks["database"], checks["key"]) == ("well", "well")
        assert status == (200 if checks["certificate"] == "well" else 503)


def test_requests_have_names_which_are_in_the_log_and_go_back(here: Path) -> None:
    with responding(here, "--log-level", "debug") as ours:
        answered = ours.ask("POST", body=about(here, "leaf"), headers={"X-Request-ID": "mine-1"})
        assert answered[1]["x-request-id"] == "mine-1"
        assert len(ours.ask("POST", body=b"garbage")[1]["x-request-id"]) == 16
        odd = ours.ask("POST", body=about(here, "leaf"), headers={"X-Request-ID": 'a"b'})[1]["x-request-id"]
        assert '"' not in odd
        ours.wait_for(odd)
        (mine,) = (line for line in lines_of(ours) if line.get("request_id") == "mine-1")
        assert (mine["event"], mine["level"], mine["outcome"]) == ("answered", "debug", "good")
    with responding(here) as ours:
        assert ours.ask("POST", body=about(here, "leaf"))[0] == 200
        with closing(sqlite3.connect(here / "watched.db")) as database:
            database.execute("ALTER TABLE certificates RENAME TO away")
        assert ours.ask("POST", body=about(here, "leaf"), headers={"X-Request-ID": "lost"})[0] == 500
        ours.wait_for("lost")
        (said,) = (line for line in lines_of(ours) if "request_id" in line)  # the failure, from a thread, alone
        assert said["request_id"] == "lost"
        assert "Error retrieving response" in str(said["event"])
        assert {line["component"] for line in lines_of(ours)} == {"ocsp"}


def test_changed_files_are_read_anew_and_the_door_tells_of_the_new(here: Path, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        door = free_port()
        os.environ["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        try:
            with responding(here, door=door) as ours:
                del os.environ["NOTIFY_SOCKET"]
                assert manager.recv(200) == b"READY=1"
                (here / "live-delegate-key.pem").write_bytes((here / "leaf-key.pem").read_bytes())
                ours.wait_for("nothing is changed")
                assert ours.ask("POST", body=about(here, "leaf"))[0] == 200
                for _ in range(2):
                    assert manager.recv(200).startswith((b"RELOADING=1\nMONOTONIC_USEC=", b"READY=1"))
                # The CA itself as the responder's successor: it ends at another time.
                (here / "live-delegate.pem").write_bytes((here / "ca.pem").read_bytes())
                (here / "live-delegate-key.pem").write_bytes((here / "ca-key.pem").read_bytes())
                ours.wait_for('"reloaded"')
                assert manager.recv(200).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
                assert manager.recv(200) == b"READY=1"
                assert "leaf.pem: good" in openssl(here, ours.port, "leaf")
                ends = f"not_after_seconds {certificate(here, 'ca').not_valid_after_utc.timestamp():.0f}"
                end = time.monotonic() + 10
                while not all(ends in get(door, "/metrics")[1] for _ in range(20)):  # whichever worker answers
                    assert time.monotonic() < end
            assert manager.recv(200) == b"STOPPING=1"
        finally:
            os.environ.pop("NOTIFY_SOCKET", None)


def test_nothing_piles_up_when_it_is_killed(here: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    folders = []
    for _ in range(3):
        with responding(here, door=free_port()) as ours:
            assert ours.ask("POST", body=about(here, "leaf"))[0] == 200
            (folder,) = tmp_path.glob("groundplane-pki-*")
            assert folder.stat().st_mode & 0o777 == 0o700
            assert b"PRIVATE" not in b"".join(file.read_bytes() for file in folder.iterdir())
            folders.append(folder)
            ours.process.send_signal(signal.SIGKILL)
            ours.process.wait(20)
            wait_for_lock(folder / "lock")
    assert len(set(folders)) == 3
    with responding(here, door=free_port()) as ours:
        assert ours.ask("POST", body=about(here, "leaf"))[0] == 200
    assert list(tmp_path.glob("groundplane-pki-*")) == []


def wait_for_lock(path: Path) -> None:
    """Until all processes of the killed one have ended."""
    end = time.monotonic() + 20
    with path.open() as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert time.monotonic() < end
                time.sleep(0.02)
            else:
                return
