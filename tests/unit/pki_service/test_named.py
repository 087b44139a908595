"""A service whose files could not do their work is refused: at --check, at the start, at a reload."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from groundplane.cli.main import main
from groundplane.errors import GroundplaneError
from groundplane.pki import Authority, load_certificate, parse_policy, parse_request
from groundplane.pki.certdb import CertificateDatabase, DatabaseConfig
from groundplane.pki.operators.log import JsonJournal
from groundplane.pki.operators.trail import Lost
from groundplane.pki.server.log import Lines
from groundplane.pki.service.config import parse_config
from groundplane.pki.service.site import build

NOW = datetime.now(UTC)
POLICY = b"""{"signing":{"default":{"expiry":"100h","usages":["server auth"]},"profiles":{
 "ocsp":{"expiry":"100h","usages":["ocsp signing"]}}}}"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("named")
    authority, root = Authority.create_root(parse_request(b'{"CN":"root"}', source="x"), now=NOW)
    policy = parse_policy(POLICY, source="x")
    web = authority.issue(parse_request(b'{"CN":"web"}', source="x"), policy.profile(""), now=NOW)
    ocsp = authority.issue(parse_request(b'{"CN":"ocsp"}', source="x"), policy.profile("ocsp"), now=NOW)
    for name, one in (("ca", root), ("web", web), ("ocsp", ocsp)):
        (top / f"{name}.pem").write_bytes(one.certificate_pem)
        (top / f"{name}-key.pem").write_bytes(one.key_pem)
        assert load_certificate(one.certificate_pem, source=name)
    (top / "policy.json").write_bytes(POLICY)
    (top / "token").write_text("0123456789abcdef")
    (top / "token").chmod(0o600)
    CertificateDatabase.open(DatabaseConfig(driver="sqlite3", data_source=str(top / "certs.db")), migrate=True).close()
    (top / "empty.db").touch()
    for name, place in (("db", "certs.db"), ("empty", "empty.db"), ("missing", "missing.db")):
        document = {"driver": "sqlite3", "data_source": str(top / place)}
        (top / f"{name}.json").write_text(json.dumps(document))
    away = {"driver": "postgres", "data_source": "postgres://127.0.0.1:1/x?sslmode=disable"}
    (top / "away.json").write_text(json.dumps(away))
    return top


WHOLE = {
    "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
    "tls": {"certificate": "web.pem", "key": "web-key.pem", "clientCA": "ca.pem"},
    "policy": "policy.json",
    "database": "db.json",
    "responder": {"certificate": "ocsp.pem", "key": "ocsp-key.pem"},
    "bundles": {"roots": "ca.pem", "intermediates": "ca.pem"},
    "audit": "audit.jsonl",
    "replay": {"window": "5m", "state": "seen.db"},
}
TLS = WHOLE["tls"]
assert isinstance(TLS, dict)
REFUSED: list[tuple[dict[str, object], int, str]] = [
    ({"ca": {"certificate": "ca.pem", "key": "web-key.pem"}}, 3, "ca.pem: the key is not the one"),
    ({"ca": {"certificate": "web.pem", "key": "web-key.pem"}}, 3, "web.pem: this is not the certificate of a CA"),
    ({"ca": {"certificate": "ca.pem", "key": "missing.pem"}}, 4, "missing.pem: cannot be read"),
    ({"ca": {"certificate": "ca-key.pem", "key": "ca-key.pem"}}, 3, "ca-key.pem: there is no certificate in it"),
    ({"tls": {**TLS, "certificate": "missing.pem"}}, 4, "missing.pem: cannot be read"),
    ({"tls": {**TLS, "key": "ca-key.pem"}}, 3, "ca-key.pem: the key is not that of"),
    ({"tls": {**TLS, "clientCA": "ca-key.pem"}}, 3, "ca-key.pem: there is no certificate in it"),
    ({"responder": {"certificate": "ocsp.pem", "key": "web-key.pem"}}, 3, "responder: the key is not that"),
    ({"responder": {"certificate": "web.pem", "key": "web-key.pem"}}, 3, "does not allow OCSP signing"),
    ({"bundles": {"roots": "missing.pem", "intermediates": "ca.pem"}}, 4, "missing.pem: cannot be read"),
    (
        {"bundles": {"roots": "ca-key.pem", "intermediates": "ca.pem"}},
        3,
        "serve.json: bundles: Failed to parse root certificate; mend",
    ),
    ({"listen": "127.0.0.1:1", "metrics": "127.0.0.1:1"}, 3, "serve.json: listen: metrics are at 127.0.0.1:1, too"),
    ({"audit": "missing/audit.jsonl"}, 7, "missing/audit.jsonl: the audit cannot be written"),
    ({"audit": "."}, 7, "the audit cannot be written: is a directory"),
    ({"replay": {"window": "5m", "state": "missing/seen.db"}}, 4, "missing/seen.db: no such file"),
    ({"database": "missing.json"}, 4, "missing.db: there is no such database; make it: groundplane pki db init"),
    ({"database": "empty.json"}, 7, "empty.json: certificates cannot be looked up in it: no such table"),
    ({"listen": "0.0.0.0:1", "tls": {"certificate": "web.pem", "key": "web-key.pem"}}, 8, "anybody who reaches"),
    ({"listen": "0.0.0.0:1", "access": [{"endpoints": ["*"], "tokens": ["file:token"]}], "tls": None}, 8, "no TLS"),
]


@pytest.mark.parametrize(("change", "code", "told"), REFUSED)
def test_a_service_that_could_not_work_is_refused(
    made: Path, change: dict[str, object], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    document = {name: value for name, value in (WHOLE | change).items() if value is not None}
    (made / "serve.json").write_text(json.dumps(document))
    assert main(["pki", "serve", "--config", str(made / "serve.json"), "--check"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert told in line
    with pytest.raises(GroundplaneError) as raised:
        served(made, document)  # as at the start and at each reload
    assert line == f"error: {raised.value}"
    assert not (made / "missing.db").exists()


def served(folder: Path, document: object, said: list[str] | None = None) -> None:
    source = str(folder / "serve.json")
    service = parse_config(json.dumps(document).encode(), source=source, directory=folder)
    lines: list[str] = [] if said is None else said
    journal = JsonJournal(write=lines.append, clock=lambda: NOW)
    build(service, journal=journal, lines=Lines(), listener=None, lost=Lost()).close()


def test_a_database_that_is_away_is_named(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "serve.json").write_text(json.dumps({**WHOLE, "database": "away.json"}))
    assert main(["pki", "serve", "--config", str(made / "serve.json"), "--check"]) == 7
    assert "the database cannot be reached" in capsys.readouterr().err


def test_a_service_that_works_would_be_served(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (made / "serve.json").write_text(json.dumps(WHOLE))
    assert main(["pki", "serve", "--config", str(made / "serve.json"), "--check"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("would listen at 127.0.0.1:8888\n")
    assert err == ""


def test_what_nobody_asked_for_is_no_warning(made: Path) -> None:
    lines: list[str] = []
    served(made, {"ca": WHOLE["ca"], "policy": "policy.json"}, lines)
    said = [json.loads(line) for line in lines]
    assert {line["level"] for line in said} == {"info"}
    assert not [line for line in said if "initialize" in line["event"]]
    assert "endpoint 'ocspsign' is disabled: no responder is named" in [line["event"] for line in said]
