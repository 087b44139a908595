"""The same calls to Debian's `cfssl serve` and to ours: same status, headers, body and log, random parts aside."""

import base64
import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.lab.serve_cases import CONFIG, Call, calls
from tests.lab.serve_lab import NEWER, OURS, REAL, Serving, serving

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "cfssl.md"
_PREFIX = "/api/v1/cfssl/"
_SCRUB = (
    (re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", re.MULTILINE), ""),
    (re.compile(r"serial number \d+"), "serial number N"),
    (re.compile(r"127\.0\.0\.1:\d+ - "), "CLIENT - "),
)
_SHORT_OCTET = re.compile(r"\b0(?=[0-9A-F]\b)")  # 1.2.0 leaves these zeros out
_SUMS = ("md5", "sha-1", "sha-256")


@dataclass(frozen=True)
class Both:
    real: Serving
    ours: Serving


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("serve")

    def run(*argv: str, stdin: str = "") -> str:
        done = subprocess.run(argv, cwd=folder, input=stdin, capture_output=True, check=True, timeout=60, text=True)
        return done.stdout

    ca = '{"CN":"ca","names":[{"C":"US","O":"b"}],"key":{"algo":"rsa","size":2048}}'
    run("cfssljson", "-bare", "ca", stdin=run("cfssl", "gencert", "-initca", "-", stdin=ca))
    for name, key in (("leaf", '"ecdsa","size":256'), ("rleaf", '"rsa","size":2048')):
        text = f'{{"CN":"leaf","hosts":["a.example","127.0.0.1"],"names":[{{"C":"US"}}],"key":{{"algo":{key}}}}}'
        run("cfssljson", "-bare", name, stdin=run("cfssl", "genkey", "-", stdin=text))
    conf = "[req]\ndistinguished_name=d\nreq_extensions=e\n[d]\n[e]\nbasicConstraints=critical,CA:TRUE\n"
    (folder / "ca.conf").write_text(conf)
    made = ("-subj", "/CN=x", "-config", "ca.conf", "-out", "wants-ca.csr")
    run("openssl", "req", "-new", "-key", "leaf-key.pem", *made)
    lines = (folder / "leaf.csr").read_text().split("\n")
    lines[-4] = lines[-4][:10] + ("A" if lines[-4][10] != "A" else "B") + lines[-4][11:]
    (folder / "forged.csr").write_text("\n".join(lines))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return {path.name: path.read_text() for path in folder.iterdir()} | {"": str(folder)}


@pytest.fixture(scope="module")
def both(files: dict[str, str]) -> Iterator[Both]:
    flags = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "config.json")
    folder = Path(files[""])
    with serving(REAL, *flags, at=folder) as real, serving(OURS, *flags, at=folder) as ours:
        yield Both(real, ours)


def test_both_answer_alike(both: Both, files: dict[str, str]) -> None:
    """All in one, so that a run tells of every difference."""
    wrong: list[str] = []
    asked = calls(files)
    assert len(asked) >= 200
    assert len({call.name for call in asked}) == len(asked)
    for call in asked:
        theirs, ours = answer(both.real, call), answer(both.ours, call)
        heading = call.differs or ("" if NEWER else call.newer)
        if heading:
            assert f"## {heading}\n" in DOCUMENT.read_text(), heading
            if theirs == ours:
                wrong.append(f"{call.name}: they do not differ")
        elif theirs != ours:
            wrong.append(f"{call.name}\n  theirs {theirs}\n  ours   {ours}")
    assert not wrong, "\n".join(wrong)


def answer(server: Serving, call: Call) -> dict[str, Any]:
    """Everything of an answer, with what is random described."""
    mark = server.mark()
    reply = server.ask(call.method, _PREFIX + call.endpoint, call.body, call.headers)
    found: dict[str, Any] = {
        "status": reply.status,
        "headers": {name: reply.headers.get(name) for name in ("content-type", "x-content-type-options", "location")},
        "body": described(reply.body),
    }
    if call.log and reply.status != 404:
        text = server.wait_for(f'"{call.method} {_PREFIX}{call.endpoint}" ', after=mark)
        for pattern, with_ in _SCRUB:
            text = pattern.sub(with_, text)
        found["log"] = text.splitlines()
    return found


def described(body: bytes) -> object:
    """The JSON, order of keys included; certificates, keys and lists as what they say."""
    try:
        document = json.loads(body, object_pairs_hook=list)
    except ValueError:
        return body
    compact = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False)
    for character in "<>&":
        compact = compact.replace(character, f"\\u{ord(character):04x}")
    assert body == compact.encode() + b"\n"
    return _worded(document)


def _worded(value: object, name: str = "") -> object:  # noqa: PLR0911 - a table
    match value:
        case list() if value and all(isinstance(one, tuple) for one in value):
            pairs: list[Any] = value
            if name in {"certificate", "certificate_request"} and {key for key, _ in pairs} <= set(_SUMS):
                return [(key, len(text)) for key, text in pairs if NEWER or key != "sha-256"]
            return [(key, _worded(inner, key)) for key, inner in pairs]
        case list():
            return [_worded(inner) for inner in value]
        case str() if "BEGIN CERTIFICATE-----" in value:
            return _certificate(value)
        case str() if "BEGIN CERTIFICATE REQUEST-----" in value:
            request = x509.load_pem_x509_csr(value.encode())
            return request.subject.public_bytes(), [_extension(e) for e in request.extensions]
        case str() if "PRIVATE KEY-----" in value:
            key: Any = load_pem_private_key(value.encode(), None)
            return value.split("\n")[0], key.key_size
        case str() if value.startswith('This certificate lacks a "hosts" field.'):
            return "no hosts"
        case str() if name in {"authority_key_id", "subject_key_id"} and not NEWER:
            return _SHORT_OCTET.sub("", value)
        case str() if name == "result":
            return _list(value)
        case _:
            return value


def _certificate(pem: str) -> object:
    it = x509.load_pem_x509_certificate(pem.encode())
    start, end = it.not_valid_before_utc, it.not_valid_after_utc
    old = abs((datetime.now(UTC) - start).total_seconds() - 300) > 120
    return {
        "subject": it.subject.public_bytes(),
        "issuer": it.issuer.public_bytes(),
        "lifetime": end - start,
        "start": start if old else "now",
        "digest": it.signature_algorithm_oid,
        "serial": it.serial_number if it.serial_number.bit_length() < 100 else "random",
        "extensions": [_extension(e) for e in it.extensions],
        "end": pem.endswith("-----\n"),
    }


def _extension(extension: Any) -> object:
    value = extension.value
    random = isinstance(value, x509.SubjectKeyIdentifier)
    return extension.oid.dotted_string, extension.critical, b"" if random else value.public_bytes()


def _list(text: str) -> object:
    it = x509.load_der_x509_crl(base64.b64decode(text, validate=True))
    assert it.next_update_utc is not None
    lifetime = round((it.next_update_utc - it.last_update_utc).total_seconds() / 5)
    return it.issuer, [one.serial_number for one in it], lifetime, [e.oid for e in it.extensions]


def test_the_real_command_line_signs_at_our_server(files: dict[str, str], both: Both, tmp_path: Path) -> None:
    remote = f"localhost:{both.ours.port}"
    (tmp_path / "csr.json").write_text('{"CN":"far","hosts":["far.example"]}')
    (tmp_path / "leaf.csr").write_text(files["leaf.csr"])
    for argv in (("gencert", "-remote", remote, "csr.json"), ("sign", "-remote", remote, "leaf.csr")):
        done = subprocess.run((*REAL, *argv), cwd=tmp_path, capture_output=True, check=False, timeout=30, text=True)
        assert done.returncode == 0, done.stderr
        made = x509.load_pem_x509_certificate(json.loads(done.stdout)["cert"].encode())
        made.verify_directly_issued_by(x509.load_pem_x509_certificate(files["ca.pem"].encode()))
    about = (*REAL, "info", "-remote", remote, "-profile", "www")
    told = subprocess.run(about, capture_output=True, check=True, timeout=30, text=True)
    assert json.loads(told.stdout)["expiry"] == "87h"


def test_the_real_command_line_signs_with_a_key_of_authsign(files: dict[str, str], both: Both, tmp_path: Path) -> None:
    away = {
        "signing": {"default": {"auth_remote": {"remote": "r", "auth_key": "k"}}},
        "auth_keys": CONFIG["auth_keys"],
        "remotes": {"r": f"localhost:{both.ours.port}"},
    }
    away["signing"]["profiles"] = {"auth": away["signing"]["default"]}  # type: ignore[index]
    (tmp_path / "away.json").write_text(json.dumps(away))
    (tmp_path / "leaf.csr").write_text(files["leaf.csr"])
    argv = (*REAL, "sign", "-config", "away.json", "-profile", "auth", "leaf.csr")
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, check=False, timeout=30, text=True)
    assert done.returncode == 0, done.stderr
    assert "BEGIN CERTIFICATE" in json.loads(done.stdout)["cert"]
