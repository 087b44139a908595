"""Renewing through Debian's own `cfssl serve`, plainly and by authsign, and what openssl thinks of the results."""

import json
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from groundplane.cli.main import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a leaf of it with odd names, and a key for authsign."""
    top = tmp_path_factory.mktemp("renewal")
    key = secrets.token_hex(16)
    (top / "auth").write_text(key)
    (top / "auth").chmod(0o600)
    (top / "ca.json").write_text('{"CN":"ca","ca":{"expiry":"87600h"}}')
    (top / "leaf.json").write_text('{"CN":"leaf","names":[{"O":"b"}],"hosts":["leaf.example","10.0.0.1","a@b.c"]}')
    plain = {"expiry": "240h", "usages": ["signing", "server auth"]}
    closed = {**plain, "auth_key": "k", "expiry": "480h"}
    policy = {
        "signing": {"default": plain, "profiles": {"closed": closed}},
        "auth_keys": {"k": {"type": "standard", "key": key}},
    }
    (top / "policy.json").write_text(json.dumps(policy))
    assert main(["pki", "gencert", "--initca", str(top / "ca.json"), "--out", str(top / "ca")]) == 0
    by = ["--ca", str(top / "ca.pem"), "--ca-key", str(top / "ca-key.pem"), "--config", str(top / "policy.json")]
    assert main(["pki", "gencert", *by, str(top / "leaf.json"), "--out", str(top / "leaf")]) == 0
    return top


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    argv = ["/usr/bin/cfssl", "serve", "-ca=ca.pem", "-ca-key=ca-key.pem", "-config=policy.json", f"-port={port}"]
    with (folder / "log").open("wb") as log, subprocess.Popen(argv, cwd=folder, stderr=log) as process:
        end = time.monotonic() + 20
        while "listening" not in (folder / "log").read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        yield f"127.0.0.1:{port}"
        process.terminate()


def load(folder: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / "leaf.pem").read_bytes())


@pytest.mark.parametrize("more", [[], ["--profile", "closed", "--auth-key", "file:{}/auth"], ["--new-key"]])
def test_debian_s_cfssl_signs_it_again(folder: Path, server: str, more: list[str]) -> None:
    before = load(folder)
    words = [word.format(folder) for word in more]
    leaf = str(folder / "leaf.pem")
    assert main(["pki", "renew", leaf, "--remote", server, "--force", *words]) == 0
    after = load(folder)
    assert after.serial_number != before.serial_number
    names = x509.SubjectAlternativeName
    assert after.subject == before.subject
    assert after.extensions.get_extension_for_class(names) == before.extensions.get_extension_for_class(names)
    argv = ["openssl", "verify", "-x509_strict", "-CAfile", str(folder / "ca.pem"), leaf]
    assert subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout.endswith(b"OK\n")
    argv = ["openssl", "pkey", "-in", str(folder / "leaf-key.pem"), "-pubout"]
    ours = subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout
    argv = ["openssl", "x509", "-in", leaf, "-noout", "-pubkey"]
    assert subprocess.run(argv, check=True, capture_output=True, timeout=30).stdout == ours


def test_a_refusal_changes_nothing(folder: Path, server: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = (folder / "leaf.pem").read_bytes(), (folder / "leaf-key.pem").read_bytes()
    leaf = str(folder / "leaf.pem")
    assert main(["pki", "renew", leaf, "--remote", server, "--force", "--profile", "closed", "--new-key"]) == 12
    assert "did not sign" in capsys.readouterr().err
    assert main(["pki", "renew", leaf, "--remote", "127.0.0.1:1", "--force"]) == 12
    assert main(["pki", "renew", leaf, "--remote", server, "--force", "--auth-key", "00ff"]) == 3
    assert "00ff" not in capsys.readouterr().err
    assert ((folder / "leaf.pem").read_bytes(), (folder / "leaf-key.pem").read_bytes()) == before
