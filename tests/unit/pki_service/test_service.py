"""Who may call what, what must not start, what the file may say, and what the audit remembers."""

import base64
import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki import Authority, parse_request
from groundplane.pki.operators.log import JsonJournal, request_id
from groundplane.pki.server.model import Answer, Call, Refused
from groundplane.pki.server.settings import Settings
from groundplane.pki.service.access import allowed, objections
from groundplane.pki.service.audit import entry
from groundplane.pki.service.config import parse_address, parse_config
from groundplane.pki.service.guard import caller_of
from groundplane.pki.service.model import Address, Caller, Rule, Service
from groundplane.pki.service.replay import Replays, said

NOW = datetime(2026, 11, 23, 3, 4, 5, 678901, tzinfo=UTC)
TOKEN = hashlib.sha256(b"0123456789abcdef").digest()
NODES = Rule(endpoints=frozenset({"sign"}), clients=(re.compile("node-[0-9]+"),))
BEARERS = Rule(endpoints=frozenset({"*"}), tokens=frozenset({TOKEN}))
PUBLIC = Rule(endpoints=frozenset({"bundle"}), anyone=True)
RULES = (NODES, BEARERS, PUBLIC)


@pytest.mark.parametrize(
    ("endpoint", "caller", "may"),
    [
        ("sign", Caller(names=frozenset({"node-1"})), True),
        ("sign", Caller(names=frozenset({"node-1.evil"})), False),
        ("sign", Caller(names=frozenset()), False),
        ("sign", Caller(), False),
        ("sign", Caller(token=TOKEN), True),
        ("sign", Caller(token=hashlib.sha256(b"other").digest()), False),
        ("revoke", Caller(names=frozenset({"node-1"})), False),
        ("revoke", Caller(token=TOKEN), True),
        ("bundle", Caller(), True),
    ],
)
def test_rules_let_in_whom_they_name(endpoint: str, caller: Caller, may: bool) -> None:  # noqa: FBT001 - a table
    assert allowed(RULES, endpoint, caller, mutual=True) is may


def test_without_a_rule_certificates_count_where_they_are_asked_for() -> None:
    assert allowed((), "sign", Caller(), mutual=False)
    assert not allowed((), "sign", Caller(), mutual=True)
    assert allowed((), "sign", Caller(names=frozenset()), mutual=True)


def service(
    host: str, *, mutual: bool = False, rules: tuple[Rule, ...] = (), metrics: Address | None = None
) -> Service:
    settings = Settings(tls_cert="c", tls_key="k", mutual_tls_ca="a") if mutual else Settings()
    return Service(listen=Address(host=host, port=1), settings=settings, rules=rules, metrics=metrics)


def test_off_loopback_nothing_that_matters_may_be_open() -> None:
    served = ["info", "sign", "revoke", "health", "authsign", "crl"]
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        assert list(objections(service(host), served)) == []
    (words,) = objections(service("0.0.0.0"), served)
    assert words == "anybody who reaches 0.0.0.0:1 could call revoke, sign"
    assert list(objections(service("10.0.0.1", mutual=True), served)) == []
    assert list(objections(service("::"), ["info", "authsign"])) == []
    (tokens,) = objections(service("10.0.0.1", rules=(BEARERS,)), served)
    assert "no TLS" in tokens
    (metrics,) = objections(service("10.0.0.1", mutual=True, metrics=Address(host="10.0.0.1", port=2)), served)
    assert "metrics" in metrics
    assert len(list(objections(service("10.0.0.1", mutual=True, rules=(PUBLIC,)), [*served, "bundle"]))) == 1


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "token").write_bytes(b"0123456789abcdef\n")
    (tmp_path / "token").chmod(0o600)
    return tmp_path


WHOLE = {
    "listen": "[::1]:8443",
    "tls": {"certificate": "s.pem", "key": "s-key.pem", "clientCA": "c.pem", "minimum": "1.3"},
    "ca": {"certificate": "ca.pem", "key": "ca-key.pem", "passwordFile": "token"},
    "policy": "p.json",
    "database": "db.json",
    "responder": {"certificate": "o.pem", "key": "o-key.pem"},
    "bundles": {"roots": "r.pem", "intermediates": "i.pem", "fetchFrom": ["CA.example"]},
    "endpoints": {"enable": ["newcert"], "disable": ["scan"]},
    "access": [{"endpoints": ["sign", "info"], "clients": ["a|b"]}, {"endpoints": ["*"], "tokens": ["file:token"]}],
    "metrics": "127.0.0.1:9108",
    "audit": "audit.jsonl",
    "workers": 3,
    "logLevel": "warning",
}


def parse(document: object, folder: Path) -> Service:
    return parse_config(json.dumps(document).encode(), source="serve.json", directory=folder)


def test_the_whole_file(folder: Path) -> None:
    made = parse(WHOLE, folder)
    assert (str(made.listen), made.enabled, made.workers, made.level) == (
        "[::1]:8443",
        frozenset({"newcert"}),
        3,
        "warning",
    )
    settings = made.settings
    assert (settings.ca, settings.min_tls_version, settings.disable) == (f"file:{folder}/ca.pem", "1.3", "scan")
    assert settings.ca_password == b"0123456789abcdef"
    assert settings.mutual
    assert settings.fetch_from == frozenset({"ca.example"})
    assert made.rules[1].tokens == {TOKEN}
    assert "0123456789" not in repr(made.rules)
    assert made.audit == folder / "audit.jsonl"
    least = parse({"ca": {"certificate": "a", "key": "b"}}, folder)
    assert least.settings.fetch_from == frozenset()
    assert (str(least.listen), least.rules, least.metrics) == ("127.0.0.1:8888", (), None)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ca": {"certificate": "a"}}, "its key is not named"),
        ({"listen": "8888"}, "is no address"),
        ({"tls": {"certificate": "a"}}, "its key is not named"),
        ({"tls": {"certificate": "a", "key": "b", "minimum": "1.1"}}, 'TLS 1.2 at least: write "1.2" or "1.3"'),
        ({"endpoints": {"enable": ["newcrt"]}}, "did you mean 'newcert'"),
        ({"endpoints": {"enable": ["sign"], "disable": ["sign"]}}, "both enabled and disabled"),
        ({"access": [{"endpoints": ["sign"]}]}, "lets nobody in"),
        ({"access": [{"clients": ["a"]}]}, "which endpoints"),
        ({"access": [{"endpoints": ["sign"], "clients": ["("]}]}, "regular expression"),
        ({"access": [{"endpoints": ["sign"], "tokens": ["secret"]}]}, "does not stand in this file"),
        ({"access": [{"endpoints": ["sign"], "tokens": ["file:missing"]}]}, "it is read on the host that serves"),
        ({"access": [{"endpoints": ["sign"], "tokens": ["env:GROUNDPLANE_NOT_SET"]}]}, "less than 16"),
        ({"workers": 1000}, "not possible"),
        ({"replay": {"window": "5m"}}, "where are requests remembered"),
        ({"replay": {"window": "0s", "state": "x"}}, "a second at least"),
        ({"logLevel": "inf"}, "did you mean 'info'"),
        ({"lisen": "x"}, "did you mean 'listen'"),
    ],
)
def test_a_bad_file_says_where(folder: Path, change: dict[str, object], told: str) -> None:
    with pytest.raises(Invalid) as raised:
        parse({**WHOLE, **change}, folder)
    assert told in str(raised.value)


def test_a_secret_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / "token").chmod(0o644)
    with pytest.raises(Invalid, match="others can read"):
        parse(WHOLE, folder)


@given(st.text(max_size=30))
def test_no_address_breaks_it(text: str) -> None:
    try:
        parse_address(text, at="x")
    except Invalid:
        pass  # the usual answer


def test_a_caller_is_its_token_and_the_names_of_its_certificate() -> None:
    authority, _ = Authority.create_root(parse_request(b'{"CN":"node-1","hosts":["10.0.0.1"]}', source="x"), now=NOW)
    from cryptography.hazmat.primitives.serialization import Encoding

    der = authority.certificate.public_bytes(Encoding.DER)
    assert caller_of("", der).names == frozenset({"node-1", "10.0.0.1"})
    assert caller_of("bearer  0123456789abcdef ", b"") == Caller(token=TOKEN)
    assert caller_of("Basic eA==", b"") == Caller()
    assert caller_of("", b"garbage").names == frozenset()


@given(st.text(max_size=80))
def test_request_ids_are_harmless(text: str) -> None:
    made = request_id(text)
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", made)
    assert made == text or len(made) == 16


def test_the_audit_knows_what_was_issued_and_what_was_refused() -> None:
    _, root = Authority.create_root(parse_request(b'{"CN":"x","hosts":["10.0.0.1"]}', source="x"), now=NOW)
    reply = json.dumps({"success": True, "result": {"certificate": root.certificate_pem.decode()}}).encode()
    call = Call(method="POST", path="/", body=b'{"profile":"p","certificate_request":"..."}', client="1.2.3.4:5")
    found = entry("sign", call, Answer(status=200, body=reply, headers=(), code=200))
    assert found["serial"] == str(root.seen.serial)
    assert (found["subject"], found["names"], found["asked_profile"]) == ("CN=x", ["10.0.0.1"], "p")
    assert found["outcome"] == "done"
    reply = b'{"success":false,"errors":[{"code":11200,"message":"Record not found"}]}'
    call = Call(method="POST", path="/", body=b'{"serial":"5","authority_key_id":"aa","reason":"x"}')
    found = entry("revoke", call, Answer(status=400, body=reply, headers=(), code=11200))
    assert (found["outcome"], found["error"], found["asked_serial"]) == ("refused", "Record not found", "5")


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_no_bytes_break_the_audit(body: bytes, reply: bytes) -> None:
    call = Call(method="POST", path="/", body=body)
    json.dumps(entry("sign", call, Answer(status=200, body=reply, headers=(), code=200)))


def authsign(metadata: object) -> bytes:
    request = base64.b64encode(json.dumps({"metadata": metadata}).encode()).decode()
    return json.dumps({"token": "", "request": request}).encode()


def test_a_request_is_answered_once_and_only_while_it_is_new(tmp_path: Path) -> None:
    replays = Replays(path=tmp_path / "seen", window=timedelta(minutes=5), clock=lambda: 10_000)
    replays.admit(authsign({"timestamp": 10_000, "nonce": "a"}))
    replays.admit(authsign({"timestamp": 9_800, "nonce": "b"}))
    for metadata, words in (
        ({"timestamp": 10_000, "nonce": "a"}, "answered already"),
        ({"timestamp": 9_699, "nonce": "c"}, "301 s from now"),
        ({"timestamp": 10_301, "nonce": "c"}, "301 s from now"),
        ({"timestamp": "now", "nonce": "c"}, "does not say when"),
        ({"timestamp": 10_000, "nonce": ""}, "a nonce has"),
        (None, "does not say when"),
    ):
        with pytest.raises(Refused, match=words):
            replays.admit(authsign(metadata))
    later = Replays(path=tmp_path / "seen", window=timedelta(minutes=5), clock=lambda: 10_000 + 300)
    with pytest.raises(Refused, match="answered already"):
        later.admit(authsign({"timestamp": 10_000, "nonce": "a"}))


@given(st.binary(max_size=100))
def test_no_bytes_break_the_memory_of_requests(body: bytes) -> None:
    with pytest.raises(Refused):
        said(body)


def test_a_log_line_is_an_object() -> None:
    lines: list[str] = []
    journal = JsonJournal(write=lines.append, clock=lambda: NOW)
    journal.info("a\nb\n")
    journal.debug("hidden")
    (line,) = lines
    assert line.endswith("}\n")
    assert json.loads(line) == {
        "timestamp": "2026-11-23T03:04:05.678901Z",
        "level": "info",
        "component": "pki",
        "event": "a\nb",
    }
