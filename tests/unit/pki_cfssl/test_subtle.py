"""The points that are easy to get wrong, one test each: what CFSSL's users rely on without knowing."""

import json
import os
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from groundplane.cli.cfssl.main import main as cfssl
from groundplane.pki.cfssl.errors import Coded
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.ocsp import reason_of
from groundplane.pki.cfssl.signers import SignRequest, open_signers


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Path:
    """A CA in ca.pem and ca-key.pem, made by the programs themselves."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ca.json").write_text('{"CN":"ca"}')
    made = run(capfd, "gencert", "-initca", "ca.json")
    (tmp_path / "ca.pem").write_text(made["cert"])
    (tmp_path / "ca-key.pem").write_text(made["key"])
    return tmp_path


def run(capfd: pytest.CaptureFixture[str], *words: str, code: int = 0) -> dict[str, str]:
    """What it prints, as JSON; nothing if it prints nothing."""
    capfd.readouterr()
    assert cfssl("cfssl", list(words)) == code, capfd.readouterr().err
    out = capfd.readouterr().out
    found: dict[str, str] = json.loads(out) if out.startswith("{") else {}
    return found


def gencert(capfd: pytest.CaptureFixture[str], request: object, *flags: str, policy: object = None) -> x509.Certificate:
    Path("leaf.json").write_text(json.dumps(request))
    if policy is not None:
        Path("policy.json").write_text(json.dumps(policy))
        flags = ("-config=policy.json", *flags)
    made = run(capfd, "gencert", "-ca=ca.pem", "-ca-key=ca-key.pem", *flags, "leaf.json")
    return x509.load_pem_x509_certificate(made["cert"].encode())


def sans(certificate: x509.Certificate) -> list[tuple[str, str]] | None:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None
    return [(type(name).__name__, str(name.value)) for name in found]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ({"size": 384}, "ecdsa-384"),
        (None, "ecdsa-256"),
        ({}, "ecdsa-256"),
        ({"algo": "rsa", "size": 2048}, "rsa-2048"),
        ({"algo": "ed25519"}, "ed25519-256"),
    ],
)
def test_a_key_is_read_over_the_default_field_by_field(
    folder: Path, capfd: pytest.CaptureFixture[str], key: object, words: str
) -> None:
    (folder / "k.json").write_text(json.dumps({"CN": "x", "key": key}))
    assert cfssl("cfssl", ["genkey", "k.json"]) == 0
    assert f"generating key: {words}\n" in capfd.readouterr().err


def test_rsa_without_a_size_has_ecdsa_s_and_is_too_weak(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "k.json").write_text('{"CN":"x","key":{"algo":"rsa"}}')
    run(capfd, "genkey", "k.json", code=1)
    assert cfssl("cfssl", ["genkey", "k.json"]) == 1
    assert '{"code":2400,"message":"RSA key is too weak"}' in capfd.readouterr().err


def test_no_hosts_and_absent_hosts_warn_and_hosts_beside_the_request_replace_them(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert folder
    for request in ({"CN": "x"}, {"CN": "x", "hosts": []}):
        assert sans(gencert(capfd, request)) is None
    assert sans(gencert(capfd, {"CN": "x", "hosts": [""]})) == [("DNSName", "")]
    named = gencert(capfd, {"CN": "x", "hosts": ["a.com"]}, "-hostname=b.com, c.com")
    assert sans(named) == [("DNSName", "b.com"), ("DNSName", " c.com")]


def test_an_empty_list_beside_a_request_takes_its_names_and_an_absent_one_leaves_them(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "k.json").write_text('{"CN":"x","hosts":["a.com"]}')
    csr = run(capfd, "genkey", "k.json")["csr"].encode()
    signers = open_signers(
        ca=(folder / "ca.pem").read_bytes(),
        ca_key=(folder / "ca-key.pem").read_bytes(),
        config=None,
        clock=lambda: datetime.now(UTC),
        journal=Journal(write=lambda _: None, clock=datetime.now),
    )
    kept, none = (
        x509.load_pem_x509_certificate(signers.sign(SignRequest(csr_pem=csr, hosts=hosts)).encode())
        for hosts in (None, ())
    )
    assert (sans(kept), sans(none)) == ([("DNSName", "a.com")], None)


def test_names_are_sorted_by_kind_and_kept_in_order_within(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert folder
    hosts = ["10.0.0.2", "https://x/y", "b@c.d", "z.com", "::ffff:1.2.3.4", "a.com", "Bob <bob@e.f>", "10.0.0.1"]
    assert sans(gencert(capfd, {"CN": "x", "hosts": hosts})) == [
        *(("DNSName", "z.com"), ("DNSName", "a.com")),
        *(("RFC822Name", "b@c.d"), ("RFC822Name", "bob@e.f")),
        *(("IPAddress", "10.0.0.2"), ("IPAddress", "1.2.3.4"), ("IPAddress", "10.0.0.1")),
        ("UniformResourceIdentifier", "https://x/y"),
    ]


def test_dates_are_of_whole_minutes_five_back(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert folder
    policy = {"signing": {"default": {"expiry": "90m", "usages": ["any"]}}}
    made = gencert(capfd, {"CN": "x"}, policy=policy)
    assert made.not_valid_before_utc.second == 0
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(minutes=90)


def test_an_unknown_profile_is_the_default(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert folder
    profiles = {"known": {"expiry": "2h", "usages": ["client auth"]}}
    policy = {"signing": {"default": {"expiry": "1h", "usages": ["server auth"]}, "profiles": profiles}}
    made = gencert(capfd, {"CN": "x"}, "-profile=knwon", policy=policy)
    usages = list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert usages == [ExtendedKeyUsageOID.SERVER_AUTH]


def test_of_the_default_a_profile_inherits_only_addresses(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert folder
    default = {
        "expiry": "1h",
        "usages": ["server auth"],
        "ocsp_url": "http://o",
        "crl_url": "http://c",
        "backdate": "1h",
    }
    policy = {"signing": {"default": default, "profiles": {"p": {"expiry": "2h", "usages": ["client auth"]}}}}
    made = gencert(capfd, {"CN": "x"}, "-profile=p", policy=policy)
    assert made.not_valid_after_utc - made.not_valid_before_utc == timedelta(hours=2)
    assert made.extensions.get_extension_for_class(x509.CRLDistributionPoints)
    assert made.extensions.get_extension_for_class(x509.AuthorityInformationAccess)


def test_reasons_are_names_or_numbers_and_none_is_none(folder: Path) -> None:
    assert folder
    assert [reason_of(text) for text in ("", "0", "10", "KeyCompromise", "removefromcrl", "aacompromise")] == [
        *(0, 0, 10, 1, 8, 10)
    ]
    for text in ("11", "-1"):
        with pytest.raises(Coded, match="revocation status"):
            reason_of(text)


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_files_obey_the_umask_and_keys_are_private_whatever_it_is(folder: Path, umask: int, expected: int) -> None:
    (folder / "in.json").write_text('{"cert":"C","key":"K","csr":"R"}')
    (folder / "out-key.pem").write_text("old")
    (folder / "out-key.pem").chmod(0o644)
    before = os.umask(umask)
    try:
        assert cfssl("cfssljson", ["-bare", "-f", "in.json", "out"]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE((folder / "out.pem").stat().st_mode) == expected
    assert stat.S_IMODE((folder / "out.csr").stat().st_mode) == 0o644 & ~umask
    assert stat.S_IMODE((folder / "out-key.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("program", "words", "code"),
    [
        ("cfssl", [], 1),
        ("cfssl", ["bogus"], 1),
        ("cfssl", ["gencert", "-h"], 0),
        ("cfssl", ["gencert", "-bogus"], 2),
        ("cfssl", ["gencert", "nofile"], 1),
        ("cfssl", ["gencert", "ca.json"], 0),
        ("cfssl", ["print-defaults", "bogus"], 0),
        ("cfssl-certinfo", ["-cert=nofile"], 0),
        ("cfssl-certinfo", ["-bogus"], 2),
        ("cfssl-newkey", ["nofile"], 0),
        ("cfssl-bundle", [], 0),
        ("mkbundle", ["nofile"], 0),
        ("cfssljson", ["-f=nofile"], 1),
        ("cfssljson", ["-bogus"], 2),
    ],
)
def test_exit_codes_also_the_odd_ones(folder: Path, program: str, words: list[str], code: int) -> None:
    assert folder
    assert cfssl(program, words) == code


def test_copied_extensions_never_touch_what_is_the_ca_s(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What CFSSL mended in 2026: a request could make itself a CA, or anybody."""
    config = "[req]\nprompt=no\ndistinguished_name=d\nreq_extensions=e\n[d]\nCN=x\n[e]\n"
    config += "basicConstraints=critical,CA:true\nkeyUsage=keyCertSign\nextendedKeyUsage=codeSigning\n"
    config += "subjectAltName=DNS:bank.example\nnameConstraints=permitted;DNS:a\n"
    config += "certificatePolicies=1.2.3\n1.2.3.4=DER:0500\n"
    (folder / "req.cnf").write_text(config)
    argv = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-config",
        "req.cnf",
    ]
    subprocess.run([*argv, "-keyout", "k.pem", "-out", "r.csr"], check=True, capture_output=True, cwd=folder)
    profile = {"expiry": "1h", "usages": ["server auth"], "copy_extensions": True}
    profile["ca_constraint"] = {"is_ca": True, "max_path_len": 1}
    (folder / "p.json").write_text(json.dumps({"signing": {"default": profile}}))
    flags = ("-ca=ca.pem", "-ca-key=ca-key.pem", "-config=p.json", "-hostname=a.example")
    made = x509.load_pem_x509_certificate(run(capfd, "sign", *flags, "r.csr")["cert"].encode())
    found = {extension.oid.dotted_string for extension in made.extensions}
    assert "1.2.3.4" in found
    assert not found & {"2.5.29.15", "2.5.29.30", "2.5.29.32"}
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1
    usages = list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert usages == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert sans(made) is None  # a CA's certificate has addresses alone


def test_an_ed25519_key_of_cfssl_is_read_and_one_of_ours_by_openssl(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "k.json").write_text('{"CN":"x","key":{"algo":"ed25519"}}')
    key = run(capfd, "genkey", "k.json")["key"]
    load_pem_private_key(key.encode(), None)
    (folder / "theirs.pem").write_text(key.replace(" PRIVATE", " Ed25519 PRIVATE"))
    made = run(capfd, "gencsr", "-key=theirs.pem", "k.json")
    assert x509.load_pem_x509_csr(made["csr"].encode()).is_signature_valid
