"""`lint_error_level` in the programs and over HTTP, and `groundplane pki lint` on certificates of other makers."""

import json
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.acme_lab import free_port

GROUNDPLANE = (sys.executable, "-m", "groundplane.cli.main")
PROFILE = {"expiry": "1h", "usages": ["signing", "server auth"]}
WHOLE = {"ocsp_url": "http://o.com", "issuer_urls": ["http://i.com"], "Policies": [{"ID": "2.23.140.1.2.1"}]}
REQUEST = {"CN": "www.example.com", "hosts": ["www.example.com"]}


def run(*argv: str | Path, cwd: Path, code: int = 0, stdin: str = "") -> str:
    done = subprocess.run(
        [*map(str, argv)], cwd=cwd, input=stdin, capture_output=True, check=False, text=True, timeout=30
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A CA of Debian's cfssl, a policy with a strict profile and a lenient one, our programs beside them."""
    made = run(
        "cfssl",
        "gencert",
        "-loglevel=5",
        "-initca",
        "-",
        cwd=tmp_path,
        stdin='{"CN":"ca","names":[{"C":"US","O":"b"}]}',
    )
    run("cfssljson", "-bare", "ca", cwd=tmp_path, stdin=made)
    profiles = {
        "strict": {**PROFILE, "lint_error_level": 5},
        "whole": {**PROFILE, **WHOLE, "lint_error_level": 5},
        "lenient": {**PROFILE, "lint_error_level": 5, "ignored_lint_sources": ["CABF_BR"]},
    }
    (tmp_path / "p.json").write_text(json.dumps({"signing": {"default": PROFILE, "profiles": profiles}}))
    (tmp_path / "r.json").write_text(json.dumps(REQUEST))
    run(*GROUNDPLANE, "links", "bin", cwd=tmp_path)
    return tmp_path


def test_a_profile_decides_what_is_signed(place: Path) -> None:
    call = ("bin/cfssl", "gencert", "-ca=ca.pem", "-ca-key=ca-key.pem", "-config=p.json")
    native = (*GROUNDPLANE, "pki", "gencert", "--ca=ca.pem", "--ca-key=ca-key.pem", "--config=p.json")
    told = run(*call, "-profile=strict", "r.json", cwd=place, code=1)
    assert told.endswith("pre-issuance linting found 4 error results\n")
    assert "e_sub_cert_aia_missing" in run(*native, "--profile=strict", "r.json", cwd=place, code=3)
    for profile in ("whole", "lenient"):
        assert '"cert"' in run(*call, f"-profile={profile}", "r.json", cwd=place)
        assert '"cert"' in run(*native, f"--profile={profile}", "r.json", cwd=place)


@pytest.fixture
def address(place: Path) -> Iterator[str]:
    port = free_port()
    argv = ("bin/cfssl", "serve", "-ca=ca.pem", "-ca-key=ca-key.pem", "-config=p.json", f"-port={port}")
    with subprocess.Popen(argv, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        while "Now listening" not in server.stderr.readline():
            assert server.poll() is None
        yield f"http://127.0.0.1:{port}/api/v1/cfssl/newcert"
        server.terminate()


def post(address: str, document: Any) -> tuple[int, Any]:
    body = json.dumps(document).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(address, data=body), timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


def test_the_server_keeps_the_rules_too(address: str) -> None:
    status, answer = post(address, {"request": REQUEST, "profile": "strict"})
    assert status == 500  # as every error of CFSSL's that has no code of its own
    assert answer["errors"] == [{"code": 0, "message": "pre-issuance linting found 4 error results"}]
    assert post(address, {"request": REQUEST, "profile": "whole"})[0] == 200


def test_what_openssl_made_is_judged(place: Path) -> None:
    new = "openssl req -x509 -newkey rsa:1024 -nodes -keyout k.pem -out weak.pem -days 4000 -subj /CN=host -sha1"
    run(*new.split(), cwd=place)
    run(*["openssl", "x509", "-in", "weak.pem", "-outform", "DER", "-out", "weak.der"], cwd=place)
    lint = (*GROUNDPLANE, "pki", "lint")
    told = run(*lint, "weak.pem", "ca.pem", cwd=place, code=3)
    assert "e_rsa_mod_less_than_2048_bits" in told
    assert "e_sub_cert_or_sub_ca_using_sha1" in told
    assert "ca.pem: ca: " in told
    found = json.loads(run(*lint, "-o", "json", "weak.der", cwd=place, code=3))[0]
    assert (found["holds"], found["worst"]) == (False, "error")
    assert found["lints"]["e_mp_modulus_must_be_2048_bits_or_more"] == {"result": "error", "source": "Mozilla"}
    assert run(*lint, "--level", "error", "weak.pem", cwd=place)
    assert run(*lint, "ca.pem", cwd=place)
    run(*lint, "--level", "pass", "ca.pem", cwd=place, code=3)
    run(*lint, "--config", "p.json", "--profile", "lenient", "ca.pem", cwd=place)
    run(*lint, "--config", "p.json", "ca.pem", cwd=place, code=3)  # the default asks for no lints
    assert "did you mean 'e_ext_san_missing'?" in run(
        *lint, "--ignore", "e_ext_san_mising", "ca.pem", cwd=place, code=3
    )
    assert "no certificate in it" in run(*lint, "p.json", cwd=place, code=3)
    assert len(run(*lint, "--list", cwd=place).splitlines()) == 297
    assert "--list looks at no file" in run(*lint, "--list", "ca.pem", cwd=place, code=3)
