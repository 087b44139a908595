"""The same calls to Debian's CFSSL and to groundplane's: same output, log, exit code and files, random parts aside.

Where they differ, docs/cfssl.md says why, and the test holds that they do.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cfssl_cases import DIFFERS_FROM_NEWER, Case, by_hand, drawn
from tests.lab.cfssl_compare import NEWER, call_ours, call_real, described, scrubbed

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cfssl.md"
CASES = [*by_hand(), *drawn(60, seed=20), *drawn(400 if NEWER else 0, seed=21, newer=True)]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What the calls may name: CFSSL's own CA, a leaf of it, requests, an encrypted key."""
    folder = tmp_path_factory.mktemp("base")

    def run(*argv: str, stdin: bytes = b"") -> bytes:
        return subprocess.run(argv, cwd=folder, input=stdin, capture_output=True, check=True, timeout=30).stdout

    root = b'{"CN":"ca","names":[{"C":"US","O":"b"},{"O":"c"}],"ca":{"pathlen":2,"expiry":"900h"}}'
    run("cfssljson", "-bare", "ca", stdin=run("cfssl", "gencert", "-initca", "-", stdin=root))
    leaf = (
        b'{"CN":"o","hosts":["o.com","1.2.3.4","e@f.g"],"names":[{"C":"US","L":"x"}],"key":{"algo":"rsa","size":2048}}'
    )
    made = run("cfssl", "gencert", "-ca=ca.pem", "-ca-key=ca-key.pem", "-", stdin=leaf)
    run("cfssljson", "-bare", "o", stdin=made)
    lock = ("openssl", "ec", "-in", "ca-key.pem", "-aes128", "-passout", "pass:secret", "-out", "locked.pem")
    run(*lock)
    subject = "/C=US/O=Z/CN=q/emailAddress=a@b.c/DC=k"
    run("openssl", "req", "-new", "-key", "o-key.pem", "-subj", subject, "-out", "odd.csr")
    pem = (folder / "o.csr").read_text().split("\n")
    pem[-4] = pem[-4][:10] + ("A" if pem[-4][10] != "A" else "B") + pem[-4][11:]
    (folder / "forged.csr").write_text("\n".join(pem))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.filterwarnings("ignore::UserWarning")  # cryptography on long names and odd countries, as it reads them
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_both_answer_alike(case: Case, base: dict[str, bytes], tmp_path: Path) -> None:
    theirs = answer(case, base, tmp_path / "theirs", real=True)
    ours = answer(case, base, tmp_path / "ours", real=False)
    if why := DIFFERS_FROM_NEWER.get(case.name, "") if NEWER else case.differs:
        assert f"## {why}\n" in DOCUMENT.read_text()
        assert ours != theirs
        assert "Traceback" not in ours["stderr"]
    else:
        assert ours == theirs


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 100
    assert len({case.name for case in CASES}) == len(CASES)


def answer(case: Case, base: dict[str, bytes], folder: Path, *, real: bool) -> dict[str, Any]:
    """Everything that a call leaves behind, with what is random described instead of quoted."""
    folder.mkdir()
    for name, data in base.items():
        (folder / name).write_bytes(data)
    for name, text in case.files.items():
        (folder / name).write_text(text)
    given = {path.name for path in folder.iterdir()}
    code, out, err = (call_real if real else call_ours)(case.argv, folder, _stdin(case, base), env=case.env)
    return {
        "code": code,
        "stdout": described(out),
        "stderr": scrubbed(err.decode(errors="replace")),
        "files": {
            path.name: (path.stat().st_mode & 0o7777, path.read_bytes())
            for path in sorted(folder.iterdir())
            if path.name not in given
        },
    }


def _stdin(case: Case, base: dict[str, bytes]) -> bytes:
    match case.stdin:
        case "@blanks":
            return b" \n\n" + base["ca.pem"] + b"\n \n"
        case "@two":
            return base["ca.pem"] + base["o.pem"]
        case "@label":
            return base["ca.pem"].replace(b"CERTIFICATE", b"TRUSTED THING")
        case text:
            return text.encode()


def test_a_script_finds_the_links_and_never_notices(tmp_path: Path) -> None:
    """As a shell sees it: new processes, a pipe, the programs found in PATH."""
    from groundplane.cli.main import main as groundplane

    assert groundplane(["links", str(tmp_path / "bin")]) == 0
    (tmp_path / "ca.json").write_text('{"CN":"ca","names":[{"O":"x"}]}')
    (tmp_path / "leaf.json").write_text('{"CN":"leaf","hosts":["leaf.example"]}')
    script = """set -euo pipefail
cfssl gencert -initca ca.json | cfssljson -bare ca
cfssl gencert -ca=ca.pem -ca-key=ca-key.pem leaf.json | cfssljson -bare leaf
cfssl-certinfo -cert leaf.pem >info.json
openssl verify -x509_strict -verify_hostname leaf.example -CAfile ca.pem leaf.pem
"""
    env = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    argv = ("bash", "-c", script)
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False, timeout=60, env=env, text=True)
    assert (done.returncode, done.stdout) == (0, "leaf.pem: OK\n"), done.stderr
    assert json.loads((tmp_path / "info.json").read_text())["sans"] == ["leaf.example"]
