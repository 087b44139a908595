"""Keys in other people's hands: SoftHSM signs for our CA, Java's keytool and OpenSSL read our stores and we theirs."""

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509

from groundplane.cli.main import main

GROUNDPLANE = (sys.executable, "-m", "groundplane.cli.main")
MODULE = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A token called ca, a PIN, a policy, and requests."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    argv = ["softhsm2-util", "--init-token", "--free", "--label", "ca", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    for name, text in (("pin", "1234"), ("secret", "changeit")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    usages = ["digital signature", "server auth"]
    (tmp_path / "policy.json").write_text(json.dumps({"signing": {"default": {"expiry": "24h", "usages": usages}}}))
    (tmp_path / "leaf.json").write_text('{"CN":"leaf","hosts":["leaf.example"]}')
    return tmp_path


def uri(folder: Path, label: str = "root") -> str:
    return f"pkcs11:token=ca;object={label}?module-path={MODULE}&pin-source=file:{folder}/pin"


def ours(*argv: str, code: int = 0) -> str:
    """In a process of its own: a module is loaded once for each, with the tokens that are there then."""
    done = subprocess.run([*GROUNDPLANE, *argv], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def run(*argv: str) -> str:
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("key", [{"algo": "rsa", "size": 2048}, {"algo": "ecdsa", "size": 384}])
def test_a_token_is_a_ca(folder: Path, key: object) -> None:
    (folder / "ca.json").write_text(json.dumps({"CN": "token root", "key": key, "ca": {"expiry": "8760h"}}))
    where = ("--ca-key", uri(folder))
    ours("pki", "gencert", "--initca", "--generate", *where, "ca.json", "--out", "ca")
    assert not (folder / "ca-key.pem").exists()
    by = ("--ca", "ca.pem", *where)
    ours("pki", "gencert", *by, "--config", "policy.json", "leaf.json", "--out", "leaf")
    run("openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "leaf.pem")
    run("openssl", "req", "-new", "-key", "leaf-key.pem", "-subj", "/CN=signed", "-out", "r.csr")
    ours("pki", "sign", "r.csr", *by, "--config", "policy.json", "--host", "b.example", "--out", "signed")
    run("openssl", "verify", "-x509_strict", "-verify_hostname", "b.example", "-CAfile", "ca.pem", "signed.pem")
    ours("pki", "renew", "leaf.pem", *by, "--force")
    run("openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "leaf.pem")
    (folder / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(folder / "certs.db")}))
    ours("pki", "db", "init", "--db-config", "db.json")
    ours("pki", "crl", *by, "--db-config", "db.json", "--out", "list.pem")
    assert run("openssl", "crl", "-in", "list.pem", "-CAfile", "ca.pem", "-noout") == ""
    told = ours("pki", "gencert", "--initca", "--generate", *where, "ca.json", "--out", "again", code=9)
    assert "has such a key" in told


def test_what_a_token_refuses_is_said(folder: Path) -> None:
    (folder / "ca.json").write_text('{"CN":"root"}')
    initca = ("pki", "gencert", "--initca", "ca.json", "--out", "ca", "--ca-key")
    assert "no such private key" in ours(*initca, uri(folder), code=4)
    assert "no such token" in ours(*initca, uri(folder).replace("token=ca", "token=cb"), code=4)
    assert "cannot be loaded" in ours(*initca, uri(folder).replace(MODULE, "/no/such.so"), code=4)
    (folder / "pin").write_text("9999")
    assert "PIN is wrong" in ours(*initca, uri(folder), code=3)
    assert not (folder / "ca.pem").exists()


def test_the_server_signs_with_a_token_in_every_worker(folder: Path) -> None:
    (folder / "ca.json").write_text('{"CN":"token root"}')
    ours("pki", "gencert", "--initca", "--generate", "--ca-key", uri(folder), "ca.json", "--out", "ca")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ca = {"certificate": "ca.pem", "key": uri(folder)}
    (folder / "db.json").write_text(json.dumps({"driver": "sqlite3", "data_source": str(folder / "certs.db")}))
    ours("pki", "db", "init", "--db-config", "db.json")
    config = {"listen": f"127.0.0.1:{port}", "ca": ca, "policy": "policy.json", "endpoints": {"enable": ["newcert"]}}
    config["database"] = "db.json"
    (folder / "serve.json").write_text(json.dumps(config))
    url = f"http://127.0.0.1:{port}/api/v1/cfssl/newcert"
    with (folder / "log").open("wb") as log:
        argv = [*GROUNDPLANE, "pki", "serve", "--config", "serve.json"]
        with subprocess.Popen(argv, stderr=log, env=os.environ) as server:
            end = time.monotonic() + 20
            while "Now listening" not in (folder / "log").read_text():
                assert time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.05)
            for _ in range(6):
                reply = json.loads(run("curl", "-s", url, "-d", '{"request":{"CN":"x","hosts":["x.example"]}}'))
                assert reply["success"], reply
                (folder / "x.pem").write_text(reply["result"]["certificate"])
                run("openssl", "verify", "-x509_strict", "-CAfile", "ca.pem", "x.pem")
            listed = json.loads(run("curl", "-s", url.replace("newcert", "crl")))
            assert listed["success"], listed
            (folder / "list.der").write_bytes(base64.b64decode(listed["result"]))
            run("openssl", "crl", "-inform", "DER", "-in", "list.der", "-CAfile", "ca.pem", "-noout")
            server.send_signal(signal.SIGTERM)


def make_pair(folder: Path) -> None:
    (folder / "ca.json").write_text('{"CN":"root","key":{"algo":"rsa","size":2048}}')
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca"]) == 0
    by = ["--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json"]
    assert main(["pki", "gencert", *by, "leaf.json", "--out", "leaf"]) == 0


@pytest.mark.parametrize(("form", "kind"), [("pkcs12", "PKCS12"), ("pkcs12-legacy", "PKCS12"), ("jks", "JKS")])
def test_java_reads_our_stores_and_we_what_it_writes(folder: Path, form: str, kind: str) -> None:
    make_pair(folder)
    files = ["leaf-key.pem", "leaf.pem", "ca.pem"]
    words = ["pki", "convert", *files, "--to", form, "--out", "store", "--password", "file:secret", "--alias", "web"]
    assert main(words) == 0
    opened = ("-keystore", "store", "-storetype", kind, "-storepass", "changeit")
    listed = run("keytool", "-list", "-v", *opened)
    assert "PrivateKeyEntry" in listed
    assert "Certificate chain length: 2" in listed
    own = ("-keystore", "theirs", "-storetype", kind, "-storepass", "changeit")
    java = ("keytool", "-genkeypair", "-alias", "mine", "-keyalg", "EC", "-dname", "CN=java", *own)
    run(*java, *(("-keypass", "changeit") if kind == "JKS" else ()))
    back = ["pki", "convert", "theirs", "--in-password", "file:secret", "--to"]
    assert main([*back, "pkcs8", "--out", "java-key.pem"]) == 0
    assert main([*back, "pem", "--out", "java.pem"]) == 0
    certificate = x509.load_pem_x509_certificate((folder / "java.pem").read_bytes())
    assert certificate.subject.rfc4514_string() == "CN=java"
    assert run("openssl", "pkey", "-in", "java-key.pem", "-pubout") == run(
        "openssl", "x509", "-in", "java.pem", "-noout", "-pubkey"
    )


def test_openssl_reads_our_keys_and_stores_and_we_its(folder: Path) -> None:
    make_pair(folder)
    locked = ["--password", "file:secret"]
    for form in ("pkcs8", "pkcs8-encrypted", "pkcs8-der"):
        with_it = locked if form == "pkcs8-encrypted" else []
        assert main(["pki", "convert", "leaf-key.pem", "--to", form, "--out", f"k.{form}", *with_it]) == 0
        kind = ("-inform", "DER") if form == "pkcs8-der" else ()
        public = run("openssl", "pkey", *kind, "-in", f"k.{form}", "-passin", "file:secret", "-pubout")
        assert public == run("openssl", "x509", "-in", "leaf.pem", "-noout", "-pubkey")
    assert (
        main(["pki", "convert", "leaf-key.pem", "leaf.pem", "ca.pem", "--to", "pkcs12", "--out", "s.p12", *locked]) == 0
    )
    shown = run("openssl", "pkcs12", "-in", "s.p12", "-passin", "file:secret", "-nodes")
    assert shown.count("BEGIN CERTIFICATE") == 2
    run(
        "openssl",
        "pkcs12",
        "-export",
        "-in",
        "leaf.pem",
        "-inkey",
        "leaf-key.pem",
        "-out",
        "t.p12",
        "-passout",
        "file:secret",
    )
    assert main(["pki", "convert", "t.p12", "--in-password", "file:secret", "--to", "pkcs1", "--out", "t.pem"]) == 0
    assert (folder / "t.pem").read_bytes() == (folder / "leaf-key.pem").read_bytes()
    run("openssl", "ec", "-in", "leaf-key.pem", "-aes128", "-passout", "file:secret", "-out", "old.pem")
    assert main(["pki", "convert", "old.pem", "--in-password", "file:secret", "--to", "pkcs1", "--out", "o.pem"]) == 0
    assert (folder / "o.pem").read_bytes() == (folder / "leaf-key.pem").read_bytes()
    assert main(["pki", "convert", "leaf.pem", "ca.pem", "--to", "pkcs7", "--out", "c.p7b"]) == 0
    assert run("openssl", "pkcs7", "-in", "c.p7b", "-print_certs").count("BEGIN CERTIFICATE") == 2
