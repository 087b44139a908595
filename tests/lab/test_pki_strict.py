"""What the native commands issue, OpenSSL takes when it reads RFC 5280 strictly; what it would not, they refuse."""

import json
import subprocess
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from groundplane.cli.main import main

CONSTRAINTS: dict[str, dict[str, Any]] = {
    "leaf": {},
    "leaf in Go's words": {"ca_constraint": {"is_ca": False, "max_path_len": 0, "max_path_len_zero": False}},
    "any CA": {"ca_constraint": {"is_ca": True}},
    "CA of leaves": {"ca_constraint": {"is_ca": True, "max_path_len": 0, "max_path_len_zero": True}},
    "CA with a zero": {"ca_constraint": {"is_ca": True, "max_path_len": 0}},
}
USAGES = (["server auth"], ["signing", "client auth"], ["cert sign"], ["cert sign", "crl sign", "server auth"], ["any"])
REQUESTS: tuple[dict[str, Any], ...] = (
    {},
    {"CN": "a.example"},
    {"hosts": ["a.example", "10.0.0.1"]},
    {"CN": "x" * 64, "names": [{"C": "DE", "ST": "s" * 128, "O": "o" * 64}]},
    {"CN": "x" * 65},
    {"CN": "x", "names": [{"C": "USA"}]},
)


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("strict")
    (folder / "ca.json").write_text('{"CN": "root", "ca": {"expiry": "87600h"}}')
    assert main(["pki", "gencert", "--initca", str(folder / "ca.json"), "--out", str(folder / "ca")]) == 0
    return folder


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_it_is_issued_only_if_openssl_takes_it(top: Path, constraint: str) -> None:
    issued = 0
    for number, (usages, request) in enumerate(product(USAGES, REQUESTS)):
        profile = {"expiry": "1h", "usages": usages, **CONSTRAINTS[constraint]}
        policy, asked = top / "policy.json", top / "csr.json"
        policy.write_text(json.dumps({"signing": {"default": profile}}))
        asked.write_text(json.dumps(request))
        made = top / f"{constraint.replace(' ', '-')}-{number}"
        words = ["--ca", str(top / "ca.pem"), "--ca-key", str(top / "ca-key.pem"), "--config", str(policy)]
        code = main(["pki", "gencert", str(asked), *words, "--out", str(made)])
        checked = main(["pki", "check", "--kind", "policy", str(policy)]) or main(
            ["pki", "check", "--kind", "request", str(asked)]
        )
        assert code in {0, 3}
        assert checked == code or (request == REQUESTS[2] and "CA" in constraint)  # needs both files to be told
        if code == 0:
            issued += 1
            argv = ["openssl", "verify", "-x509_strict", "-CAfile", str(top / "ca.pem"), f"{made}.pem"]
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
            assert done.returncode == 0, (profile, request, done.stderr)
    assert bool(issued) is (constraint != "CA with a zero")
