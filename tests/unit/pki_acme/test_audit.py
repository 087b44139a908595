"""The ACME server's audit: a line before each act, with whose it is; and --check, which makes nothing."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from groundplane.cli.main import main
from groundplane.errors import NotFound, Unavailable
from groundplane.pki import Authority, parse_request
from groundplane.pki.acme import jose, metrics
from groundplane.pki.acme.ledger import WatchedLedger
from groundplane.pki.acme.material import load_material, read_config
from groundplane.pki.acme.server import check
from groundplane.pki.acme.trial import tried_database
from groundplane.pki.operators.audit import AuditLog
from groundplane.pki.operators.trail import Lost, Trail
from tests.support.acme import SERVER, START, Lab, MemoryLedger, b64, csr, jwk_of, lab
from tests.unit.pki_acme.test_protocol import issued, ready_order, registered, revoke


def audited(folder: Path) -> tuple[Lab, MemoryLedger]:
    """A server with an audit file, and what is in its certificate database."""
    rows = MemoryLedger()
    (folder / "audit").mkdir()
    trail = Trail(AuditLog(path=folder / "audit" / "lines"), lost=Lost(), failed=metrics.UNTOLD.inc)
    return lab(folder, ledger_of=lambda _: WatchedLedger(rows, trail)), rows


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "audit" / "lines").read_text().splitlines()]


async def test_lines_say_whose_it_was_and_who_took_it_back(tmp_path: Path) -> None:
    here, _ = audited(tmp_path)
    client = await registered(here)
    key = ec.generate_private_key(ec.SECP256R1())
    first = await issued(here, client, "a.example.test", key=key)
    second = await issued(here, client, "a.example.test", key=key)
    assert (await revoke(client, first, reason=4)).status == 200
    assert (await revoke(client, second, key=key)).status == 200
    made, again, gone, by_key = lines(tmp_path)
    for line, leaf in ((made, first), (again, second), (gone, first), (by_key, second)):
        order = here.store.order_of_serial(leaf.serial_number)
        assert order is not None
        assert (line["door"], line["serial"], line["names"]) == ("acme", str(leaf.serial_number), ["a.example.test"])
        assert (line["acme_account"], line["acme_order"], line["is_ca"]) == (order.account, order.id, False)
        assert line["not_after"] == f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert (gone["event"], gone["reason"], gone["revoked_by"]) == ("revoked", 4, gone["acme_account"])
    assert gone["key"] == jose.thumbprint(jwk_of(client.key))
    assert (by_key["revoked_by"], by_key["key"]) == ("its own key", jose.thumbprint(jwk_of(key)))


async def test_what_the_audit_does_not_know_is_not_done_and_goes_on_later(tmp_path: Path) -> None:
    here, rows = audited(tmp_path)
    client = await registered(here)
    leaf = await issued(here, client, "a.example.test")
    before: float = metrics.UNTOLD._value.get()
    (tmp_path / "audit").rename(tmp_path / "away")
    assert (await revoke(client, leaf)).status == 503
    assert not rows.reasons
    order = await ready_order(here, client, "b.example.test")
    assert (await client.post(order.json["finalize"], {"csr": b64(csr("b.example.test"))})).status == 503
    assert list(rows.rows) == [leaf.serial_number]
    assert metrics.UNTOLD._value.get() == before + 2
    (tmp_path / "away").rename(tmp_path / "audit")
    done = await client.post(order.header("location"), None)
    assert done.json["status"] == "valid"
    assert [line["event"] for line in lines(tmp_path)] == ["issued", "issued"]
    assert list(map(str, rows.rows)) == [line["serial"] for line in lines(tmp_path)]


async def test_an_act_that_fails_has_a_second_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, rows = audited(tmp_path)
    client = await registered(here)
    leaf = await issued(here, client, "a.example.test")
    with monkeypatch.context() as patch:
        patch.setattr(rows, "revoke", lambda *_a, **_k: (_ for _ in ()).throw(OSError("the database is away")))
        assert (await revoke(client, leaf)).status == 500
    monkeypatch.setattr(rows, "revoke", lambda *_a, **_k: False)  # another was faster
    assert (await revoke(client, leaf)).problem == "alreadyRevoked"
    found = [(line["event"], line.get("outcome")) for line in lines(tmp_path)[1:]]
    assert found == [("revoked", None), ("revoked", "failed"), ("revoked", None), ("revoked", "unchanged")]


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What `pki acme --config acme.json` reads."""
    _, root = Authority.create_root(parse_request(b'{"CN":"ca"}', source="x"), now=START - timedelta(days=400))
    (tmp_path / "ca.pem").write_bytes(root.certificate_pem)
    (tmp_path / "ca-key.pem").write_bytes(root.key_pem)
    (tmp_path / "policy.json").write_text('{"signing":{"default":{"expiry":"100h","usages":["server auth"]}}}')
    (tmp_path / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(tmp_path / "certs.db")}))
    (tmp_path / "acme.json").write_text(json.dumps({**SERVER, "audit": "audit.jsonl"}))
    (tmp_path / "file").touch()
    (tmp_path / "text.db").write_text("this is no database, however long it is" * 100)
    return tmp_path


def test_check_makes_nothing(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(files.rglob("*"))
    assert main(["pki", "acme", "--config", str(files / "acme.json"), "--check"]) == 0
    assert "would listen at 127.0.0.1:14000" in capsys.readouterr().out
    assert sorted(files.rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        ({"audit": "missing/audit.jsonl"}, 7, "missing/audit.jsonl: the audit cannot be written: no such file"),
        ({"audit": "."}, 7, "the audit cannot be written: is a directory"),
        ({"state": "file"}, 4, "file: not a directory"),
        ({"state": "file/below"}, 4, "file/below: not a directory"),
        ({"database": "missing.json"}, 4, "missing.json: cannot be read"),
        ({"metrics": "127.0.0.1:14000"}, 3, "metrics are at 127.0.0.1:14000, too"),
    ],
)
def test_what_could_not_work_is_refused_in_a_line(
    files: Path, change: dict[str, str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (files / "acme.json").write_text(json.dumps({**SERVER, **change}))
    assert main(["pki", "acme", "--config", str(files / "acme.json"), "--check"]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_what_could_not_work_is_refused_at_the_start_and_at_reloads_too(files: Path) -> None:
    for change, kind in (({"state": "file"}, NotFound), ({"audit": "missing/audit.jsonl"}, Unavailable)):
        (files / "acme.json").write_text(json.dumps({**SERVER, **change}))
        config = read_config(files / "acme.json")
        with tried_database(config) as certificates, pytest.raises(kind):
            load_material(config, certificates)


def test_a_database_that_is_none_or_newer_is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import sqlite3

    (files / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(files / "text.db")}))
    assert main(["pki", "acme", "--config", str(files / "acme.json"), "--check"]) != 0
    assert "text.db" in capsys.readouterr().err
    (files / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(files / "newer.db")}))
    with sqlite3.connect(files / "newer.db") as newer:
        newer.execute("CREATE TABLE acme_facts (name TEXT, value TEXT)")
        newer.execute("INSERT INTO acme_facts VALUES ('schema', '1')")
        newer.commit()
        assert str(check(files / "acme.json").listen) == "127.0.0.1:14000"
        newer.execute("UPDATE acme_facts SET value = '99'")
        newer.commit()
    newer.close()
    assert main(["pki", "acme", "--config", str(files / "acme.json"), "--check"]) == 5
    assert "use a newer groundplane" in capsys.readouterr().err
