"""The same calls to Debian's CFSSL and to groundplane's: same output, log, exit code and files, random parts aside.

Where they differ, docs/cfssl.md says why, and the test holds that they do.
"""

import io
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from groundplane.cli.cfssl.main import main
from tests.lab.cfssl_cases import DIFFERS_FROM_NEWER, Case, by_hand, drawn

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cfssl.md"
NEWER = os.environ.get("GROUNDPLANE_CFSSL_1_6_5", "")  # where its programs are: tools/conformance/cfssl.py sets it
CASES = [*by_hand(), *drawn(60, seed=20), *drawn(400 if NEWER else 0, seed=21, newer=True)]
REAL = Path(NEWER or "/usr/bin")

_SCRUB = (
    (re.compile(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d "), "TIME "),
    (re.compile(r"serial number \d+"), "serial number N"),
    (re.compile(r'(lacks a "hosts" field)\..*', re.DOTALL), r"\1"),
    (re.compile(r"\*\*\* WARNING \*\*\*.*\*\*\* WARNING \*\*\*\n", re.DOTALL), "BANNER\n"),
    (re.compile(r"^(flag provided|flag needs|invalid value|invalid boolean|bad flag)(.*?)\n.*", re.DOTALL), r"\1\2"),
    (re.compile(r"^(No command is given\.|Command .* is not defined\.)\n.*", re.DOTALL), r"\1"),
    (re.compile(r"^(\tcfssl \w+ --|Usage:\n).*", re.DOTALL), "USAGE"),
)
# 1.2.0 leaves out the first zero of an octet in a key's identifier.
_SHORT_OCTET = re.compile(rb'(?<=[":])0([0-9A-F])(?=[":])')


@dataclass(frozen=True)
class About:
    """A date that is cut to the minute: one may have turned between the two calls."""

    date: datetime

    def __eq__(self, other: object) -> bool:
        return isinstance(other, About) and abs((self.date - other.date).total_seconds()) <= 70

    def __hash__(self) -> int:
        return 0


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
    code, out, err = (call_real if real else call_ours)(case, folder, _stdin(case, base))
    return {
        "code": code,
        "stdout": _described(out),
        "stderr": _scrubbed(err.decode(errors="replace")),
        "files": {
            path.name: (path.stat().st_mode & 0o7777, path.read_bytes())
            for path in sorted(folder.iterdir())
            if path.name not in given
        },
    }


def call_real(case: Case, folder: Path, stdin: bytes) -> tuple[int, bytes, bytes]:
    argv = (str(REAL / case.argv[0]), *case.argv[1:])
    env = {**os.environ, **case.env}
    done = subprocess.run(argv, cwd=folder, input=stdin, capture_output=True, check=False, timeout=30, env=env)
    return done.returncode, done.stdout, done.stderr


def call_ours(case: Case, folder: Path, stdin: bytes) -> tuple[int, bytes, bytes]:
    """In a forked child, which saves the 0.1 s that a new interpreter takes."""
    places = {name: folder.with_name(f"{folder.name}.{name}") for name in ("in", "out", "err")}
    places["in"].write_bytes(stdin)
    child = os.fork()
    if child == 0:
        code = 70
        try:
            os.chdir(folder)
            os.environ.update(case.env)
            for number, (name, mode) in enumerate((("in", os.O_RDONLY), ("out", os.O_WRONLY), ("err", os.O_WRONLY))):
                os.dup2(os.open(places[name], mode | os.O_CREAT, 0o600), number)
            sys.stdin, sys.stdout, sys.stderr = (
                io.TextIOWrapper(io.FileIO(number, mode, closefd=False), write_through=True)
                for number, mode in ((0, "r"), (1, "w"), (2, "w"))
            )
            code = main(case.argv[0], list(case.argv[1:]))
        except BaseException:  # noqa: BLE001 - nothing may unwind into the parent's test run
            import traceback

            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), places["out"].read_bytes(), places["err"].read_bytes()


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


def _scrubbed(text: str) -> str:
    for pattern, replacement in _SCRUB:
        text = pattern.sub(replacement, text)
    return text


def _described(out: bytes) -> object:
    """JSON with certificates as what they say; anything else as it is."""
    if out.startswith(b"Default configurations"):
        return sorted(out.split(b"\n"))  # CFSSL's order is random
    try:
        document = json.loads(out)
    except ValueError:
        return out
    if not isinstance(document, dict) or not document.keys() <= {"cert", "csr", "key"}:
        return _SHORT_OCTET.sub(rb"\1", out)
    assert out == (json.dumps(document, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
    readers = {"cert": _certificate, "csr": _request, "key": _key}
    return {name: readers[name](text.encode()) for name, text in document.items()}


def _certificate(pem: bytes) -> object:
    it = x509.load_pem_x509_certificate(pem)
    start, end = it.not_valid_before_utc, it.not_valid_after_utc
    return {
        "subject": it.subject.public_bytes(),
        "issuer": it.issuer.public_bytes(),
        "digest": it.signature_algorithm_oid,
        "lifetime": end - start,
        "start": About(start),
        "extensions": _extensions(it, pem),
        "serial": it.serial_number.bit_length() > 100,
        "lines": pem.startswith(b"-----BEGIN CERTIFICATE-----\n") and pem.endswith(b"-----\n"),
    }


def _extensions(it: x509.Certificate, pem: bytes) -> object:
    try:
        return [_extension(e) for e in it.extensions]
    except ValueError:  # cryptography refuses to read "encipher only" without "key agreement"
        argv = ("openssl", "asn1parse")
        lines = (
            subprocess.run(argv, input=pem, capture_output=True, check=True, timeout=30).stdout.decode().splitlines()
        )
        dumps = [line.rpartition(":")[2] for line in lines if "OBJECT" in line or "HEX DUMP" in line]
        return [dump for dump, before in zip(dumps[1:], dumps, strict=False) if "Subject Key Identifier" not in before]


def _extension(extension: Any) -> object:
    value = extension.value
    random = isinstance(value, x509.SubjectKeyIdentifier)
    return extension.oid.dotted_string, extension.critical, b"" if random else value.public_bytes()


def _request(pem: bytes) -> object:
    it = x509.load_pem_x509_csr(pem)
    extensions = [_extension(e) for e in it.extensions]
    label = pem.split(b"\n")[0]
    return label, it.subject.public_bytes(), it.signature_algorithm_oid, extensions, it.is_signature_valid


def _key(pem: bytes) -> object:
    pem = pem.replace(b" Ed25519 PRIVATE", b" PRIVATE")  # one of the differences in the document
    key: Any = load_pem_private_key(pem, None)
    return pem.split(b"\n")[0], getattr(key, "key_size", 0), type(key).__name__


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
