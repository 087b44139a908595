"""Debian's certbot, and servers of other kinds, against the ACME server: get, renew, revoke; all on loopback."""

import asyncio
import contextlib
import hashlib
import http.client
import json
import signal
import sqlite3
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from tests.lab.acme_lab import GROUNDPLANE, AcmeServer, Certbot, Forward, acme_server, client_of, free_port
from tests.support.acme import Client, b64, csr, thumbprint


@pytest.fixture
def server(tmp_path: Path) -> Iterator[AcmeServer]:
    with acme_server(tmp_path) as running:
        yield running


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AcmeServer]:
    with acme_server(tmp_path_factory.mktemp("acme"), validation={"timeout": "1s", "attempts": 1}) as running:
        yield running


@pytest.fixture
def certbot(server: AcmeServer, tmp_path: Path) -> Certbot:
    (tmp_path / "certbot").mkdir()
    return Certbot(server, tmp_path / "certbot")


def leaf_of(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def rows(server: AcmeServer) -> dict[str, str]:
    """Serial numbers and statuses, as another program reads them from CFSSL's table."""
    with sqlite3.connect(server.folder / "certs.db") as connection:
        return {
            str(serial): status
            for serial, status in connection.execute(
                "SELECT CAST(serial_number AS TEXT), CAST(status AS TEXT) FROM certificates"
            )
        }


def test_certbot_gets_renews_and_revokes_by_http(server: AcmeServer, certbot: Certbot) -> None:
    name = "web.example.test"
    certbot.get(name, *certbot.standalone())
    first = leaf_of(certbot.live(name) / "cert.pem")
    verify = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name]
    subprocess.run([*verify, "-CAfile", server.ca, certbot.live(name) / "cert.pem"], check=True, capture_output=True)
    assert rows(server)[str(first.serial_number)] == "good"
    certbot.run("renew", "--force-renewal", "--no-random-sleep-on-renew")
    second = leaf_of(certbot.live(name) / "cert.pem")
    assert second.serial_number != first.serial_number
    certbot.run("revoke", "--cert-name", name, "--reason", "superseded", "--no-delete-after-revoke")
    found = rows(server)
    assert (found[str(first.serial_number)], found[str(second.serial_number)]) == ("good", "revoked")
    assert server.stop() == 0


def told(port: int, path: str) -> str:
    """By the operators' door."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", path)
        return connection.getresponse().read().decode()


def test_what_it_issues_and_revokes_is_counted_and_audited(tmp_path: Path) -> None:
    side = free_port()
    with acme_server(tmp_path, audit="audit.jsonl", metrics=f"127.0.0.1:{side}") as server:
        (tmp_path / "certbot").mkdir()
        certbot = Certbot(server, tmp_path / "certbot")
        name = "counted.example.test"
        certbot.get(name, *certbot.standalone())
        serial = str(leaf_of(certbot.live(name) / "cert.pem").serial_number)
        certbot.run("revoke", "--cert-name", name, "--no-delete-after-revoke")
        metrics = told(side, "/metrics")
        checks = {"database": "well", "audit": "well"}
        assert json.loads(told(side, "/health/deep")) == {"healthy": True, "checks": checks}
        assert server.stop() == 0
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    _, *lines = lines  # the server's own certificate comes first
    assert [(line["door"], line["event"], line["serial"]) for line in lines] == [
        ("acme", "issued", serial),
        ("acme", "revoked", serial),
    ]
    assert lines[0]["names"] == lines[1]["names"] == [name]
    assert lines[0]["acme_account"] == lines[1]["acme_account"] == lines[1]["revoked_by"]
    assert 'groundplane_acme_validations_total{outcome="valid",type="http-01"} 1.0' in metrics
    assert "groundplane_acme_certificates_issued_total 2.0" in metrics
    assert "groundplane_acme_certificates_revoked_total 1.0" in metrics


def test_certbot_gets_a_wildcard_by_dns(server: AcmeServer, certbot: Certbot) -> None:
    record = f'"{server.dns.folder}/_acme-challenge.$CERTBOT_DOMAIN"'
    hooks = (
        "--manual-auth-hook",
        f'echo "$CERTBOT_VALIDATION" >> {record}',
        "--manual-cleanup-hook",
        f"rm -f {record}",
    )
    name = "lab.example.test"
    certbot.get(name, "-d", f"*.{name}", "--manual", "--preferred-challenges", "dns", *hooks)
    leaf = leaf_of(certbot.live(name) / "cert.pem")
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {name, f"*.{name}"}
    assert not list(server.dns.folder.iterdir())
    certbot.run("revoke", "--cert-path", str(certbot.live(name) / "cert.pem"), "--no-delete-after-revoke")
    assert rows(server)[str(leaf.serial_number)] == "revoked"


def test_certbot_revokes_by_the_certificates_own_key_and_leaves(server: AcmeServer, certbot: Certbot) -> None:
    name = "own.example.test"
    certbot.get(name, *certbot.standalone(), "--key-type", "rsa", "--rsa-key-size", "2048")
    live = certbot.live(name)
    serial = leaf_of(live / "cert.pem").serial_number
    pair = ("--cert-path", str(live / "cert.pem"), "--key-path", str(live / "privkey.pem"))
    certbot.run("revoke", *pair, "--reason", "keycompromise", "--no-delete-after-revoke")
    assert rows(server)[str(serial)] == "revoked"
    certbot.run("update_account", "-m", "new@example.test")
    certbot.run("unregister")
    assert '"acme.account.deactivated"' in server.log


def test_certbot_is_told_why_not(server: AcmeServer, certbot: Certbot) -> None:
    refused = certbot.get("www.elsewhere.test", *certbot.standalone(), check=False)
    assert refused.returncode == 1
    # On standard error this certbot cannot say it: setting an attribute of its own error fails on Python 3.11.
    log = (certbot.folder / "logs" / "letsencrypt.log").read_text()
    assert "does not allow 'www.elsewhere.test'" in log
    (server.folder / "certbot" / "empty").mkdir()
    nothing = ("--webroot", "-w", str(server.folder / "certbot" / "empty"))
    unanswered = certbot.get("web.example.test", *nothing, check=False)
    assert unanswered.returncode == 1
    assert f"no connection to web.example.test port {server.http_port}" in unanswered.stdout + unanswered.stderr
    assert len(rows(server)) == 1  # the server's own


def test_certbot_binds_an_external_account(tmp_path: Path) -> None:
    secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
    key = tmp_path / "eab"
    key.touch(mode=0o600)
    key.write_text(secret)
    with acme_server(tmp_path, external_accounts={"required": True, "keys": {"team-a": "eab"}}) as server:
        (tmp_path / "certbot").mkdir()
        certbot = Certbot(server, tmp_path / "certbot")
        assert certbot.get("a.example.test", *certbot.standalone(), check=False).returncode == 1
        certbot.get("a.example.test", *certbot.standalone(), "--eab-kid", "team-a", "--eab-hmac-key", secret)
        assert '"external": "team-a"' in server.log


async def validated(client: Client, name: str, kind: str) -> tuple[str, str, str]:
    """A new order's URL, and of its one challenge the URL and the token."""
    order = await client.order(name)
    authorization = await client.post(order.json["authorizations"][0], None)
    challenge = next(one for one in authorization.json["challenges"] if one["type"] == kind)
    return order.header("location"), challenge["url"], challenge["token"]


async def settled(client: Client, url: str) -> Any:
    """What an order is once it is no longer pending."""
    for _ in range(200):
        order = (await client.post(url, None)).json
        if order["status"] != "pending":
            return order
        await asyncio.sleep(0.05)
    raise AssertionError(order)


def alpn_certificate(folder: Path, name: str, digest: bytes) -> tuple[Path, Path]:
    """As openssl makes it from its configuration, which is how an operator would."""
    kind = "IP" if name[0].isdigit() else "DNS"
    (folder / "alpn.cnf").write_text(
        "[req]\ndistinguished_name=dn\nx509_extensions=ext\nprompt=no\n[dn]\nCN=proof\n"
        f"[ext]\nsubjectAltName={kind}:{name}\n1.3.6.1.5.5.7.1.31=critical,DER:04:20:{digest.hex(':')}\n"
    )
    pair = folder / "alpn.pem", folder / "alpn-key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    files = ["-config", str(folder / "alpn.cnf"), "-out", str(pair[0]), "-keyout", str(pair[1])]
    subprocess.run([*make, *files], check=True, capture_output=True)
    return pair


@pytest.mark.parametrize("name", ["alpn.example.test", "127.0.0.1"])
async def test_openssls_server_proves_by_tls_alpn(server: AcmeServer, tmp_path: Path, name: str) -> None:
    client = client_of(server)
    await client.register()
    place, challenge, token = await validated(client, name, "tls-alpn-01")
    digest = hashlib.sha256(f"{token}.{thumbprint(client.key)}".encode()).digest()
    certificate, key = alpn_certificate(tmp_path, name, digest)
    listen = ["-accept", f"127.0.0.1:{server.tls_port}", "-alpn", "acme-tls/1", "-cert", certificate, "-key", key]
    responder = await asyncio.create_subprocess_exec(
        *("openssl", "s_server", *map(str, listen)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert responder.stdout is not None
        while b"ACCEPT" not in await responder.stdout.readline():
            assert responder.returncode is None
        await client.post(challenge, {})
        order = await settled(client, place)
    finally:
        responder.kill()
        await responder.wait()
    assert order["status"] == "ready", order
    done = await client.post(order["finalize"], {"csr": b64(csr(name))})
    assert done.json["status"] == "valid"


async def closed(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def test_a_wrong_digest_and_a_server_without_the_protocol_prove_nothing(
    server: AcmeServer, tmp_path: Path
) -> None:
    certificate, key = alpn_certificate(tmp_path, "alpn.example.test", b"\0" * 32)
    client = client_of(server)
    await client.register()
    for protocol, words in (("acme-tls/1", "another digest"), ("http/1.1", "no TLS with")):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols([protocol])
        responder = await asyncio.start_server(closed, "127.0.0.1", server.tls_port, ssl=context)
        async with responder:
            place, challenge, _ = await validated(client, "alpn.example.test", "tls-alpn-01")
            await client.post(challenge, {})
            order = await settled(client, place)
        assert order["status"] == "invalid"
        assert order["error"]["type"].startswith("urn:ietf:params:acme:error:")
        assert words in order["error"]["detail"] or "does not speak" in order["error"]["detail"], order


Answer = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def web(port: int, answer: Answer) -> AsyncIterator[None]:
    """A server that answers each request by `answer`, and leaves nothing behind."""
    open_now: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_now.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(head.split()[1], writer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the server under test has left, or the test has ended
        finally:
            writer.transport.abort()
            open_now.discard(task)

    async with await asyncio.start_server(serve, "127.0.0.1", port):
        try:
            yield
        finally:
            for task in list(open_now):
                task.cancel()
            await asyncio.gather(*open_now, return_exceptions=True)


async def forever(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b"x" * 65536)
        await writer.drain()


async def endless_head(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: " + b"y" * 8000 + b"\r\n")
        await writer.drain()


async def silent(_: bytes, writer: asyncio.StreamWriter) -> None:
    assert writer
    await asyncio.sleep(30)


async def trickle(_: bytes, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    for _turn in range(100):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.2)


def redirect(place: bytes) -> Answer:
    async def answer(_: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n")

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (forever, "more than any key authorization"),
        (endless_head, "does not answer in HTTP"),
        (silent, "no answer within 1 s"),
        (trickle, "no answer within 1 s"),
        (redirect(b"/again"), "redirects more than 10 times"),
        (redirect(b"http://169.254.169.254/latest/meta-data"), "no address that this server may connect to"),
        (redirect(b"http://[::1]/"), "no address that this server may connect to"),
        (redirect(b"file:///etc/passwd"), "does not go to"),
        (redirect(b"http://a.example.test:22/"), "does not go to"),
        (redirect(b""), "redirects more than 10 times"),
    ],
)
async def test_a_hostile_target_is_left_in_time(impatient: AcmeServer, answer: Answer, words: str) -> None:
    client = client_of(impatient)
    await client.register()
    async with web(impatient.http_port, answer):
        place, challenge, _ = await validated(client, "a.example.test", "http-01")
        await client.post(challenge, {})
        order = await settled(client, place)
    assert order["status"] == "invalid"
    assert words in order["error"]["detail"]


async def test_loopback_is_not_reached_unless_the_operator_says_so(tmp_path: Path) -> None:
    with acme_server(tmp_path, validation={"allow": [], "private_networks": True, "attempts": 1}) as server:
        client = client_of(server)
        await client.register()
        reached: list[bytes] = []

        async def note(path: bytes, writer: asyncio.StreamWriter) -> None:
            assert writer
            reached.append(path)

        async with web(server.http_port, note):
            place, challenge, _ = await validated(client, "a.example.test", "http-01")
            await client.post(challenge, {})
            order = await settled(client, place)
        assert "no address that this server may connect to" in order["error"]["detail"]
        assert not reached


async def test_a_redirect_within_the_fence_is_followed(server: AcmeServer) -> None:
    client = client_of(server)
    await client.register()

    async def answer(path: bytes, writer: asyncio.StreamWriter) -> None:
        if path.startswith(b"/.well-known"):
            await redirect(b"http://b.example.test/moved/" + path.rpartition(b"/")[2])(path, writer)
            return
        body = path.rpartition(b"/")[2] + b"." + thumbprint(client.key).encode() + b"\n"
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    async with web(server.http_port, answer):
        place, challenge, _ = await validated(client, "a.example.test", "http-01")
        await client.post(challenge, {})
        assert (await settled(client, place))["status"] == "ready"


async def test_killed_while_it_validates_it_goes_on_after(tmp_path: Path) -> None:
    with acme_server(tmp_path, validation={"timeout": "2s", "attempts": 3}) as server:
        client = client_of(server)
        await client.register()
        async with web(server.http_port, silent):
            place, challenge, token = await validated(client, "a.example.test", "http-01")
            await client.post(challenge, {})
            await asyncio.sleep(0.3)
            server.stop(signal.SIGKILL)
        with sqlite3.connect(tmp_path / "certs.db") as connection:  # its claim ends later: that is waited for here
            connection.execute("UPDATE acme_challenges SET due = 0 WHERE status = 'processing'")

        async def good(_: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(f"HTTP/1.1 200 OK\r\n\r\n{token}.{thumbprint(client.key)}".encode())

        async with web(server.http_port, good):
            server.start()
            assert (await settled(client, place))["status"] == "ready"


async def test_killed_at_any_moment_of_issuing_each_order_has_one_certificate(server: AcmeServer) -> None:
    client = client_of(server)
    await client.register()

    async def good(path: bytes, writer: asyncio.StreamWriter) -> None:
        token = path.rpartition(b"/")[2].decode()
        writer.write(f"HTTP/1.1 200 OK\r\n\r\n{token}.{thumbprint(client.key)}".encode())

    async with web(server.http_port, good):
        place, challenge, _ = await validated(client, "a.example.test", "http-01")
        await client.post(challenge, {})
        await settled(client, place)
    places = []
    for round_ in range(3):
        orders = [(await client.order("a.example.test")) for _ in range(6)]
        places += [order.header("location") for order in orders]
        killer = threading.Timer(0.02 + 0.03 * round_, server.process.kill if server.process else lambda: None)
        killer.start()
        with contextlib.suppress(OSError, http.client.HTTPException):
            for order in orders:
                await client.post(order.json["finalize"], {"csr": b64(csr("a.example.test"))})
        killer.join()
        assert server.process is not None
        server.process.wait()
        server.start()
        client.nonce = ""
    serials = []
    for place in places:
        order = (await client.post(place, None)).json
        if order["status"] == "ready":  # nobody had begun: the client tries again
            order = (await client.post(order["finalize"], {"csr": b64(csr("a.example.test"))})).json
        assert order["status"] == "valid", order
        serials.append(
            x509.load_pem_x509_certificate((await client.post(order["certificate"], None)).body).serial_number
        )
    found = rows(server)
    assert len(set(serials)) == len(places)
    assert set(map(str, serials)) <= set(found)
    assert len(found) == len(serials) + 1  # and the server's own


async def test_its_own_certificate_is_renewed_at_once_when_names_change(server: AcmeServer) -> None:
    own = server.folder / "state" / "tls.pem"
    before = own.read_bytes()
    assert (server.folder / "state" / "tls-key.pem").stat().st_mode & 0o777 == 0o600
    server.stop()
    server.start()
    assert own.read_bytes() == before
    server.stop()
    server.reconfigure(names=["localhost", "127.0.0.1", "acme.example.test"])
    server.start()
    names = leaf_of(own).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "acme.example.test"]
    assert (await client_of(server).register()).status == 201


def test_the_configuration_is_checked_without_serving(server: AcmeServer) -> None:
    path = server.folder / "acme.json"
    argv = [*GROUNDPLANE, "pki", "acme", "--config", str(path), "--check"]
    assert subprocess.run(argv, check=False).returncode == 0
    policy = server.folder / "policy.json"
    written = json.loads(policy.read_bytes())
    elsewhere = {"signing": {"default": {"remote": "r"}, "profiles": written["signing"]["profiles"]}}
    policy.write_text(json.dumps(elsewhere | {"remotes": {"r": "ca.example:8888"}}))
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert "ca.example:8888 signs by this profile, and nobody here" in done.stderr
    policy.write_text(json.dumps(written))
    server.reconfigure(identifers={})
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert done.returncode == 3
    assert "did you mean 'identifiers'?" in done.stderr
    path.write_text(json.dumps({"listen": "nowhere"}))
    assert subprocess.run(argv, check=False, capture_output=True).returncode == 3


async def test_two_servers_of_one_database_are_one(server: AcmeServer) -> None:
    path = server.folder / "acme.json"
    port = free_port()
    other = replace(server, port=port, process=None)
    url = f"https://localhost:{server.port}"
    server.reconfigure(listen=f"127.0.0.1:{port}", state="state2")
    other.start()
    try:
        client = client_of(server)
        await client.register()
        nonce = client.nonce
        client.app = Forward(other)  # the same URL, as behind a balancer
        assert (await client.post(client.kid, None)).status == 200
        for one in (server, other):
            client.app = Forward(one)
            assert (await client.post(client.kid, None, nonce=nonce)).problem == "badNonce"
        order = await client.order("a.example.test")
        challenge = (await client.post(order.json["authorizations"][0], None)).json["challenges"]
        by_dns = next(found for found in challenge if found["type"] == "dns-01")
        text = b64(hashlib.sha256(f"{by_dns['token']}.{thumbprint(client.key)}".encode()).digest())
        (server.dns.folder / "_acme-challenge.a.example.test").write_text(text)
        server.stop(signal.SIGKILL)
        await client.post(by_dns["url"], {})
        assert (await settled(client, order.header("location")))["status"] == "ready"
        assert json.loads(path.read_text())["url"] == url
    finally:
        other.stop()


async def test_a_hangup_reads_the_files_anew_or_leaves_all_as_it_was(server: AcmeServer) -> None:
    async def hang_up(word: str) -> None:
        assert server.process is not None
        seen = server.log.count(word)
        server.process.send_signal(signal.SIGHUP)
        for _ in range(200):
            if server.log.count(word) > seen:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(server.log)

    client = client_of(server)
    await client.register()
    assert (await client.order("a.example.test")).status == 201
    server.reconfigure(identifiers={"dns": {"allow": ["*.other.test"]}}, names=["localhost", "fresh.other.test"])
    await hang_up('"acme.reloaded"')
    assert (await client.order("a.example.test")).problem == "rejectedIdentifier"
    assert (await client.order("a.other.test")).status == 201
    names = leaf_of(server.folder / "state" / "tls.pem").extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == ["localhost", "fresh.other.test"]
    for wrong in ({"challenges": ["http-02"]}, {"challenges": ["http-01"], "listen": "127.0.0.1:1"}):
        server.reconfigure(**wrong)
        await hang_up('"acme.reload.failed"')
        assert (await client.order("b.other.test")).status == 201
    assert server.stop() == 0
