"""The API without a network: calls in, answers out."""

import asyncio
import base64
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.pki.cfssl.builtin import BUILTIN
from groundplane.pki.cfssl.config import load_config
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.material import parse_certificate
from groundplane.pki.cfssl.request import read_request
from groundplane.pki.cfssl.root import new_root
from groundplane.pki.cfssl.sign import Issuer
from groundplane.pki.cfssl.signers import LocalSigners
from groundplane.pki.cfssl.tokens import is_genuine, keys_of, read_key, token_of
from groundplane.pki.server.app import Application
from groundplane.pki.server.log import Lines
from groundplane.pki.server.model import PREFIX, Answer, Call, Endpoint, Refused, Result
from groundplane.pki.server.mux import clean
from groundplane.pki.server.routes import NAMES, routes
from groundplane.pki.server.services import Services
from groundplane.pki.server.workers import Board

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
KEY = bytes(range(16))


class Log:
    def __init__(self) -> None:
        self.text = ""
        self.journal = Journal(write=self.write, clock=lambda: NOW)

    def write(self, text: str) -> None:
        self.text += text


@pytest.fixture(scope="module")
def signers() -> LocalSigners:
    journal = Log().journal
    certificate, _, key = new_root(read_request(b'{"CN":"ca"}'), journal, lambda: NOW)
    issuer = Issuer(key=key, certificate=parse_certificate(certificate.encode()), clock=lambda: NOW, journal=journal)
    return LocalSigners(issuer=issuer)


def application(services: Services, **more: Any) -> Application:
    return Application(routes(services, disabled=()), journal=services.journal, **more)


def ask(
    app: Application, name: str, body: bytes = b"", *, method: str = "POST", chunks: int = 1
) -> tuple[int, Mapping[bytes, bytes], bytes]:
    scope = {"type": "http", "method": method, "path": PREFIX + name, "query_string": b"", "client": ("::1", 5)}
    size = max(1, -(-len(body) // chunks))
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    waiting = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces) - 1}
        for number, piece in enumerate(pieces)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> Mapping[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app({**scope, "headers": []}, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"]


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(NAMES)), body=st.binary(max_size=200), verb=st.sampled_from(["GET", "POST"]))
def test_no_body_brings_down_an_endpoint(name: str, body: bytes, verb: str, signers: LocalSigners) -> None:
    log = Log()
    status, _, answer = ask(application(Services(journal=log.journal, signers=signers)), name, body, method=verb)
    assert status in {200, 400, 404, 405, 500}
    assert "internal error" not in log.text
    assert status == 404 or json.loads(answer)["success"] is (status == 200)


WORDS = st.sampled_from(
    [
        *(
            "certificate_request",
            "hosts",
            "hostname",
            "subject",
            "profile",
            "serial",
            "bundle",
            "request",
            "CN",
            "names",
        ),
        *("key", "algo", "size", "ca", "OID", "extensions", "Id", "Value", "certificate", "serialNumber", "issuingKey"),
        *("expireTime", "token", "timestamp", "domain", "expiry", "pem", "status", "metadata", "sans"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("ed25519"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=250, deadline=None)
@given(
    name=st.sampled_from(["sign", "authsign", "info", "newcert", "newkey", "init_ca", "gencrl", "certadd"]),
    document=st.dictionaries(WORDS, VALUES, max_size=6),
)
def test_no_document_brings_down_an_endpoint(name: str, document: dict[str, Any], signers: LocalSigners) -> None:
    log = Log()
    services = Services(journal=log.journal, signers=signers, locked_profiles=True, keys_of=lambda _: (KEY,))
    ask(application(services), name, json.dumps(document).encode())
    assert "internal error" not in log.text, log.text


def test_a_mistake_of_ours_is_logged_and_not_shown() -> None:
    log = Log()

    def run(_: Call) -> Result:
        raise RuntimeError("a secret")

    endpoints = {f"{PREFIX}odd": Endpoint(name="odd", method="POST", run=run)}
    status, headers, body = ask(Application(endpoints, journal=log.journal), "odd")
    assert (status, b"secret" in body) == (500, False)
    assert "odd: internal error: RuntimeError: a secret" in log.text
    assert headers[b"x-content-type-options"] == b"nosniff"


@pytest.mark.parametrize("chunks", [1, 7])
def test_a_body_that_is_too_large_is_413_however_it_comes(chunks: int, signers: LocalSigners) -> None:
    app = application(Services(journal=Log().journal, signers=signers), body_limit=100)
    status, headers, body = ask(app, "info", b"x" * 101, chunks=chunks)
    assert (status, json.loads(body)["errors"][0]["code"], headers[b"connection"]) == (413, 413, b"close")
    assert ask(app, "info", b"{}" + b" " * 98, chunks=chunks)[0] == 200


def test_an_observer_may_refuse_and_sees_every_answer(signers: LocalSigners) -> None:
    seen: list[tuple[str, int]] = []

    class Strict:
        def admit(self, endpoint: Endpoint, call: Call) -> None:
            if endpoint.dangerous:
                raise Refused(403, f"not for {call.client}")

        def answered(self, endpoint: Endpoint, call: Call, answer: Answer, *, seconds: float) -> Answer:
            assert call.method == "POST"
            assert seconds >= 0
            seen.append((endpoint.name, answer.status))
            return answer

    app = application(Services(journal=Log().journal, signers=signers), observer=Strict())
    assert ask(app, "newkey", b'{"CN":"x"}')[0] == 403
    assert ask(app, "info", b"{}")[0] == 200
    assert seen == [("newkey", 403), ("info", 200)]


def test_each_endpoint_is_off_for_its_reason() -> None:
    log = Log()
    services = Services(journal=log.journal, no_bundles="no roots", no_scans="no scanner")
    found = routes(services, disabled=("health", "/"))
    assert {endpoint.name for endpoint in found.values()} == {"newkey", "init_ca", "certinfo", "certadd"}
    for line in (
        "[WARNING] endpoint 'sign' is disabled: signer not initialized",
        "[WARNING] endpoint 'revoke' is disabled: cert db not configured (missing -db-config)",
        "[WARNING] endpoint 'bundle' is disabled: no roots",
        "[INFO] endpoint 'health' is explicitly disabled",
        "[INFO] endpoint '/' is explicitly disabled",
        "[INFO] endpoint '/api/v1/cfssl/newkey' is enabled",
        "[INFO] Handler set up complete.",
    ):
        assert f"{line}\n" in log.text


def test_profiles_decide_which_of_the_two_signing_endpoints_there_is(signers: LocalSigners) -> None:
    log = Log()
    found = routes(
        Services(journal=log.journal, signers=signers, open_profiles=False, locked_profiles=True), disabled=()
    )
    assert PREFIX + "authsign" in found
    assert PREFIX + "sign" not in found
    assert """endpoint 'sign' is disabled: {"code":5200,"message":"Invalid or unknown policy"}""" in log.text


def test_a_token_opens_a_locked_profile_and_nothing_else_does(signers: LocalSigners) -> None:
    services = Services(
        journal=Log().journal, signers=signers, locked_profiles=True, keys_of=lambda name: (KEY,) if name else ()
    )
    app = application(services)
    inner = b'{"certificate_request":"","profile":"p"}'
    for token, words in ((token_of(KEY, inner), "missing parameter 'certificate_request'"), (b"x", "invalid token")):
        body = {"token": base64.b64encode(token).decode(), "request": base64.b64encode(inner).decode()}
        assert json.loads(ask(app, "authsign", json.dumps(body).encode())[2])["errors"][0]["message"] == words


def test_the_key_before_opens_too_while_keys_change() -> None:
    config = load_config(
        json.dumps(
            {
                "signing": {
                    "default": {"expiry": "1h", "usages": ["signing"]},
                    "profiles": {
                        "p": {"expiry": "1h", "usages": ["signing"], "auth_key": "new", "prev_auth_key": "old"}
                    },
                },
                "auth_keys": {"new": {"type": "standard", "key": "aa"}, "old": {"type": "standard", "key": "BB"}},
            }
        ).encode(),
        source="config",
    )
    keys = keys_of(config)
    assert keys == {"": (), "p": (b"\xaa", b"\xbb")}
    assert is_genuine(token_of(b"\xbb", b"x"), b"x", keys["p"])
    assert not is_genuine(token_of(b"\xcc", b"x"), b"x", keys["p"])


def test_keys_are_hex_or_where_hex_is(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(" 0aFF\n")
    monkeypatch.setenv("A_KEY", "01")
    assert [read_key(text) for text in ("00", f"file:{tmp_path / 'key'}", "env:A_KEY")] == [b"\0", b"\x0a\xff", b"\1"]
    for bad in ("", "0", "zz", "env:NOT_SET_AT_ALL", "file:/nonexistent", "vault:00"):
        with pytest.raises(Coded) as refused:
            read_key(bad)
        assert refused.value.code is Code.POLICY


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("", "/"), ("//a", "/a"), ("/a/../b/", "/b/"), ("/../..", "/"), ("/a/./b", "/a/b"), ("/a/", "/a/"), ("/", "/")],
)
def test_paths_are_cleaned_as_go_does_it(path: str, wanted: str) -> None:
    assert clean(path) == wanted


def test_lines_are_written_together_and_whole() -> None:
    read, write = os.pipe()
    lines = Lines(write, most=3)
    lines.write("a\n")
    lines.write("b\n")
    os.set_blocking(read, False)
    with pytest.raises(BlockingIOError):
        os.read(read, 10)
    lines.write("c\n")
    assert os.read(read, 100) == b"a\nb\nc\n"
    os.close(read)
    lines.write("d\n")
    lines.flush()  # nobody reads it any more
    os.close(write)


def test_the_worker_with_the_fewest_connections_takes_the_next() -> None:
    board = Board(3)
    board.put(0, 2)
    board.put(1, 1)
    assert [board.is_least(0), board.is_least(1)] == [False, True]
    board.put(2, 1)
    assert board.is_least(2)
    board.absent(1)
    board.absent(2)
    assert board.is_least(0)


def test_plain_errors_are_500_with_code_0(signers: LocalSigners) -> None:
    def run(_: Call) -> Result:
        raise Plain("time: invalid duration")

    endpoints = {f"{PREFIX}x": Endpoint(name="x", method="GET", run=run)}
    status, _, body = ask(Application(endpoints, journal=Log().journal), "x", method="GET")
    assert (status, json.loads(body)["errors"]) == (500, [{"code": 0, "message": "time: invalid duration"}])
    assert BUILTIN.usages == signers.info(label="", profile="").usages
