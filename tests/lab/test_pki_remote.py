"""Signing at a remote: both command lines against both servers, over HTTP, HTTPS and mutual TLS; and what goes wrong.

Every call goes through Debian's cfssl and through ours; what they print, log and exit with is the same.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.lab.serve_cases import HEX_KEY
from tests.lab.serve_lab import NEWER, OURS, REAL, serving

KEYS = {"k": {"type": "standard", "key": HEX_KEY}, "wrong": {"type": "standard", "key": "00ff"}}
SERVER = {
    "signing": {
        "default": {"expiry": "100h", "usages": ["signing"]},
        "profiles": {
            "auth": {"expiry": "200h", "usages": ["client auth"], "auth_key": "k"},
            "www": {"expiry": "300h", "usages": ["server auth", "key encipherment"]},
        },
    },
    "auth_keys": {"k": KEYS["k"]},
}


@dataclass(frozen=True)
class Remotes:
    folder: Path
    ports: dict[str, int]


def run(*argv: str, at: Path, stdin: bytes = b"") -> bytes:
    return subprocess.run(argv, cwd=at, input=stdin, capture_output=True, check=True, timeout=60).stdout


def client_policy(port: int) -> dict[str, Any]:
    return {
        "signing": {
            "default": {"remote": "r"},
            "profiles": {
                "auth": {"auth_remote": {"remote": "r", "auth_key": "k"}},
                "forged": {"auth_remote": {"remote": "r", "auth_key": "wrong"}},
                "www": {"remote": "r", "usages": ["any"], "auth_key": "k"},
            },
        },
        "remotes": {"r": f"localhost:{port}"},
        "auth_keys": KEYS,
    }


@pytest.fixture(scope="module")
def remotes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remotes]:
    at = tmp_path_factory.mktemp("remote")
    key = {"algo": "ecdsa", "size": 256}
    (at / "ca.json").write_text(json.dumps({"CN": "ca", "key": key}))
    made = run("cfssl", "gencert", "-loglevel=5", "-initca", "ca.json", at=at)
    run("cfssljson", "-bare", "ca", at=at, stdin=made)
    (at / "leaf.json").write_text(json.dumps({"CN": "leaf", "hosts": ["leaf.example"], "key": key}))
    (at / "bare.json").write_text(json.dumps({"CN": "bare", "key": key}))
    (at / "subject.json").write_text(json.dumps({"CN": "new", "names": [{"O": "o1", "C": "DE"}, {"O": "o2"}]}))
    run("cfssljson", "-bare", "leaf", at=at, stdin=run("cfssl", "genkey", "-loglevel=5", "leaf.json", at=at))
    for name, hosts in (("server", "localhost,127.0.0.1"), ("elsewhere", "elsewhere.example")):
        made = run(
            *("cfssl", "gencert", "-loglevel=5", "-ca=ca.pem", "-ca-key=ca-key.pem"),
            "-hostname",
            hosts,
            "leaf.json",
            at=at,
        )
        run("cfssljson", "-bare", name, at=at, stdin=made)
    (at / "server.json").write_text(json.dumps(SERVER))
    flags = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "server.json")
    tls = (*flags, "-tls-cert", "server.pem", "-tls-key", "server-key.pem")
    with ExitStack() as stack:
        servers = {
            "real": stack.enter_context(serving(REAL, *flags, at=at)),
            "ours": stack.enter_context(serving(OURS, *flags, at=at)),
            "real-tls": stack.enter_context(serving(REAL, *tls, at=at)),
            "ours-mutual": stack.enter_context(serving(OURS, *tls, "-mutual-tls-ca", "ca.pem", at=at)),
            "real-mutual": stack.enter_context(serving(REAL, *tls, "-mutual-tls-ca", "ca.pem", at=at)),
            "elsewhere": stack.enter_context(
                serving(OURS, *flags, "-tls-cert", "elsewhere.pem", "-tls-key", "elsewhere-key.pem", at=at)
            ),
        }
        ports = {name: server.port for name, server in servers.items()}
        for name in ("real", "ours"):
            (at / f"client-{name}.json").write_text(json.dumps(client_policy(ports[name])))
        mixed = client_policy(ports["real"])
        mixed["signing"]["default"] = {"expiry": "1h", "usages": ["signing"]}
        (at / "mixed.json").write_text(json.dumps(mixed))
        yield Remotes(at, ports)


@dataclass(frozen=True)
class Done:
    code: int
    said: object
    log: str


def call(program: tuple[str, ...], words: list[str], remotes: Remotes) -> Done:
    done = subprocess.run((*program, *words), cwd=remotes.folder, capture_output=True, check=False, timeout=60)
    log = re.sub(r"(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", "", done.stderr.decode())
    log = re.sub(r"serial number \d+", "serial number N", log)
    log = re.sub(r'(This certificate lacks a "hosts" field\.)[^{]*', r"\1", log)
    log = log.replace("%s or key from file: %snono2", "no or key from file: no2")  # as 1.2.0 words it
    log = log.replace("tls: failed to verify certificate: x509", "x509")  # as Go does since 1.20
    return Done(done.returncode, said(done.stdout), "\n".join(sorted(log.splitlines())))


def said(out: bytes) -> object:
    if not out:
        return ""
    fields = json.loads(out)
    if "cert" in fields:
        certificate = x509.load_pem_x509_certificate(fields["cert"].encode())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName) if b"leaf" in out else None
        span = certificate.not_valid_after_utc - certificate.not_valid_before_utc
        usages = [str(e.value) for e in certificate.extensions if "Usage" in type(e.value).__name__]
        return list(fields), certificate.subject, certificate.issuer, span, usages, str(names)
    return fields


def lines(ports: dict[str, int]) -> list[str]:
    real, ours = f"localhost:{ports['real']}", f"localhost:{ports['ours']}"
    return [
        *(
            f"{verb} -remote {server} {what}"
            for server in (real, ours)
            for verb, what in (
                ("sign", "leaf.csr"),
                ("sign", "-profile www leaf.csr"),
                ("sign", "-profile none leaf.csr"),
                ("sign", "-hostname a.b,1.2.3.4 leaf.csr"),
                ("sign", "leaf.csr subject.json"),
                ("sign", "-label l leaf.csr"),
                ("gencert", "leaf.json"),
                ("gencert", "bare.json"),
                ("gencert", "-profile www -hostname x.y leaf.json"),
                ("gencert", "-crl http://crl.example leaf.json"),
                ("info", ""),
                ("info", "-profile www"),
                ("info", "-label x"),
            )
        ),
        *(
            f"{verb} -config client-{server}.json {what}"
            for server in ("real", "ours")
            for verb, what in (
                ("sign", "leaf.csr"),
                ("sign", "-profile auth leaf.csr"),
                ("sign", "-profile www leaf.csr"),
                ("sign", "-profile none leaf.csr"),
                ("gencert", "-profile auth leaf.json"),
                ("info", "-profile auth"),
                ("info", ""),
            )
        ),
        f"sign -remote {real} -config client-ours.json -profile auth leaf.csr",
        "sign -config client-real.json -profile forged leaf.csr",
        f"sign -remote {real} -profile auth leaf.csr",
        f"sign -remote {real} nofile",
        f"sign -remote {real} leaf.json",
        f"sign -remote localhost:1,{real} leaf.csr",
        "sign -remote localhost:1,localhost:2 leaf.csr",
        "sign -remote localhost:1 leaf.csr",
        "sign -remote http://127.0.0.1:1 leaf.csr",
        "gencert -remote localhost:1 leaf.json",
        "info -remote localhost:1",
        "info",
        f"info -remote {real} x",
        f"info -remote {real} -config mixed.json -profile www",
        *(
            f"{verb} -config mixed.json {ca} -profile {profile} {what}"
            for verb, what in (("sign", "leaf.csr"), ("info", ""))
            for ca in ("-ca ca.pem -ca-key ca-key.pem", "-ca ca.pem", "-ca-key ca-key.pem")
            for profile in ("www", "auth", "none", "")
        ),
        f"sign -remote {real} -tls-remote-ca nofile leaf.csr",
        f"sign -remote {real} -tls-remote-ca leaf.json leaf.csr",
        f"sign -remote {real} -tls-remote-ca ca.pem leaf.csr",
        f"sign -remote {real} -mutual-tls-client-cert no -mutual-tls-client-key no2 leaf.csr",
        f"sign -remote {real} -mutual-tls-client-cert no leaf.csr",
        f"sign -remote {real} -mutual-tls-client-cert server.pem -mutual-tls-client-key server-key.pem leaf.csr",
        f"info -remote {real} -mutual-tls-client-cert no -mutual-tls-client-key no2",
        f"info -remote {real} -tls-remote-ca nofile",
        f"sign -remote https://{real} leaf.csr",
        *(
            f"sign -remote https://localhost:{ports[name]} {flags} leaf.csr"
            for name in ("real-tls", "real-mutual", "ours-mutual")
            for flags in (
                "-tls-remote-ca ca.pem",
                "-tls-remote-ca server.pem",
                "-tls-remote-ca ca.pem -mutual-tls-client-cert server.pem -mutual-tls-client-key server-key.pem",
            )
            if name == "real-tls" or "mutual" in flags
        ),
        f"sign -remote https://localhost:{ports['real-tls']} leaf.csr",
        f"info -remote https://localhost:{ports['real-tls']} -tls-remote-ca ca.pem",
    ]


def test_both_command_lines_do_the_same_at_every_server(remotes: Remotes) -> None:
    with ThreadPoolExecutor(4) as pool:
        for difference in pool.map(lambda line: compared(line, remotes), lines(remotes.ports)):
            assert difference is None


def compared(line: str, remotes: Remotes) -> tuple[str, Done, Done] | None:
    words = line.split()
    if words[-2:-1] == ["-profile"] and "mixed" in line and words[-1] == "leaf.csr":
        words.insert(-1, "")  # -profile with nothing in it
    if words[-1] == "-profile":
        words.append("")
    theirs, ours = (call(program, words, remotes) for program in (REAL, OURS))
    if "-ca-key" in words and "-ca" not in words:  # it warns once more before it looks for the file
        theirs, ours = (replace(done, log="\n".join(sorted(set(done.log.splitlines())))) for done in (theirs, ours))
    return None if theirs == ours else (line, theirs, ours)


def test_tokens_come_from_files_and_variables(remotes: Remotes) -> None:
    at = remotes.folder
    (at / "token.hex").write_text(HEX_KEY + "\n")
    policy = client_policy(remotes.ports["real"])
    for spec in (f"file:{at}/token.hex", "env:TOKEN_KEY"):
        policy["auth_keys"]["k"] = {"type": "standard", "key": spec}
        (at / "client-spec.json").write_text(json.dumps(policy))
        argv = (
            "env",
            f"TOKEN_KEY={HEX_KEY}",
            *OURS,
            "sign",
            "-config",
            "client-spec.json",
            "-profile",
            "auth",
            "leaf.csr",
        )
        assert b"BEGIN CERTIFICATE" in run(*argv, at=at)
        if NEWER:
            assert b"BEGIN CERTIFICATE" in run(*argv[:2], *REAL, *argv[2 + len(OURS) :], at=at)


def test_addresses_that_cfssl_does_not_take_work_here(remotes: Remotes) -> None:
    port = remotes.ports["real"]
    for address in (f"127.0.0.1:{port}", f"http://127.0.0.1:{port}/", f"127.0.0.1:1,127.0.0.1:{port}"):
        done = call(OURS, ["sign", "-remote", address, "leaf.csr"], remotes)
        assert done.code == 0, done.log


def test_a_server_of_another_name_or_an_unknown_authority_is_not_trusted(remotes: Remotes) -> None:
    words = [
        "sign",
        "-remote",
        f"https://localhost:{remotes.ports['elsewhere']}",
        "-tls-remote-ca",
        "ca.pem",
        "leaf.csr",
    ]
    done = call(OURS, words, remotes)
    assert done.code == 1
    assert "x509: certificate is not valid for localhost" in done.log
    done = call(OURS, [*words[:3], "leaf.csr"], remotes)
    assert "x509: certificate signed by unknown authority" in done.log


def test_plain_http_to_a_server_of_https_fails_by_its_word_or_its_reset(remotes: Remotes) -> None:
    for program in (REAL, OURS):
        words = ["sign", "-remote", f"http://localhost:{remotes.ports['real-tls']}", "leaf.csr"]
        done = call(program, words, remotes)
        assert done.code == 1
        assert "Client sent an HTTP request to an HTTPS server" in done.log or "connection reset by peer" in done.log


@pytest.mark.parametrize("name", ["real-mutual", "ours-mutual"])
def test_without_a_certificate_of_its_own_a_client_is_refused(remotes: Remotes, name: str) -> None:
    words = ["sign", "-remote", f"https://localhost:{remotes.ports[name]}", "-tls-remote-ca", "ca.pem", "leaf.csr"]
    for program in (REAL, OURS):
        done = call(program, words, remotes)
        assert done.code == 1
        assert '"code":7400' in done.log


def test_our_server_passes_requests_on_to_the_real_one(remotes: Remotes) -> None:
    """A server may itself be a client: with -remote, and by a policy whose profiles are for remotes."""
    at, port = remotes.folder, remotes.ports["real"]
    for flags in (("-remote", f"localhost:{port}"), ("-config", "client-real.json")):
        with serving(OURS, *flags, at=at) as between:
            first = call(REAL, ["gencert", "-remote", f"localhost:{between.port}", "leaf.json"], remotes)
            second = call(REAL, ["gencert", "-remote", f"localhost:{port}", "leaf.json"], remotes)
            assert first == second
            info = call(REAL, ["info", "-remote", f"localhost:{between.port}", "-profile", "www"], remotes)
            assert info == call(REAL, ["info", "-remote", f"localhost:{port}", "-profile", "www"], remotes)


def test_our_own_commands_ask_a_server_too(remotes: Remotes, tmp_path: Path) -> None:
    """By the profile's remote with its token, or by --remote; over mutual TLS; and nothing is left where it refuses."""
    at, ports = remotes.folder, remotes.ports
    http, mutual = f"http://127.0.0.1:{ports['real']}", f"https://localhost:{ports['real-mutual']}"
    shown = ["--trust", "ca.pem", "--tls-cert", "server.pem", "--tls-key", "server-key.pem"]
    (at / "token.hex").write_text(HEX_KEY)
    (at / "token.hex").chmod(0o600)
    (at / "open.hex").write_text(HEX_KEY)
    (at / "open.hex").chmod(0o644)
    for number, (words, hours) in enumerate(
        (
            (["--config", "client-real.json", "--profile", "auth"], 200),
            (["--config", "client-real.json", "--profile", "www"], 300),
            (["--remote", http], 100),
            (["--remote", http, "--profile", "auth", "--auth-key", "file:token.hex"], 200),
            (["--remote", mutual, *shown], 100),
        )
    ):
        for command in (["sign", "leaf.csr", "--host", "other.example"], ["gencert", "leaf.json"]):
            base = tmp_path / f"{command[0]}{number}"
            assert native([*command, *words, "--out", str(base)], at=at) == (0, "")
            made = x509.load_pem_x509_certificate(base.with_suffix(".pem").read_bytes())
            assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(hours=hours)
            names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            wanted = "other" if command[0] == "sign" else "leaf"
            assert names.get_values_for_type(x509.DNSName) == [f"{wanted}.example"]
    key = tmp_path / "gencert0-key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    held = serialization.load_pem_private_key(key.read_bytes(), None).public_key()
    assert held == x509.load_pem_x509_certificate((tmp_path / "gencert0.pem").read_bytes()).public_key()
    for words, said in (
        (["--config", "client-real.json", "--profile", "forged"], "the server did not sign"),
        (["--config", "client-real.json", "--ca", "ca.pem", "--ca-key", "ca-key.pem"], "both a CA and a server"),
        (["--remote", mutual, "--trust", "ca.pem"], "the server did not sign"),
        (["--remote", http, "--auth-key", HEX_KEY], "the key itself does not belong here"),
        (["--remote", http, "--auth-key", "file:open.hex"], "others can read this key"),
        (["--remote", http, "--db-config", "db.json"], "the server that signs records it"),
        (["--remote", mutual, "--tls-cert", "server.pem"], "half a pair"),
        (["--config", "server.json", "--trust", "ca.pem"], "there is no server to show it to"),
        (["--config", "server.json"], "who signs?"),
        ([], "signed how?"),
    ):
        for command in (["sign", "leaf.csr"], ["gencert", "leaf.json"]):
            code, log = native([*command, *words, "--out", str(tmp_path / "refused")], at=at)
            assert code
            assert said in log
            assert HEX_KEY not in log
    assert not list(tmp_path.glob("refused*"))


def native(words: list[str], *, at: Path) -> tuple[int, str]:
    """The code, and what it complained of."""
    argv = (sys.executable, "-m", "groundplane.cli.main", "pki", *words)
    done = subprocess.run(argv, cwd=at, capture_output=True, check=False, timeout=60)
    return done.returncode, "\n".join(line for line in done.stderr.decode().splitlines() if line.startswith("error"))
