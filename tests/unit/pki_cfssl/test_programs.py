"""The programs as a whole, in this process: what they print, write and exit with."""

import io
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cli.cfssl.main import PROGRAMS
from groundplane.cli.cfssl.main import main as cfssl
from groundplane.cli.links import script
from groundplane.cli.main import main as groundplane
from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.material import parse_certificate, parse_csr, parse_key
from groundplane.pki.keys import generate, load_key
from groundplane.pki.model import P256, KeyAlgorithm, KeySpec

ROOT = '{"CN":"root","ca":{"expiry":"24h"}}'
LEAF = '{"CN":"leaf","hosts":["leaf.example"]}'
POLICY = '{"signing":{"default":{"expiry":"1h","usages":["server auth"]}}}'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in (("root.json", ROOT), ("leaf.json", LEAF), ("policy.json", POLICY)):
        (tmp_path / name).write_text(text)
    return tmp_path


def unpack(text: str, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert cfssl("cfssljson", ["-bare", base]) == 0


def root(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert cfssl("cfssl", ["gencert", "-initca", "root.json"]) == 0
    unpack(capsys.readouterr().out, "ca", monkeypatch)


def test_a_root_and_a_leaf_come_out_as_scripts_expect(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root(capsys, monkeypatch)
    assert cfssl("cfssl", ["gencert", "-ca=ca.pem", "-ca-key=ca-key.pem", "leaf.json"]) == 0
    shown = capsys.readouterr()
    assert list(json.loads(shown.out)) == ["cert", "csr", "key"]
    assert [line.split("[INFO] ")[1].split(" number")[0] for line in shown.err.splitlines()] == [
        "generate received request",
        "received CSR",
        "generating key: ecdsa-256",
        "encoded CSR",
        "signed certificate with serial",
    ]
    assert (folder / "ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_an_old_key_file_that_others_could_read_does_not_lend_its_mode(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "ca-key.pem").write_text("old")
    (folder / "ca-key.pem").chmod(0o644)
    root(capsys, monkeypatch)
    assert (folder / "ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_the_ca_may_come_from_the_environment(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root(capsys, monkeypatch)
    monkeypatch.setenv("CA_KEY", (folder / "ca-key.pem").read_text())
    assert cfssl("cfssl", ["gencert", "-ca=file:ca.pem", "-ca-key=env:CA_KEY", "leaf.json"]) == 0
    assert cfssl("cfssl", ["gencert", "-ca=vault:ca.pem", "-ca-key=env:CA_KEY", "leaf.json"]) == 1
    assert "unknown prefix: vault" in capsys.readouterr().err


def test_a_missing_ca_is_an_error_in_the_log_alone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert folder.is_dir()
    assert cfssl("cfssl", ["gencert", "leaf.json"]) == 0
    shown = capsys.readouterr()
    assert (shown.out, shown.err.split("] ")[1]) == ("", "need a CA certificate (provide one with -ca)\n")


def test_the_native_command_is_strict_where_cfssl_is_not(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root(capsys, monkeypatch)
    signed = ["--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json"]
    assert groundplane(["pki", "gencert", *signed, "leaf.json", "--out", "leaf"]) == 0
    assert (folder / "leaf-key.pem").stat().st_mode & 0o777 == 0o600
    assert groundplane(["pki", "gencert", *signed, "--profile", "none", "leaf.json"]) == 3
    assert groundplane(["pki", "gencert", "leaf.json"]) == 3
    assert "there is no profile 'none'" in capsys.readouterr().err


def test_links_are_written_and_what_others_put_there_is_left_alone(tmp_path: Path) -> None:
    assert groundplane(["links", str(tmp_path / "bin")]) == 0
    assert {path.name for path in (tmp_path / "bin").iterdir()} == set(PROGRAMS)
    assert all(os.access(path, os.X_OK) for path in (tmp_path / "bin").iterdir())
    assert groundplane(["links", str(tmp_path / "bin")]) == 0
    (tmp_path / "bin" / "cfssl").write_text("another's")
    assert groundplane(["links", str(tmp_path / "bin")]) == 9
    assert (tmp_path / "bin" / "cfssl").read_text() == "another's"
    assert groundplane(["links", "--force", str(tmp_path / "bin")]) == 0


def test_a_link_is_python_and_says_whose_it_is() -> None:
    text = script("cfssl", python="/usr/bin/python3", source=Path("/srv/src"))
    assert text.startswith("#!/usr/bin/python3\n# groundplane's stand-in for cfssl\n")
    compile(text, "cfssl", "exec")


@given(st.binary(max_size=80), st.sampled_from(["CERTIFICATE", "CERTIFICATE REQUEST", "EC PRIVATE KEY"]))
def test_any_file_is_read_or_refused_with_a_code(content: bytes, label: str) -> None:
    from base64 import encodebytes

    pem = f"-----BEGIN {label}-----\n{encodebytes(content).decode()}-----END {label}-----\n".encode()
    for parse in (parse_certificate, parse_csr, parse_key):
        for data in (content, pem):
            with pytest.raises(CfsslError):
                parse(data)


def test_a_key_is_read_whatever_its_label() -> None:
    from groundplane.pki.keys import dump_key

    for spec in (P256, KeySpec(algorithm=KeyAlgorithm.ED25519, size=256)):
        pem = dump_key(generate(spec))
        odd = pem.replace(b"EC PRIVATE KEY", b"PRIVATE KEY").replace(b" PRIVATE KEY", b" Ed25519 PRIVATE KEY")
        key = parse_key(odd)
        assert key.public_key() == load_key(pem, source="key").public_key()
