"""`groundplane pki transport` with Debian's cfssl and multirootca: a pair that is made, kept and renewed, and used."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from groundplane.errors import Denied
from groundplane.pki.transport import open_transport, parse_identity
from tests.lab import multiroot_lab
from tests.lab.multiroot_lab import roots_served
from tests.lab.serve_cases import HEX_KEY
from tests.lab.serve_lab import REAL, Serving, serving

COMMAND = (
    *(sys.executable, "-c", "import sys; from groundplane.cli.main import main; sys.exit(main(sys.argv[1:]))"),
    *("pki", "transport"),
)
POLICY = {
    "signing": {
        "default": {"expiry": "2160h", "usages": ["signing", "server auth", "client auth"], "auth_key": "k"},
        "profiles": {
            # Dates are rounded to the minute, so one of these has a few seconds left, whenever it is asked for.
            **{
                f"short{seconds}": {
                    "expiry": f"{seconds}s",
                    "backdate": "30s",
                    "usages": ["signing", "client auth"],
                    "auth_key": "k",
                }
                for seconds in range(6, 70)
            },
            "listed": {
                "expiry": "2160h",
                "usages": ["signing", "server auth"],
                "auth_key": "k",
                "crl_url": "http://127.0.0.1:1/nobody",
            },
        },
    },
    "auth_keys": {"k": {"type": "standard", "key": HEX_KEY}},
}


def run(*argv: str, at: Path, stdin: bytes = b"", **env: str) -> bytes:
    done = subprocess.run(
        argv, cwd=at, input=stdin, capture_output=True, check=False, timeout=60, env={**os.environ, **env}
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def ca(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Serving, Serving]]:
    at = tmp_path_factory.mktemp("transport")
    (at / "ca.json").write_text(json.dumps({"CN": "ca", "key": {"algo": "ecdsa", "size": 256}}))
    run("cfssljson", "-bare", "ca", at=at, stdin=run("cfssl", "gencert", "-loglevel=5", "-initca", "ca.json", at=at))
    (at / "policy.json").write_text(json.dumps(POLICY))
    (at / "roots.ini").write_text("[lab]\nprivate = file://ca-key.pem\ncertificate = ca.pem\nconfig = policy.json\n")
    with (
        serving(REAL, "-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "policy.json", at=at) as server,
        roots_served(multiroot_lab.REAL, "-roots", "roots.ini", at=at) as several,
    ):
        yield at, server, several


def identity(at: Path, name: str, server: Serving, **access: str) -> Path:
    document: dict[str, Any] = {
        "request": {"CN": name, "hosts": ["localhost", "127.0.0.1"]},
        "profiles": {
            "paths": {"private_key": str(at / f"{name}-key.pem"), "certificate": str(at / f"{name}.pem")},
            "cfssl": {
                "remote": f"localhost:{server.port}",
                "auth-type": "standard",
                "auth-key": "env:CA_KEY",
                **access,
            },
        },
        "roots": [
            {"type": "cfssl", "metadata": {"host": f"localhost:{server.port}", "label": access.get("label", "")}}
        ],
        "client_roots": [{"type": "file", "metadata": {"source": str(at / "ca.pem")}}],
    }
    path = at / f"{name}.json"
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("which", ["serve", "multirootca"])
def test_once_makes_a_pair_and_then_keeps_it(ca: tuple[Path, Serving, Serving], which: str) -> None:
    at, server, several = ca
    path = identity(at, which, server) if which == "serve" else identity(at, which, several, label="lab")
    first = run(*COMMAND, "--identity", str(path), "--once", at=at, CA_KEY=HEX_KEY)
    assert f"{which}.pem: new, until ".encode() in first
    assert b": kept, until " in run(*COMMAND, "--identity", str(path), "--once", at=at, CA_KEY=HEX_KEY)
    run("openssl", "verify", "-CAfile", "ca.pem", f"{which}.pem", at=at)
    assert (at / f"{which}-key.pem").stat().st_mode & 0o777 == 0o600


def test_a_wrong_key_is_refused_with_the_server_s_word(ca: tuple[Path, Serving, Serving]) -> None:
    at, server, _ = ca
    argv = (*COMMAND, "--identity", str(identity(at, "wrong", server)), "--once")
    done = subprocess.run(
        argv, cwd=at, capture_output=True, check=False, timeout=60, env={**os.environ, "CA_KEY": "00"}
    )
    assert done.returncode == 12
    assert b"invalid token" in done.stderr
    assert not (at / "wrong-key.pem").exists()


def test_the_daemon_renews_before_the_end_and_runs_its_hook(ca: tuple[Path, Serving, Serving]) -> None:
    """Its first certificate has some seven seconds left when it comes."""
    at, server, _ = ca
    now = time.time()
    path = identity(at, "short", server, profile=f"short{round(37 + now - 60 * int((now + 30) / 60))}")
    (at / "hook.sh").write_text('#!/bin/sh\nopenssl x509 -noout -serial -in "$GROUNDPLANE_CERTIFICATE" >> hook.out\n')
    (at / "hook.sh").chmod(0o755)
    argv = (*COMMAND, "--identity", str(path), "--before", "3s", "--hook", "./hook.sh")
    with (at / "daemon.log").open("wb") as log:
        daemon = subprocess.Popen(argv, cwd=at, stdout=log, stderr=log, env={**os.environ, "CA_KEY": HEX_KEY})
    try:
        end = time.monotonic() + 75
        while time.monotonic() < end:
            serials = set((at / "hook.out").read_text().splitlines()) if (at / "hook.out").exists() else set()
            if len(serials) >= 2:
                break
            assert daemon.poll() is None, (at / "daemon.log").read_text()
            time.sleep(0.05)  # a file that another process writes: nothing to wait on
        assert len(serials) >= 2, (at / "daemon.log").read_text()
    finally:
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
    run("openssl", "verify", "-no_check_time", "-CAfile", "ca.pem", "short.pem", at=at)


def test_both_sides_of_tls_and_a_chain_that_cannot_be_checked(
    ca: tuple[Path, Serving, Serving], monkeypatch: pytest.MonkeyPatch
) -> None:
    at, server, _ = ca
    monkeypatch.setenv("CA_KEY", HEX_KEY)
    mine = open_transport(parse_identity(identity(at, "mine", server).read_bytes(), source="mine"))
    listed = identity(at, "listed", server, profile="listed")
    theirs = open_transport(parse_identity(listed.read_bytes(), source="listed"))
    for transport, refused in ((mine, False), (theirs, True)):
        context = transport.server_context(mutual=True)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            seen: list[bytes] = []
            thread = threading.Thread(target=greet, args=(listener, context, seen), daemon=True)
            thread.start()
            address = f"localhost:{listener.getsockname()[1]}"
            if refused:
                with pytest.raises(Denied, match="not found out"):
                    mine.dial(address)
            else:
                with mine.dial(address) as connection:
                    assert connection.recv(5) == b"hello"
            thread.join(10)
            assert x509.load_der_x509_certificate(seen[0]) == mine.certificate


def greet(listener: socket.socket, context: ssl.SSLContext, seen: list[bytes]) -> None:
    connection, _ = listener.accept()
    try:
        with connection, context.wrap_socket(connection, server_side=True) as secured:
            seen.append(secured.getpeercert(binary_form=True) or b"")
            secured.sendall(b"hello")
    except OSError:
        return
