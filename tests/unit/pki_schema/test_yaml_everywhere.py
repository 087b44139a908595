"""Every command that reads a file which people write takes it as YAML, and refuses in it what it would in JSON."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from groundplane.cli.main import main
from groundplane.errors import Invalid
from groundplane.pki.wire.document import as_json, parse_document
from tests.unit.pki_schema.test_schema import FULL, PARSERS, at, changed, places

BY = ("--ca", "ca.pem", "--ca-key", "ca-key.pem")
POLICY = ("--config", "policy.yaml")
STORE = ("--db-config", "db.yml")
LEAF = ["digital signature", "server auth", "client auth"]
FILES: Mapping[str, object] = {
    "ca.yaml": {"CN": "root", "key": {"algo": "ecdsa", "size": 256}, "ca": {"expiry": "87600h"}},
    "web.yml": {"CN": "web", "hosts": ["web.example"], "key": {"algo": "ecdsa", "size": 256}},
    "policy.yaml": {
        "signing": {
            "default": {"expiry": "24h", "usages": LEAF, "lint_error_level": 7},
            "profiles": {"kdc": {"expiry": "24h", "usages": ["1.3.6.1.5.2.3.5"]}},
        },
        "auth_keys": {"k": {"type": "standard", "key": "aa"}},
    },
    "db.yml": {"driver": "sqlite3", "data_source": "certs.db"},
    "serve.yaml": {
        "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
        "policy": "policy.yaml",
        "database": "db.yml",
    },
    "acme.yml": {
        "listen": "127.0.0.1:14000",
        "ca": {"certificate": "ca.pem", "key": "ca-key.pem"},
        "policy": "policy.yaml",
        "database": "db.yml",
        "state": "state",
        "identifiers": {"dns": {"allow": ["*.example"]}},
    },
    "renewer.yaml": {
        "certificates": [{"certificate": "web.pem", "ca": {"certificate": "ca.pem", "key": "ca-key.pem"}}]
    },
    "identity.yaml": {
        "request": {"CN": "db1"},
        "profiles": {
            "paths": {"private_key": "k.pem", "certificate": "c.pem"},
            "cfssl": {"remote": "https://ca.example:8888"},
        },
    },
    "cluster.yaml": {
        "etcd": [{"name": "e", "addresses": ["10.0.0.1"]}],
        "controlPlane": [{"name": "c", "addresses": ["10.0.0.2"]}],
        "key": "ecdsa-256",
    },
}
GOOD = (
    ("gencert", "--initca", "ca.yaml", "--out", "ca"),
    ("db", "init", *STORE),
    ("gencert", *BY, *POLICY, *STORE, "web.yml", "--out", "web"),
    ("gencert", *BY, *POLICY, "--profile", "kdc", "web.yml", "--out", "kdc"),
    ("gencsr", "web.yml", "--out", "asked"),
    ("sign", *BY, *POLICY, *STORE, "asked.csr", "--out", "signed"),
    ("lint", *POLICY, "web.pem"),
    ("db", "list", *STORE),
    ("revoke", *STORE, "--cert", "signed.pem"),
    ("crl", *STORE, *BY, "--out", "ca.crl"),
    ("report", *STORE, "--warning", "1h", "--critical", "1h"),
    ("serve", "--config", "serve.yaml", "--check"),
    ("acme", "--config", "acme.yml", "--check"),
    ("renewer", "--config", "renewer.yaml", "--check"),
    ("renewer", "--config", "renewer.yaml", "--once"),
    ("transport", "--identity", "identity.yaml", "--check"),
    ("kubernetes", "cluster.yaml", "--out", "cluster", "-q"),
    ("kubernetes", "cluster.yaml", "--out", "cluster", "--check"),
    ("check", *FILES),
)
# Tried with a field too many in each file that they read.
READERS = (
    ("gencert", *BY, *POLICY, "web.yml"),
    ("gencert", *BY, *POLICY, *STORE, "web.yml"),
    ("gencsr", "web.yml"),
    ("sign", *BY, *POLICY, "asked.csr"),
    ("lint", *POLICY, "web.pem"),
    ("crl", *STORE, *BY),
    ("report", *STORE),
    ("serve", "--config", "serve.yaml", "--check"),
    ("acme", "--config", "acme.yml", "--check"),
    ("renewer", "--config", "renewer.yaml", "--check"),
    ("transport", "--identity", "identity.yaml", "--check"),
    ("kubernetes", "cluster.yaml", "--out", "cluster"),
)


def test_every_command_takes_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, document in FILES.items():
        Path(name).write_text(yaml.safe_dump(document))
    for argv in GOOD:
        assert main(["pki", *argv]) == 0, (argv, capsys.readouterr().err)
    capsys.readouterr()
    # It reads its files before it listens, for which this port is none.
    responder = ("ocsp", *STORE, "--ca", "ca.pem", "--ca-key", "ca-key.pem", "--port", "70000")
    assert main(["pki", *responder]) == 3
    assert "invalid port" in capsys.readouterr().err
    for name, document in FILES.items():
        assert isinstance(document, dict)
        Path(name).write_text(yaml.safe_dump({**document, "bogus": 1}))
        for argv in (*READERS, responder):
            if name in argv:
                assert main(["pki", *argv]) == 3, argv
                told = capsys.readouterr().err
                assert f"{name}: bogus: unknown field" in told, argv
        Path(name).write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(("name", "text"), [("policy.yaml", "signing: {defalt: {}}"), ("db.yml", "drivr: sqlite3")])
def test_a_server_reads_what_its_file_names_as_strictly(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for file, document in FILES.items():
        Path(file).write_text(yaml.safe_dump(document))
    assert main(["pki", "gencert", "--initca", "ca.yaml", "--out", "ca"]) == 0
    Path(name).write_text(text)
    for argv in (("serve", "--config", "serve.yaml"), ("acme", "--config", "acme.yml", "--check")):
        assert main(["pki", *argv]) == 3
        told = capsys.readouterr().err
        assert name in told
        assert "did you mean" in told
    Path(name).unlink()
    assert main(["pki", "serve", "--config", "serve.yaml", "--check"]) == 4
    assert name in capsys.readouterr().err


@pytest.mark.parametrize("name", FULL)
def test_a_field_that_is_given_twice_is_refused_everywhere(name: str) -> None:
    for path in places(FULL[name]):
        value = at(FULL[name], path)
        if not isinstance(value, dict) or not value:
            continue
        first = next(iter(value))
        text = json.dumps(changed(FULL[name], path, {**value, "twice": value[first]}))
        data = text.replace('"twice": ', f"{json.dumps(first)}: ").encode()
        with pytest.raises(Invalid, match="given twice") as raised:
            PARSERS[name](data)
        assert first in str(raised.value)


@pytest.mark.parametrize("source", ["x.json", "x.yaml"])
def test_a_field_that_is_given_twice_is_refused_where_nobody_looks(source: str) -> None:
    with pytest.raises(Invalid, match=r"a\[1\]\.b: given twice"):
        parse_document(b'{"a": [1, {"b": 1, "b": 2}]}', source=source)
    assert parse_document(b'{"a": [{"b": 1, "b": 2}]}', source="x.json", strict=False).value


def test_no_depth_breaks_the_search() -> None:
    data = b"[" * 900 + b"]" * 900
    assert parse_document(data, source="x.json").value
    with pytest.raises(Invalid, match="nested too deeply"):
        parse_document(data, source="x.yaml")


def test_yaml_becomes_the_same_json() -> None:
    document = {"a": [1, {"b": None}], "c": "ü", "d": 1.5, "e": True}
    assert json.loads(as_json(yaml.safe_dump(document).encode(), source="x.yml")) == document
    assert as_json(b'{"a":1, "a":2}', source="x.json") == b'{"a":1, "a":2}'
