"""`pki revoke` and its audit: a line before the act, and no act that is none."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from groundplane.cli.main import main
from groundplane.pki import Authority, load_certificate, parse_request
from groundplane.pki.certdb import CertificateDatabase, CertificateRecord, DatabaseConfig, Status, record_of
from groundplane.pki.operators.audit import VARIABLE

NOW = datetime.now(UTC)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database with one certificate, and an audit file."""
    config = DatabaseConfig(driver="sqlite3", data_source=str(tmp_path / "certs.db"))
    (tmp_path / "db.json").write_text(json.dumps({"driver": config.driver, "data_source": config.data_source}))
    _, root = Authority.create_root(parse_request(b'{"CN":"x"}', source="x"), now=NOW)
    database = CertificateDatabase.open(config, migrate=True)
    database.insert(record_of(load_certificate(root.certificate_pem, source="x"), label="", now=NOW))
    database.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(VARIABLE, "audit.jsonl")
    (tmp_path / "serial").write_text(str(root.seen.serial))
    return tmp_path


def revoke(*flags: str) -> int:
    return main(["pki", "revoke", "--db-config", "db.json", Path("serial").read_text(), *flags])


def record() -> CertificateRecord:
    config = json.loads(Path("db.json").read_text())
    database = CertificateDatabase.open(DatabaseConfig(**config))
    try:
        (found,) = database.unexpired(NOW)
    finally:
        database.close()
    return found


def events() -> list[tuple[object, object]]:
    lines = [json.loads(line) for line in Path("audit.jsonl").read_text().splitlines()]
    return [(line["event"], line.get("outcome")) for line in lines]


@pytest.mark.usefixtures("folder")
def test_nothing_is_revoked_that_the_audit_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "missing/audit.jsonl")
    assert revoke() == 7
    assert record().status is Status.GOOD
    monkeypatch.setenv(VARIABLE, "audit.jsonl")
    assert revoke("--reason", "certificateHold") == 0
    monkeypatch.setenv(VARIABLE, "missing/audit.jsonl")
    assert revoke("--release") == 7
    assert record().status is Status.REVOKED


@pytest.mark.usefixtures("folder")
def test_what_is_taken_back_has_one_line_and_what_changes_nothing_none() -> None:
    assert revoke("--reason", "certificateHold") == 0
    assert revoke("--reason", "certificateHold") == 0
    assert revoke("--reason", "superseded") == 0
    assert revoke("--reason", "keyCompromise") == 0
    assert events() == [("revoked", None), ("revoked", None)]
    assert record().reason == 4
    assert revoke("--release") == 5
    assert events()[2:] == [("released", None), ("released", "failed")]


@pytest.mark.usefixtures("folder")
def test_a_revocation_that_fails_has_a_second_line() -> None:
    assert main(["pki", "revoke", "--db-config", "db.json", "1", "--aki", "aa"]) == 4
    assert events() == [("revoked", None), ("revoked", "failed")]


@pytest.mark.usefixtures("folder")
def test_only_a_hold_is_released_and_only_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert revoke("--release") == 5
    assert "it is not revoked; --release takes a certificateHold back" in capsys.readouterr().err
    for flags in (("--reason", "unspecified"), ("--invalid-since", "2026-01-01")):
        assert revoke("--release", *flags) == 3
        assert f"{flags[0]}: it has no effect here" in capsys.readouterr().err
    assert revoke("--reason", "removeFromCRL") == 3
    assert not Path("audit.jsonl").exists()
    assert record().status is Status.GOOD


@pytest.mark.usefixtures("folder")
def test_commands_that_issue_say_before_what_they_hand_out(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("ca.json").write_text('{"CN":"ca"}')
    Path("policy.json").write_text('{"signing":{"default":{"expiry":"100h","usages":["server auth"]}}}')
    Path("web.json").write_text('{"CN":"web","hosts":["web.example","10.0.0.1"]}')
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca"]) == 0
    by = ["--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json", "--db-config", "db.json"]
    assert main(["pki", "gencert", *by, "web.json", "--out", "web"]) == 0
    assert main(["pki", "gencsr", "web.json", "--out", "other"]) == 0
    assert main(["pki", "sign", *by, "other.csr", "--out", "other"]) == 0
    root, web, other = (json.loads(line) for line in Path("audit.jsonl").read_text().splitlines())
    assert (root["subject"], root["is_ca"], root["names"]) == ("CN=ca", True, [])
    for line, file in ((web, "web.pem"), (other, "other.pem")):
        made = load_certificate(Path(file).read_bytes(), source=file)
        assert (line["serial"], line["names"]) == (str(made.serial_number), ["web.example", "10.0.0.1"])
        assert (line["is_ca"], line["not_after"]) == (False, f"{made.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}")
    Path("db.json").write_text('{"driver":"sqlite3","data_source":"missing/certs.db"}')
    assert main(["pki", "gencert", *by, "web.json", "--out", "lost"]) == 4
    assert events()[3:] == [("issued", None), ("issued", "failed")]
    monkeypatch.setenv(VARIABLE, "missing/audit.jsonl")
    assert main(["pki", "gencert", *by[:-2], "web.json", "--out", "untold"]) == 7
    assert not Path("untold.pem").exists()
    assert not Path("untold-key.pem").exists()


@pytest.mark.usefixtures("folder")
def test_a_list_is_as_long_as_can_be(capsys: pytest.CaptureFixture[str]) -> None:
    argv = ["pki", "db", "list", "--db-config", "db.json", "-o", "json", "--limit"]
    for limit, count in (("0", 0), ("1", 1), ("9" * 30, 1)):
        assert main([*argv, limit]) == 0
        assert len(json.loads(capsys.readouterr().out)) == count
    for limit in ("-1", "1e3", "many", ""):
        with pytest.raises(SystemExit) as ended:
            main([*argv, limit])
        assert ended.value.code == 2
        assert "is no number of certificates" in capsys.readouterr().err
