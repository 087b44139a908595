import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.authority import Authority
from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.model import CertificateRequest
from groundplane.pki.multiroot.counters import RootCounters
from groundplane.pki.multiroot.ini import parse_roots
from groundplane.pki.multiroot.roots import Root, load_roots
from groundplane.pki.multiroot.run import parse_place

NOW = datetime(2026, 5, 1, tzinfo=UTC)


def test_the_file_s_forms() -> None:
    text = """# a comment
early = 1
[ primary ]\r
private = file://key.pem
quoted = "  kept  "
  single  =  ' x '
mixed = "a'
private = last wins

[second]
a=b=c
"""
    assert parse_roots(text) == {
        "default": {"early": "1"},
        "primary": {"private": "last wins", "quoted": "  kept  ", "single": " x ", "mixed": "a"},
        "second": {"a": "b=c"},
    }


@pytest.mark.parametrize("line", ["x", "[a b]", "[]", " # late", "a-b = c", "= x", "[a] x"])
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(CfsslError, match="invalid config file"):
        parse_roots(f"[ok]\n{line}\n")


@given(st.text(max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_roots(text)
    except CfsslError as bad:
        assert str(bad) == "invalid config file"  # noqa: PT017 - either outcome is right


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    _, issued = Authority.create_root(CertificateRequest(common_name="CA"), now=NOW)
    (tmp_path / "ca.pem").write_bytes(issued.certificate_pem)
    (tmp_path / "ca-key.pem").write_bytes(issued.key_pem)
    key = load_pem_private_key(issued.key_pem, None)
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "ca-key.der").write_bytes(der)
    policy = {"signing": {"default": {"expiry": "1h", "usages": ["signing"]}}}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, *lines: str) -> Root:
    entries = {"private": "file://ca-key.pem", "certificate": "ca.pem", "config": "policy.json"}
    for line in lines:
        name, _, value = line.partition("=")
        entries[name] = value
    text = "[one]\n" + "".join(f"{name} = {value}\n" for name, value in entries.items() if value)
    (folder / "roots.ini").write_text(text)
    journal = Journal(write=lambda _: None, clock=lambda: NOW)
    return load_roots("roots.ini", clock=lambda: NOW, journal=journal)["one"]


def test_keys_are_found_by_relative_and_absolute_paths_in_pem_and_der(folder: Path) -> None:
    for spec in ("file://ca-key.pem", f"file://{folder}/ca-key.pem", "file://./ca-key.der", "file://%63a-key.pem"):
        if "%" in spec:
            with pytest.raises(CfsslError):
                load(folder, f"private={spec}")  # only a path is decoded, and this is where a host would be
        else:
            assert load(folder, f"private={spec}").signers.info(label="", profile="").expiry == "1h"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("private=", "config: root is missing private key spec"),
        ("certificate=", "config: root is missing certificate path"),
        ("config=", "config: root is missing configuration file path"),
        ("private=ca-key.pem", "config: unsupported private key scheme"),
        ("private=http://x/y", "config: unsupported private key scheme"),
        ("private=rofile://x", "config: Red October is retired; keep the key in a file, and name it with file://"),
        ("private=file://nofile", "open nofile: no such file or directory"),
        ("private=file://policy.json", '{"code":2002,"message":"Failed to decode private key"}'),
        ("certificate=nofile", "open nofile: no such file or directory"),
        ("certificate=policy.json", '{"code":1002,"message":"Failed to decode certificate"}'),
        ("config=nofile", '{"code":5200,"message":"could not read configuration file"}'),
        ("nets=10.0.0.0", "invalid CIDR address: 10.0.0.0"),
        ("nets=10.0.0.0/8,", "invalid CIDR address: "),
        ("nets=10.0.0.0/99", "invalid CIDR address: 10.0.0.0/99"),
        ("dbconfig=nofile", '{"code":5200,"message":"could not read configuration file"}'),
    ],
)
def test_what_is_wrong_is_said_as_cfssl_says_it(folder: Path, line: str, words: str) -> None:
    with pytest.raises(CfsslError) as refused:
        load(folder, line)
    assert str(refused.value) == words


def test_nets_decide_who_may_ask(folder: Path) -> None:
    assert load(folder).admits("anything")
    root = load(folder, "nets=10.1.2.3/8, fd00::/8")
    assert root.admits("10.9.9.9")
    assert root.admits("::ffff:10.9.9.9")
    assert root.admits("fd00::1")
    assert not root.admits("11.0.0.1")
    assert not root.admits("::1")
    assert not root.admits("")


def test_processes_count_together() -> None:
    counters = RootCounters(["b", "a"])
    child = os.fork()
    if child == 0:
        counters.request("a")
        counters.bad_input()
        os._exit(0)
    os.waitpid(child, 0)
    counters.request("a")
    counters.errored("b")
    counters.know(["c"])
    counters.request("c")
    counters.request("nobody")
    assert {name: list(rows) for name, _, rows in counters.rows()} == {
        "requests": [({"operation": "sign", "signer": "a"}, 2), ({"operation": "sign", "signer": "c"}, 1)],
        "requests_errored": [({"operation": "sign", "signer": "b"}, 1)],
        "bad_inputs": [({"operation": "sign"}, 1)],
    }


def test_addresses_to_listen_at() -> None:
    assert parse_place(":8888") == ("", 8888)
    assert parse_place("127.0.0.1:1") == ("127.0.0.1", 1)
    assert parse_place("[::1]:1") == ("::1", 1)
    for bad in ("8888", "a:b:c", "a:x", "a:99999"):
        with pytest.raises(CfsslError, match="listen tcp: "):
            parse_place(bad)
