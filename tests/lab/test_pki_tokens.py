"""CAs whose keys are in SoftHSM, several in one token, written by us and by OpenSC's pkcs11-tool."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = "/usr/lib/softhsm/libsofthsm2.so"
GROUNDPLANE = (sys.executable, "-m", "groundplane.cli.main")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A token called ca, its PIN, and a policy."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path}/tokens\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    run("softhsm2-util", "--init-token", "--free", "--label", "ca", "--pin", "1234", "--so-pin", "5678")
    (tmp_path / "pin").write_text("1234")
    (tmp_path / "pin").chmod(0o600)
    usages = ["digital signature", "server auth"]
    (tmp_path / "policy.json").write_text(json.dumps({"signing": {"default": {"expiry": "24h", "usages": usages}}}))
    (tmp_path / "leaf.json").write_text('{"CN":"leaf","hosts":["leaf.example"]}')
    return tmp_path


def uri(folder: Path, label: str) -> str:
    return f"pkcs11:token=ca;object={label}?module-path={MODULE}&pin-source=file:{folder}/pin"


def run(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ours(*argv: str) -> str:
    """In a process of its own: a module is loaded once for each, with the tokens that are there then."""
    return run(*GROUNDPLANE, "pki", *argv)


PROBE = """
import os, sys, threading
from groundplane.pki.keystore import pkcs11
from groundplane.pki.keystore.open import open_ca_key
from groundplane.pki.model import KeyAlgorithm, KeySpec
one, two = sys.argv[1:]
first = pkcs11.generate(one, KeySpec(algorithm=KeyAlgorithm.ECDSA, size=256))
second = pkcs11.generate(two, KeySpec(algorithm=KeyAlgorithm.RSA, size=2048))  # the token has a login already
again = open_ca_key(one)  # as a server does that is told to load its files again
assert again.public_key == first.public_key
failed = []
def work(key):
    try:
        for _ in range(50):
            key.sign_bytes(b"x")
    except Exception as bad:
        failed.append(bad)
threads = [threading.Thread(target=work, args=(key,)) for key in (first, second, again, first)]
[one.start() for one in threads]
[one.join() for one in threads]
assert not failed, failed
first._session.close()  # behind its back
second.sign_bytes(b"x"), first.sign_bytes(b"x")
child = os.fork()
if child == 0:
    second.sign_bytes(b"x"), first.sign_bytes(b"x")
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
first.sign_bytes(b"x")
"""


def test_keys_of_one_token_do_not_mind_each_other_nor_forks_nor_lost_sessions(folder: Path) -> None:
    run(sys.executable, "-c", PROBE, uri(folder, "one"), uri(folder, "two"))


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_a_key_that_another_tool_wrote_signs(folder: Path, kind: str) -> None:
    algorithm = ["RSA"] if kind == "rsa" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    run("openssl", "genpkey", "-algorithm", *algorithm, "-outform", "DER", "-out", "key.der")
    words = [
        "-new",
        "-x509",
        "-key",
        "key.der",
        "-keyform",
        "DER",
        "-subj",
        "/CN=ours",
        "-days",
        "30",
        "-out",
        "ca.pem",
    ]
    run("openssl", "req", *words, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    run("openssl", "x509", "-in", "ca.pem", "-outform", "DER", "-out", "ca.der")
    tool = ("pkcs11-tool", "--module", MODULE, "--login", "--pin", "1234", "--token-label", "ca", "--id", "77")
    run(*tool, "--write-object", "key.der", "--type", "privkey", "--label", "theirs")  # no public key beside it
    run(*tool, "--write-object", "ca.der", "--type", "cert", "--label", "theirs")
    by = (
        "--ca",
        "ca.pem",
        "--ca-key",
        uri(folder, "theirs").replace("object=theirs", "id=%77;manufacturer=SoftHSM%20project"),
    )
    ours("gencert", *by, "--config", "policy.json", "leaf.json", "--out", "leaf")
    run("openssl", "verify", "-CAfile", "ca.pem", "leaf.pem")
    if kind == "ec":
        key = by[3]
        before = Path("ca.pem").read_bytes()
        assert "good; due on" in ours("renew", "ca.pem", "--key", key)
        assert "ca.pem: renewed, until" in ours("renew", "ca.pem", "--key", key, "--force")
        assert Path("ca.pem").read_bytes() != before
        run("openssl", "verify", "-CAfile", "ca.pem", "leaf.pem")
        ours("rollover", *by, "--out", "next")
        run("openssl", "verify", "-CAfile", "ca.pem", "next-by-old.pem")
