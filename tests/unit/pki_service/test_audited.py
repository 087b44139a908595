"""What the audit does not know is not done, not handed out, and not passed over in silence."""

import asyncio
import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from groundplane.errors import Unavailable
from groundplane.pki import Authority, parse_request
from groundplane.pki.certdb import CertificateDatabase, DatabaseConfig, Search
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.operators.log import JsonJournal
from groundplane.pki.operators.trail import Lost, Trail
from groundplane.pki.server.log import Lines
from groundplane.pki.service import metrics
from groundplane.pki.service.config import parse_config
from groundplane.pki.service.guard import Guard
from groundplane.pki.service.model import Address, Service
from groundplane.pki.service.run import check
from groundplane.pki.service.site import ServiceSite, build

NOW = datetime.now(UTC)
NEWCERT = {"request": {"CN": "x", "hosts": ["x.example"]}}


@dataclass
class Served:
    """A service in memory, its folder and its log."""

    folder: Path
    log: list[str] = field(default_factory=list)

    def build(self) -> ServiceSite:
        journal = JsonJournal(write=self.log.append, clock=lambda: NOW)
        return build(self.service(), journal=journal, lines=Lines(), listener=None, lost=Lost())

    def service(self) -> Service:
        file = self.folder / "serve.json"
        return parse_config(file.read_bytes(), source=str(file), directory=self.folder)

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "audit" / "lines").read_text().splitlines()]

    def logged(self, event: str) -> list[dict[str, Any]]:
        return [line for line in map(json.loads, self.log) if line["event"] == event]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    authority, root = Authority.create_root(parse_request(b'{"CN":"root"}', source="x"), now=NOW)
    assert authority.seen.is_ca
    (tmp_path / "ca.pem").write_bytes(root.certificate_pem)
    (tmp_path / "ca-key.pem").write_bytes(root.key_pem)
    (tmp_path / "policy.json").write_text('{"signing":{"default":{"expiry":"100h","usages":["server auth"]}}}')
    config = DatabaseConfig(driver="sqlite3", data_source=str(tmp_path / "certs.db"))
    (tmp_path / "db.json").write_text(json.dumps({"driver": config.driver, "data_source": config.data_source}))
    CertificateDatabase.open(config, migrate=True).close()
    (tmp_path / "audit").mkdir()
    document = {
        "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
        "policy": "policy.json",
        "database": "db.json",
        "endpoints": {"enable": ["newcert"]},
        "audit": "audit/lines",
        "replay": {"window": "5m", "state": "seen.db"},
    }
    (tmp_path / "serve.json").write_text(json.dumps(document))
    return Served(tmp_path)


def post(application: Any, path: str, body: object) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Status, reply and head."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "client": ("10.0.0.9", 1)}
    asyncio.run(application({**scope, "headers": [(b"x-request-id", b"my-request")]}, receive, send))
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], json.loads(sent[1]["body"]), head


def newcert(site: ServiceSite) -> tuple[int, dict[str, Any], dict[str, str]]:
    return post(site.application, "/api/v1/cfssl/newcert", NEWCERT)


def issued(folder: Path) -> int:
    database = CertificateDatabase.open(DatabaseConfig(**json.loads((folder / "db.json").read_text())))
    try:
        return sum(1 for _ in database.search(Search()))
    finally:
        database.close()


def health(site: ServiceSite) -> dict[str, str]:
    from groundplane.pki.service.health import look

    return {one.name: one.trouble or "well" for one in look(site._services, site._trail)}


def untold() -> float:
    value: float = metrics.UNTOLD._value.get()
    return value


def test_a_line_before_the_act_and_one_before_the_answer(served: Served) -> None:
    site = served.build()
    status, reply, _ = newcert(site)
    assert (status, reply["success"]) == (200, True)
    before, after = served.audit()
    assert (before["outcome"], before["endpoint"], before["request_id"]) == ("asked", "newcert", "my-request")
    assert (after["outcome"], after["request_id"], after["names"]) == ("done", "my-request", ["x.example"])
    assert health(site) == {"ca": "well", "database": "well", "audit": "well"}


def test_without_an_audit_nothing_is_done_and_everybody_is_told(served: Served) -> None:
    site = served.build()
    before, folder = untold(), served.folder / "audit"
    folder.rename(served.folder / "away")
    status, reply, head = newcert(site)
    assert (status, reply["success"], reply["errors"][0]["code"]) == (503, False, 503)
    assert reply["result"] is None
    assert "nothing was done" in reply["errors"][0]["message"]
    assert str(folder) not in json.dumps(reply)
    assert head["x-request-id"] == "my-request"
    assert issued(served.folder) == 0
    (told,) = served.logged("not audited")
    assert told["level"] == "error"
    assert "audit/lines: the audit cannot be written: no such file or directory" in told["error"]
    assert told["request_id"] == "my-request"
    assert served.logged("call")[-1]["status"] == 503
    assert untold() == before + 1
    assert "cannot be written" in health(site)["audit"]
    assert post(site.application, "/api/v1/cfssl/info", {})[0] == 200  # what needs no line goes on
    (served.folder / "away").rename(folder)
    assert health(site)["audit"] == "well"
    assert [line["event"] for line in served.audit()] == ["resumed"]
    assert newcert(site)[0] == 200


def test_what_is_made_when_the_audit_breaks_is_not_handed_out(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    site = served.build()
    write = AuditLog.write

    def full(log: AuditLog, fields: dict[str, object]) -> None:
        if fields.get("outcome") != "asked":
            raise Unavailable("no space left on device", to=log.path)
        write(log, fields)

    monkeypatch.setattr(AuditLog, "write", full)
    status, reply, _ = newcert(site)
    assert (status, reply["result"], "PRIVATE KEY" in json.dumps(reply)) == (503, None, False)
    assert "nothing is handed out" in reply["errors"][0]["message"]
    (told,) = served.logged("not audited")
    assert told["line"]["names"] == ["x.example"]  # so that it can be revoked
    assert served.logged("call")[-1]["status"] == 503
    assert [line["outcome"] for line in served.audit()] == ["asked"]
    assert "no space left" in health(site)["audit"]
    status, reply, _ = post(site.application, "/api/v1/cfssl/newcert", {"request": 5})
    assert (status, "nothing was done" in reply["errors"][0]["message"]) == (503, True)


def test_all_processes_know_what_one_has_lost(tmp_path: Path) -> None:
    lost = Lost()
    log = AuditLog(path=tmp_path / "missing" / "lines")
    if (child := os.fork()) == 0:
        try:
            Trail(log, lost=lost).write({})
        except Unavailable:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert lost.is_set
    Trail(AuditLog(path=tmp_path / "lines"), lost=lost).write({})
    assert not lost.is_set


def test_a_mistake_of_ours_is_logged_and_not_shown() -> None:
    log: list[str] = []

    async def broken(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    guard = Guard(
        broken,
        Service(listen=Address(host="127.0.0.1", port=1), settings=served_nothing()),
        journal=JsonJournal(write=log.append, clock=lambda: NOW),
        refused=lambda *_: None,
        flush=lambda: None,
    )
    status, reply, head = post(guard, "/", {})
    assert (status, reply["success"], head["x-request-id"]) == (500, False, "my-request")
    assert "secret" not in json.dumps(reply)
    (line,) = map(json.loads, log)
    assert (line["error"], line["request_id"]) == ("ZeroDivisionError: secret words", "my-request")
    assert "in broken" in line["traceback"]


def served_nothing() -> Any:
    from groundplane.pki.server.settings import Settings

    return Settings()


def test_asking_whether_it_would_be_served_writes_nothing(served: Served) -> None:
    def tree() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in served.folder.rglob("*") if path.is_file()}

    before = tree()
    assert str(check(served.service).listen) == "127.0.0.1:8888"
    assert tree() == before
