"""The server as an operator meets it: TLS, clients' certificates, signals, workers that die, hostile clients."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509

from tests.lab.serve_lab import OURS, REAL, Serving, serving

_CFSSL = "/usr/bin/cfssl"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CA, a server's pair, and clients' pairs."""
    at = tmp_path_factory.mktemp("server")

    def made(name: str, *argv: str, request: str) -> None:
        out = subprocess.run(
            (_CFSSL, *argv, "-"), cwd=at, input=request.encode(), capture_output=True, check=True
        ).stdout
        subprocess.run(("cfssljson", "-bare", name), cwd=at, input=out, check=True)

    for name in ("ca", "other"):
        made(name, "gencert", "-initca", request=f'{{"CN":"{name}","key":{{"algo":"rsa","size":2048}}}}')
    sign = ("gencert", "-ca", "ca.pem", "-ca-key", "ca-key.pem")
    for name, hosts in (("server", '["localhost","127.0.0.1"]'), ("server2", '["localhost"]')):
        made(name, *sign, request=f'{{"CN":"{name}","hosts":{hosts}}}')
    for name in ("friend", "stranger"):
        made(name, *sign, request=f'{{"CN":"{name}","hosts":[""]}}')
    made("leaf", "genkey", request='{"CN":"leaf","hosts":["a.example"]}')
    (at / "config.json").write_text(_config("8760h"))
    return at


def _config(expiry: str) -> str:
    return json.dumps({"signing": {"default": {"expiry": expiry, "usages": ["signing", "server auth"]}}})


@pytest.fixture
def plain(folder: Path) -> Iterator[Serving]:
    flags = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "config.json")
    with serving(OURS, *flags, at=folder) as running:
        yield running


def asked(folder: Path) -> bytes:
    return json.dumps({"certificate_request": (folder / "leaf.csr").read_text()}).encode()


def secured(
    folder: Path,
    port: int,
    *,
    client: str = "",
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.minimum_version, context.maximum_version = oldest, newest
    if client:
        context.load_cert_chain(folder / f"{client}.pem", folder / f"{client}-key.pem")
    return http.client.HTTPSConnection("localhost", port, context=context, timeout=10)


def status_of(connection: http.client.HTTPConnection, path: str = "/api/v1/cfssl/health") -> tuple[int, bytes]:
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def workers_of(master: int) -> list[int]:
    text = Path(f"/proc/{master}/task/{master}/children").read_text()
    return [int(word) for word in text.split()]


def all_workers_of(master: int) -> list[int]:
    """Once they are all there: the first one listens while the others begin."""
    wanted, end = min(len(os.sched_getaffinity(0)), 8), time.monotonic() + 10
    while len(found := workers_of(master)) != wanted:
        assert time.monotonic() < end, found
        time.sleep(0.02)  # processes to come: nothing to wait on
    return found


def test_it_speaks_tls_1_2_and_1_3_and_nothing_older(folder: Path) -> None:
    flags = ("-tls-cert", "server.pem", "-tls-key", "server-key.pem", "-ca", "ca.pem", "-ca-key", "ca-key.pem")
    with serving(OURS, *flags, at=folder) as running:
        assert f"Now listening on https://127.0.0.1:{running.port}\n" in running.log.read_text()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            assert status_of(secured(folder, running.port, oldest=version, newest=version))[0] == 200
        argv = ("openssl", "s_client", "-connect", f"127.0.0.1:{running.port}", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        assert subprocess.run(argv, input=b"", capture_output=True, check=False, timeout=10).returncode != 0


def test_1_3_is_understood(folder: Path) -> None:
    flags = ("-tls-cert", "server.pem", "-tls-key", "server-key.pem", "-min-tls-version", "1.3")
    with serving(OURS, *flags, at=folder) as running:
        assert status_of(secured(folder, running.port))[0] == 200
        with pytest.raises(ssl.SSLError):
            status_of(secured(folder, running.port, newest=ssl.TLSVersion.TLSv1_2))


def test_clients_need_a_certificate_of_the_right_name(folder: Path) -> None:
    flags = ("-tls-cert", "server.pem", "-tls-key", "server-key.pem", "-mutual-tls-ca", "ca.pem")
    with serving(OURS, *flags, "-mutual-tls-cn", "^fri", at=folder) as running:
        assert f"Now listening with mutual TLS on https://127.0.0.1:{running.port}\n" in running.log.read_text()
        assert status_of(secured(folder, running.port, client="friend"))[0] == 200
        assert status_of(secured(folder, running.port, client="stranger")) == (403, b"Invalid CN\n")
        running.wait_for('Rejected client cert CN "stranger" does not match regex ^fri')
        with pytest.raises((ssl.SSLError, ConnectionError)):
            status_of(secured(folder, running.port))
    with serving(OURS, *flags, at=folder) as running:
        assert status_of(secured(folder, running.port, client="stranger"))[0] == 200


def test_curl_talks_to_it(folder: Path) -> None:
    flags = ("-tls-cert", "server.pem", "-tls-key", "server-key.pem", "-mutual-tls-ca", "ca.pem")
    with serving(OURS, *flags, at=folder) as running:
        url = f"https://localhost:{running.port}/api/v1/cfssl/health"
        pair = ("--cert", "friend.pem", "--key", "friend-key.pem")
        argv = ("curl", "-sS", "--cacert", "ca.pem", *pair, url)
        done = subprocess.run(argv, cwd=folder, capture_output=True, check=True, timeout=10)
        assert done.stdout == b'{"success":true,"result":{"healthy":true},"errors":[],"messages":[]}\n'


def test_a_hangup_reloads_policy_ca_and_certificate_and_old_connections_see_it(folder: Path) -> None:
    for name in ("ca.pem", "ca-key.pem", "server.pem", "server-key.pem"):
        (folder / f"live-{name}").write_bytes((folder / name).read_bytes())
    (folder / "live.json").write_text(_config("8760h"))
    flags = ("-tls-cert", "live-server.pem", "-tls-key", "live-server-key.pem", "-config", "live.json")
    with serving(OURS, *flags, "-ca", "live-ca.pem", "-ca-key", "live-ca-key.pem", at=folder) as running:
        kept = secured(folder, running.port)

        def info() -> dict[str, str]:
            kept.request("POST", "/api/v1/cfssl/info", b"{}")
            found: dict[str, str] = json.loads(kept.getresponse().read())["result"]
            return found

        assert info()["expiry"] == "8760h"
        (folder / "live.json").write_text("{")
        mark = running.mark()
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("reload failed, nothing is changed", after=mark)
        assert info()["expiry"] == "8760h"
        (folder / "live.json").write_text(_config("5h"))
        for name in ("ca.pem", "ca-key.pem"):
            (folder / f"live-{name}").write_bytes((folder / name.replace("ca", "other", 1)).read_bytes())
        for name in ("server.pem", "server-key.pem"):
            (folder / f"live-{name}").write_bytes((folder / name.replace("server", "server2")).read_bytes())
        mark = running.mark()
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("reloaded", after=mark)
        end = time.monotonic() + 10
        while info()["expiry"] != "5h":
            assert time.monotonic() < end
            time.sleep(0.02)  # each worker reloads by itself, and does not say so
        mark = running.mark()
        info()
        assert 'info" 200' in running.wait_for("\n", after=mark)
        assert x509.load_pem_x509_certificate(info()["certificate"].encode()).subject.rfc4514_string() == "CN=other"
        kept.close()
        fresh = secured(folder, running.port)
        fresh.connect()
        der = fresh.sock.getpeercert(binary_form=True)
        assert isinstance(der, bytes)
        assert x509.load_der_x509_certificate(der).subject.rfc4514_string() == "CN=server2"
        fresh.close()


def test_a_worker_that_is_killed_is_replaced(plain: Serving) -> None:
    before = all_workers_of(plain.process.pid)
    mark = plain.mark()
    os.kill(before[0], signal.SIGKILL)
    plain.wait_for("another takes its place", after=mark)
    end = time.monotonic() + 10
    while len(now := workers_of(plain.process.pid)) < len(before):
        assert time.monotonic() < end
        time.sleep(0.02)  # a process to come: nothing to wait on
    assert before[0] not in now
    assert all(plain.ask("GET", "/api/v1/cfssl/health").status == 200 for _ in range(10))


def test_workers_end_when_their_master_is_killed(folder: Path) -> None:
    with serving(OURS, at=folder) as running:
        left = all_workers_of(running.process.pid)
        running.process.kill()
        running.process.wait()
        end = time.monotonic() + 10
        while any(Path(f"/proc/{pid}").exists() for pid in left):
            assert time.monotonic() < end
            time.sleep(0.02)  # processes of another parent


def test_what_has_begun_is_finished_before_it_ends(plain: Serving) -> None:
    request = b'{"request":{"CN":"a","hosts":["a"],"key":{"algo":"rsa","size":4096}}}'
    mark = plain.mark()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(plain.ask, "POST", "/api/v1/cfssl/newcert", request)
        plain.wait_for("generating key: rsa-4096", after=mark)
        plain.process.send_signal(signal.SIGTERM)
        assert answer.result(60).status == 200
    assert plain.process.wait(30) == 0
    with pytest.raises(ConnectionError):
        plain.ask("GET", "/api/v1/cfssl/health")


def test_all_workers_take_part(plain: Serving, folder: Path) -> None:
    body = asked(folder)
    before = [_cpu(pid) for pid in all_workers_of(plain.process.pid)]
    connections = [http.client.HTTPConnection("127.0.0.1", plain.port, timeout=20) for _ in range(8)]

    def load(connection: http.client.HTTPConnection) -> int:
        for _ in range(250):  # many, since processor time is told in hundredths of a second
            connection.request("POST", "/api/v1/cfssl/sign", body)
            assert b'"success":true' in connection.getresponse().read()
        connection.close()
        return 250

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(load, connections)) == 2000
    spent = [now - then for now, then in zip((_cpu(pid) for pid in workers_of(plain.process.pid)), before, strict=True)]
    assert min(spent) * 4 >= max(spent), spent


def _cpu(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_request_that_asks_for_another_protocol_is_answered_in_this_one(plain: Serving) -> None:
    """As Java's client asks of every plain server; and what its body says is no second request."""
    inner = b"GET /api/v1/cfssl/health HTTP/1.1\r\nHost: x\r\n\r\n"
    body = b'{"label":""}'
    asking = b"Host: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
    for path, sent, status in (
        (b"info", body, b"200"),
        (b"info?x=y", body, b"200"),  # not by the shorter way
        (b"info", inner, b"400"),
        (b"info?x=y", inner, b"400"),
    ):
        head = b"POST /api/v1/cfssl/%s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n" % (path, asking, len(sent))
        for pieces in ([head + sent], [head, sent], [bytes([byte]) for byte in head + sent]):
            with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as raw:
                raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for piece in pieces:
                    raw.sendall(piece)
                raw.sendall(b"GET /api/v1/cfssl/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                answers = b"".join(iter(lambda: raw.recv(65536), b""))
            assert re.findall(rb"HTTP/1.1 (\d+) ", answers) == [status, b"404"], (path, pieces)
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as raw:
        raw.sendall(b"POST /api/v1/cfssl/info HTTP/1.0\r\n%sContent-Length: %d\r\n\r\n%s" % (asking, len(body), body))
        answer = b"".join(iter(lambda: raw.recv(65536), b""))  # which ends, as an HTTP/1.0 connection does
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_headers_are_named_as_scripts_look_for_them(plain: Serving) -> None:
    for request in (b"GET / HTTP/1.1", b"GET /api/v1/cfssl/health HTTP/1.1", b"GET /api/v1/cfssl/health?x=y HTTP/1.1"):
        with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as raw:
            raw.sendall(request + b"\r\nHost: x\r\nConnection: close\r\n\r\n")
            head, _, body = b"".join(iter(lambda: raw.recv(65536), b"")).partition(b"\r\n\r\n")
        names = [line.split(b":")[0] for line in head.split(b"\r\n")[1:]]
        assert {b"Content-Type", b"Content-Length", b"Date"} <= set(names)
        assert names == [name.title() for name in names]
        assert body


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-port", "65536"), "address 65536: invalid port"),
        (("-port", "-1"), "address -1: invalid port"),
        (("-address", "0"), "lookup 0: no such host"),
        (("-address", "127.1"), "lookup 127.1: no such host"),
    ],
)
def test_only_real_addresses_are_listened_at(folder: Path, flags: tuple[str, ...], words: str) -> None:
    for program in (REAL, OURS):
        done = subprocess.run((*program, "serve", *flags), cwd=folder, capture_output=True, check=False, timeout=30)
        assert done.returncode == 1
        assert done.stderr.decode().endswith(f"listen tcp: {words}\n")


def test_in_the_background_of_a_script_it_survives_ctrl_c(folder: Path) -> None:
    """A shell has what it starts with & ignore SIGINT; in the foreground it ends of it."""
    flags = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-config", "config.json")
    for program, survives in ((("env", "--ignore-signal=INT", *OURS), True), (OURS, False)):
        with serving(program, *flags, at=folder) as running:
            assert running.ask("GET", "/api/v1/cfssl/health").status == 200  # before that it is still being set up
            running.process.send_signal(signal.SIGINT)
            if survives:
                time.sleep(0.5)
                assert running.ask("GET", "/api/v1/cfssl/health").status == 200
            else:
                assert running.process.wait(timeout=20) == 0


def test_a_pattern_for_names_is_go_s(folder: Path) -> None:
    tls = ("-tls-cert", "server.pem", "-tls-key", "server-key.pem", "-mutual-tls-ca", "ca.pem")
    flags = ("-port", "0", *tls, "-mutual-tls-cn", "a(?=b)", "-ca", "ca.pem", "-ca-key", "ca-key.pem")
    said = [
        subprocess.run((*program, "serve", *flags), cwd=folder, capture_output=True, check=False, timeout=30).stderr
        for program in (REAL, OURS)
    ]
    assert {text.splitlines()[-1] for text in said} == {
        b"malformed CN regex: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"
    }


def test_a_body_that_is_too_large_is_413(plain: Serving) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as raw:
        raw.sendall(b"POST /api/v1/cfssl/sign HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000000\r\n\r\n")
        answer = raw.recv(4096)
    assert answer.startswith(b"HTTP/1.1 413 ")
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as raw:
        raw.sendall(b"POST /api/v1/cfssl/sign HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        with pytest.raises(ConnectionError):
            raw.sendall(chunk * 1000)
    assert plain.ask("GET", "/api/v1/cfssl/health").status == 200


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /api/v1/cfssl/sign HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/cfssl/sign HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET /%2e%2e/%00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 100_000,
    ],
    ids=lambda data: repr(data[:30]),
)
def test_no_bytes_end_it_or_show_its_insides(plain: Serving, data: bytes) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as raw:
        try:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            answer = raw.recv(65536)
        except ConnectionError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
    assert b"Traceback" not in answer
    assert plain.ask("GET", "/api/v1/cfssl/health").status == 200
    assert "Traceback" not in plain.log.read_text()


def test_endpoints_can_be_switched_off(folder: Path) -> None:
    flags = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-disable", "newcert,init_ca,/")
    with serving(OURS, *flags, at=folder) as running:
        log = running.log.read_text()
        for name in ("newcert", "init_ca", "/"):
            assert f"[INFO] endpoint '{name}' is explicitly disabled\n" in log
        assert running.ask("POST", "/api/v1/cfssl/newcert", b"{}").status == 404
        assert running.ask("GET", "/").status == 404
        assert running.ask("POST", "/api/v1/cfssl/newkey", b'{"CN":"x"}').status == 200


def test_it_serves_its_page(plain: Serving) -> None:
    for path in ("/", "/bundle", "/scan", "/packages"):
        page = plain.ask("GET", path)
        assert page.status == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert b"http://" not in page.body.replace(b"http://www.w3.org", b"")
        assert "script-src 'sha256-" in page.headers["content-security-policy"]
    assert plain.ask("GET", "/index.html").status == 301
    assert plain.ask("GET", "/assets/none.js").status == 404


def test_a_place_that_is_taken_is_said_in_the_words_of_go(folder: Path, plain: Serving) -> None:
    argv = (*OURS, "serve", "-port", str(plain.port))
    done = subprocess.run(argv, cwd=folder, capture_output=True, check=False, timeout=20, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith(f"listen tcp 127.0.0.1:{plain.port}: bind: address already in use\n")


def test_the_database_knows_what_was_issued_and_what_was_revoked(folder: Path) -> None:
    (folder / "db.json").write_text('{"driver":"sqlite3","data_source":"certs.db"}')
    from groundplane.pki.certdb import CertificateDatabase, DatabaseConfig

    source = DatabaseConfig(driver="sqlite3", data_source=str(folder / "certs.db"))
    CertificateDatabase.open(source, migrate=True).close()
    flags = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-db-config", "db.json")
    made = subprocess.run(
        (_CFSSL, "gencert", "-ca", "ca.pem", "-ca-key", "ca-key.pem", "-"),
        cwd=folder,
        input=b'{"CN":"responder","hosts":[""]}',
        capture_output=True,
        check=True,
    )
    subprocess.run(("cfssljson", "-bare", "responder"), cwd=folder, input=made.stdout, check=True)
    answers = ("-responder", "responder.pem", "-responder-key", "responder-key.pem")
    with serving(OURS, *flags, *answers, at=folder) as running:

        def post(name: str, **fields: object) -> dict[str, object]:
            reply = running.ask("POST", f"/api/v1/cfssl/{name}", json.dumps(fields).encode())
            found: dict[str, object] = json.loads(reply.body)
            return found

        signed: dict[str, str] = post("sign", certificate_request=(folder / "leaf.csr").read_text(), label="x")[
            "result"
        ]  # type: ignore[assignment]
        it = x509.load_pem_x509_certificate(signed["certificate"].encode())
        aki = it.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
        assert aki is not None
        key, serial = aki.hex(), str(it.serial_number)
        seen: dict[str, str] = post("certinfo", serial=serial, authority_key_id=aki.hex(":").upper())["result"]  # type: ignore[assignment]
        assert seen["pem"] == signed["certificate"]
        assert post("revoke", serial=serial, authority_key_id="00", reason="superseded")["success"] is False
        revoked = post("revoke", serial=serial, authority_key_id=key, reason="superseded")
        assert revoked == {"success": True, "result": {}, "errors": [], "messages": []}
        listed = json.loads(running.ask("GET", "/api/v1/cfssl/crl?expiry=2h").body)["result"]
        import base64

        crl = x509.load_der_x509_crl(base64.b64decode(listed))
        assert [one.serial_number for one in crl] == [it.serial_number]
        answer = post("ocspsign", certificate=signed["certificate"], status="revoked", reason=4)
        assert "ocspResponse" in answer["result"]  # type: ignore[operator]
        again = {
            "serial_number": serial,
            "authority_key_identifier": key,
            "status": "good",
            "expiry": f"{it.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
            "pem": signed["certificate"],
        }
        assert post("certadd", **{**again, "serial_number": "1"})["success"] is False
        twice = post("certadd", **again)
        assert twice["errors"][0]["code"] == 11000  # type: ignore[index]
        foreign = x509.load_pem_x509_certificate((folder / "server.pem").read_bytes())
        added = {
            **again,
            "serial_number": str(foreign.serial_number),
            "pem": (folder / "server.pem").read_text(),
            "expiry": f"{foreign.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}",
        }
        assert post("certadd", **added)["success"] is True


def test_a_chain_comes_with_the_certificate_where_bundles_are_set_up(folder: Path) -> None:
    (folder / "empty.pem").write_bytes((folder / "ca.pem").read_bytes())
    flags = ("-ca", "ca.pem", "-ca-key", "ca-key.pem", "-ca-bundle", "ca.pem", "-int-bundle", "empty.pem")
    with serving(OURS, *flags, at=folder) as running:
        fields = {"certificate_request": (folder / "leaf.csr").read_text(), "bundle": True}
        answer = json.loads(running.ask("POST", "/api/v1/cfssl/sign", json.dumps(fields).encode()).body)
        assert list(answer["result"]) == ["bundle", "certificate"]
        assert answer["result"]["bundle"]["root"] == (folder / "ca.pem").read_text().strip()
