"""`multirootca`, Debian's and ours: same calls, same answers, same log lines; and the real cfssl as its client."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.lab import multiroot_lab, serve_lab
from tests.lab.multiroot_lab import roots_served
from tests.lab.serve_cases import HEX_KEY, sealed
from tests.lab.serve_lab import NEWER, Answer, Serving

SIGN, INFO = "/api/v1/cfssl/authsign", "/api/v1/cfssl/info"
USAGES = ["signing", "client auth"]
POLICY = {
    "signing": {
        "default": {"expiry": "10h", "usages": ["signing"]},
        "profiles": {
            "auth": {"expiry": "87h", "usages": USAGES, "auth_key": "new", "prev_auth_key": "old"},
            "more": {
                "expiry": "87h",
                "usages": USAGES,
                "auth_key": "new",
                "allowed_extensions": ["1.2.3.4"],
                "ClientProvidesSerialNumbers": True,
            },
        },
    },
    "auth_keys": {
        "new": {"type": "standard", "key": HEX_KEY},
        "old": {"type": "standard", "key": "env:OLD_KEY"},
    },
}
OLD = "ab" * 16
ROOTS = """\
# roots
[ primary ]
private = file://ca-key.pem
certificate = ca.pem
config = policy.json

[second]
private = "file://ca2-key.der"
certificate = 'ca2.pem'
config = policy.json
nets = 10.0.0.0/8, 127.0.0.0/8

[closed]
private = file://ca-key.pem
certificate = ca.pem
config = policy.json
nets = 10.0.0.0/8
"""


def run(*argv: str, at: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(argv, cwd=at, input=stdin, capture_output=True, check=True, timeout=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    at = tmp_path_factory.mktemp("multiroot")
    key = {"algo": "ecdsa", "size": 256}
    for name in ("ca", "ca2"):
        (at / f"{name}.json").write_text(json.dumps({"CN": name, "key": key}))
        made = run("cfssl", "gencert", "-loglevel=5", "-initca", f"{name}.json", at=at).stdout
        run("cfssljson", "-bare", name, at=at, stdin=made)
    run("openssl", "ec", "-in", "ca2-key.pem", "-outform", "DER", "-out", "ca2-key.der", at=at)
    (at / "leaf.json").write_text(json.dumps({"CN": "leaf", "hosts": ["leaf.example"], "key": key}))
    run("cfssljson", "-bare", "leaf", at=at, stdin=run("cfssl", "genkey", "-loglevel=5", "leaf.json", at=at).stdout)
    (at / "policy.json").write_text(json.dumps(POLICY))
    # Debian's has no prev_auth_key and no env:, which are newer.
    older = json.loads(json.dumps(POLICY))
    del older["signing"]["profiles"]["auth"]["prev_auth_key"], older["auth_keys"]["old"]
    (at / "older.json").write_text(json.dumps(older))
    (at / "roots.ini").write_text(ROOTS)
    (at / "older.ini").write_text(ROOTS.replace("policy.json", "older.json"))
    return at


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[tuple[Serving, Serving]]:
    with ExitStack() as stack:
        flags = ("-roots", "older.ini", "-l", "primary")
        yield (
            stack.enter_context(roots_served(multiroot_lab.REAL, *flags, at=folder)),
            stack.enter_context(roots_served(multiroot_lab.OURS, *flags, at=folder)),
        )


def calls(folder: Path) -> list[tuple[str, str, bytes | None]]:
    good = {"certificate_request": (folder / "leaf.csr").read_text(), "profile": "auth", "label": "primary"}
    asked: list[Any] = [
        *(good, {**good, "hosts": ["a.b", "1.2.3.4"]}, {**good, "label": "second"}, {**good, "label": "closed"}),
        *({**good, "label": ""}, {**good, "label": "none"}, {**good, "profile": "none"}, {**good, "profile": ""}),
        *({**good, "certificate_request": ""}, {**good, "certificate_request": "x"}, b"x", b"", {**good, "hosts": 1}),
        {**good, "subject": {"CN": "new", "names": [{"O": "o", "C": "DE"}]}},
        *([{**good, "NotBefore": "2026-01-01T00:00:00Z", "NotAfter": "2030-01-01T00:00:00Z"}] if NEWER else []),
        {**good, "profile": "more", "serial": 12345},
        {**good, "profile": "more"},
        {**good, "profile": "more", "serial": 5, "extensions": [{"id": "1.2.3.4", "critical": True, "value": "0500"}]},
        {**good, "profile": "more", "serial": 6, "extensions": [{"id": "1.2.3.5", "value": "0500"}]},
        {**good, "profile": "more", "serial": 7, "extensions": [{"id": "1.2.3.4", "value": "zz"}]},
        *([{**good, "crl_override": "http://crl.example"}] if NEWER else []),  # 1.2.0 knows neither
    ]
    return [
        *(("POST", SIGN, sealed(one)) for one in asked),
        ("POST", SIGN, sealed(good, key="00")),
        ("POST", SIGN, sealed(good, token=b"")),
        *(("POST", SIGN, body) for body in (b"", b"{", b"{}", b"[]", b"null", b'{"request":"!"}')),
        *((verb, SIGN, None) for verb in ("GET", "PUT", "DELETE")),
        *((verb, INFO, None) for verb in ("GET", "PUT")),
        *(("POST", INFO, body) for body in (b"", b"{}", b"[]", b"null", b'{"label":1}', b"{} x")),
        *(("POST", INFO, json.dumps({"label": label}).encode()) for label in ("primary", "second", "closed", "none")),
        ("POST", INFO, b'{"profile":"auth"}'),
        ("POST", INFO, b'{"profile":"none"}'),
        ("GET", "/", None),
        ("POST", "/api/v1/cfssl/sign", b"{}"),
    ]


def without_chance(text: str) -> str:
    """Certificates by what they say; numbers of connections and certificates left out."""
    text = re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    return re.sub(r"(serial number |serialno=)\d{6,}", r"\1N", text)


def said(answer: Answer) -> tuple[int, str | None, str | None, object]:
    headers = answer.headers
    body: Any = answer.body.decode()
    if "BEGIN CERTIFICATE" in body:
        body = json.loads(body)
        certificate = x509.load_pem_x509_certificate(body["result"].pop("certificate").encode())
        serial = certificate.serial_number if certificate.serial_number < 10**9 else 0
        span = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        extensions = sorted((e.oid.dotted_string, e.critical, e.value.public_bytes()) for e in certificate.extensions)
        body["said"] = (certificate.subject, certificate.issuer, serial, span, extensions)
    return answer.status, headers.get("content-type"), headers.get("x-content-type-options"), body


def test_the_same_calls_have_the_same_answers_and_lines(folder: Path, servers: tuple[Serving, Serving]) -> None:
    real, ours = servers
    for method, path, body in calls(folder):
        marks = [server.mark() for server in servers]
        first, second = (said(server.ask(method, path, body)) for server in (real, ours))
        assert first == second, (method, path, body)
        logs = [
            without_chance(server.wait_for("\n", after=mark)) if path in {SIGN, INFO} else ""
            for server, mark in zip(servers, marks, strict=True)
        ]
        assert sorted(logs[0].splitlines()) == sorted(logs[1].splitlines()), (method, path, body)


def test_what_fails_is_not_printed_with_its_token(servers: tuple[Serving, Serving]) -> None:
    assert not servers[1].log.with_suffix(".out").read_bytes()


def test_the_real_cfssl_is_a_client_of_ours(folder: Path, servers: tuple[Serving, Serving]) -> None:
    client: Any = {
        "signing": {
            "default": {"auth_remote": {"remote": "r", "auth_key": "k"}},
            "profiles": {"auth": {"auth_remote": {"remote": "r", "auth_key": "k"}}},
        },
        "remotes": {"r": f"localhost:{servers[1].port}"},
        "auth_keys": {"k": {"type": "standard", "key": HEX_KEY}},
    }
    (folder / "client.json").write_text(json.dumps(client))
    flags = ("-config", "client.json", "-profile", "auth", "-label", "second")
    made = json.loads(run(*serve_lab.REAL, "sign", *flags, "leaf.csr", at=folder).stdout)
    (folder / "made.pem").write_text(made["cert"])
    run("openssl", "verify", "-CAfile", "ca2.pem", "made.pem", at=folder)
    info = json.loads(
        run(*serve_lab.REAL, "info", "-remote", client["remotes"]["r"], "-label", "second", at=folder).stdout
    )
    assert info["certificate"].strip() == (folder / "ca2.pem").read_text().strip()
    ours = json.loads(run(*serve_lab.OURS, "gencert", *flags, "leaf.json", at=folder).stdout)
    assert (
        x509.load_pem_x509_certificate(ours["cert"].encode()).issuer
        == x509.load_pem_x509_certificate(made["cert"].encode()).issuer
    )


def test_the_key_before_is_taken_too_and_counters_count_and_hup_reloads(folder: Path) -> None:
    flags = ("-roots", "roots.ini", "-l", "primary")
    with roots_served(multiroot_lab.OURS, *flags, at=folder, env={"OLD_KEY": OLD}) as server:
        good = {"certificate_request": (folder / "leaf.csr").read_text(), "profile": "auth"}
        for key, status in ((HEX_KEY, 200), (OLD, 200), ("00", 400)):
            assert server.ask("POST", SIGN, sealed(good, key=key)).status == status
        assert server.ask("POST", SIGN, sealed({**good, "certificate_request": "x"})).status == 400
        text = server.ask("GET", "/metrics").body.decode()
        assert 'requests_total{operation="sign",signer="primary"} 4.0' in text
        assert 'requests_errored_total{operation="sign",signer="primary"} 1.0' in text
        assert 'bad_inputs_total{operation="sign"} 2.0' in text
        (folder / "roots.ini").write_text(ROOTS.replace("[second]", "[third]"))
        server.process.send_signal(1)
        server.wait_for("reloaded")
        assert server.ask("POST", INFO, b'{"label":"third"}').status == 200
        mark = server.mark()
        (folder / "roots.ini").write_text("nonsense")
        server.process.send_signal(1)
        server.wait_for("reload failed, nothing is changed: invalid config file", after=mark)
        mark = server.mark()
        assert server.ask("POST", SIGN, sealed(good)).status == 200
        server.wait_for("label=primary, profile=auth, serialno=", after=mark)
        (folder / "roots.ini").write_text(ROOTS)


def test_over_https_the_line_has_its_blank(folder: Path) -> None:
    flags = ("-roots", "older.ini", "-tls-cert", "ca.pem", "-tls-key", "ca-key.pem")
    with roots_served(multiroot_lab.OURS, *flags, at=folder) as server:
        assert f"Now listening on https:// 127.0.0.1:{server.port}\n" in server.log.read_text()
        argv = ("curl", "-sk", f"https://127.0.0.1:{server.port}{INFO}", "-d", '{"label":"second"}')
        assert json.loads(run(*argv, at=folder).stdout)["success"] is True


@pytest.mark.parametrize(
    "flags", [(), ("-roots", "nofile"), ("-roots", "leaf.json"), ("-x",), ("-roots", "older.ini", "-a", "x:y:z")]
)
def test_it_does_not_start_for_the_same_reasons(folder: Path, flags: tuple[str, ...]) -> None:
    found = []
    for program in (multiroot_lab.REAL, multiroot_lab.OURS):
        done = subprocess.run((*program, *flags), cwd=folder, capture_output=True, check=False, timeout=30)
        lines = [line for line in without_chance(done.stderr.decode()).splitlines() if "loaded signer" not in line]
        found.append((done.returncode, lines[:2] if "Now listening" in lines[0] else lines[:1]))
    assert found[0] == found[1]
