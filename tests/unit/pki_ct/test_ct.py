import base64
import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from groundplane.cli.main import main
from groundplane.pki.authority import Authority
from groundplane.pki.cfssl.config import load_config
from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.signers import LocalSigners, SignRequest, open_signers
from groundplane.pki.csr import make_csr
from groundplane.pki.ct import BadTimestamp, Timestamp, timestamp_list
from groundplane.pki.ct.model import read_timestamp
from groundplane.pki.ct.submit import LogFailed, submit
from groundplane.pki.keys import generate
from groundplane.pki.model import P256, CertificateRequest
from groundplane.pki.name import AlternativeNames, Subject
from tests.unit.pki_ct.log_server import POISON, WHEN, Log, public_der, running

NOW = datetime(2026, 5, 1, tzinfo=UTC)
GOOD = {
    "sct_version": 0,
    "id": base64.b64encode(b"i" * 32).decode(),
    "timestamp": 5,
    "extensions": "",
    "signature": base64.b64encode(b"\4\3\0\2ab").decode(),
}


def signers(logs: list[str], lines: list[str] | None = None) -> LocalSigners:
    _, root = Authority.create_root(CertificateRequest(common_name="CA"), now=NOW)
    profile = {"expiry": "1h", "usages": ["server auth"], "ct_log_servers": logs}
    config = load_config(json.dumps({"signing": {"default": profile}}).encode(), source="policy")
    found = open_signers(
        ca=root.certificate_pem,
        ca_key=root.key_pem,
        config=config,
        clock=lambda: NOW,
        journal=Journal(write=([] if lines is None else lines).append, clock=lambda: NOW),
    )
    assert isinstance(found, LocalSigners)
    return found


def request() -> bytes:
    names = AlternativeNames(dns=("a.example",))
    return make_csr(generate(P256), subject=Subject(), names=names, is_ca=False, path_length=None, extensions=())


def timestamps(certificate: x509.Certificate) -> x509.PrecertificateSignedCertificateTimestamps:
    return certificate.extensions.get_extension_for_class(x509.PrecertificateSignedCertificateTimestamps).value


def test_a_certificate_has_what_every_log_signed_about_it() -> None:
    lines: list[str] = []
    with running() as first, running() as second:
        signing = signers([first.url, second.url + "/"], lines)
        made = x509.load_pem_x509_certificate(signing.sign(SignRequest(csr_pem=request())).encode())
    issuer = signing.issuer.certificate
    assert issuer is not None
    made.verify_directly_issued_by(issuer)
    assert POISON not in {extension.oid for extension in made.extensions}
    for log, found in zip((first, second), timestamps(made), strict=True):
        assert found.log_id == log.id
        assert found.entry_type is x509.certificate_transparency.LogEntryType.PRE_CERTIFICATE
        assert log.seen[0].serial_number == made.serial_number
        stamp = Timestamp(log_id=log.id, milliseconds=WHEN, extensions=b"", signature=b"")
        key_hash = hashlib.sha256(public_der(issuer.public_key())).digest()
        signed = stamp.signed(made.tbs_precertificate_bytes, issuer_key_hash=key_hash)
        log.key.public_key().verify(found.signature, signed, ec.ECDSA(hashes.SHA256()))
    assert [line.partition("] ")[2].split(" 1")[0] for line in lines if "submitting" in line] == [
        f"submitting poisoned precertificate to {first.url}\n",
        f"submitting poisoned precertificate to {second.url}/\n",
    ]
    assert sum("signed certificate with serial number" in line for line in lines) == 2


def test_groundplane_s_own_commands_tell_the_logs_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("ca.json").write_text('{"CN": "root"}')
    Path("leaf.json").write_text('{"CN": "leaf", "hosts": ["a.example"]}')
    assert main(["pki", "gencert", "--initca", "ca.json", "--out", "ca"]) == 0
    by = ["--ca", "ca.pem", "--ca-key", "ca-key.pem", "--config", "policy.json"]
    with running() as log:
        profile: dict[str, object] = {"expiry": "1h", "usages": ["server auth"], "ct_log_servers": [log.url]}
        Path("policy.json").write_text(json.dumps({"signing": {"default": profile}}))
        assert main(["pki", "gencert", *by, "leaf.json", "--out", "leaf"]) == 0
        assert main(["pki", "gencsr", "leaf.json", "--key", "leaf-key.pem", "--out", "again"]) == 0
        assert main(["pki", "sign", *by, "again.csr", "--out", "again"]) == 0
        issuer = x509.load_pem_x509_certificate(Path("ca.pem").read_bytes())
        for seen, name in zip(log.seen, ("leaf.pem", "again.pem"), strict=True):
            made = x509.load_pem_x509_certificate(Path(name).read_bytes())
            made.verify_directly_issued_by(issuer)
            assert seen.serial_number == made.serial_number
            assert [stamp.log_id for stamp in timestamps(made)] == [log.id]
        profile["ct_log_servers"] = [log.url, f"{log.url}/none"]
        Path("policy.json").write_text(json.dumps({"signing": {"default": profile}}))
        capsys.readouterr()
        assert main(["pki", "gencert", *by, "leaf.json", "--out", "never"]) == 7
        assert f"{log.url}/none: this log of certificate transparency has not taken it" in capsys.readouterr().err
    assert not Path("never.pem").exists()


def test_a_precertificate_alone_is_told_to_nobody() -> None:
    with running() as log:
        made = signers([log.url]).sign(SignRequest(csr_pem=request(), return_precert=True))
        assert not log.seen
    poison = x509.load_pem_x509_certificate(made.encode()).extensions.get_extension_for_oid(POISON)
    assert poison.critical
    assert poison.value == x509.PrecertPoison()


@pytest.mark.parametrize(
    "answer",
    [
        (400, b""),
        (200, b""),
        (200, b"[]"),
        (200, b"{}"),
        (200, b"[" * 10_000),
        (200, json.dumps({**GOOD, "id": "eA=="}).encode()),
        (200, b" " * 100_000),
    ],
)
def test_a_log_that_does_not_take_it_is_error_10100(answer: tuple[int, bytes]) -> None:
    with running() as log:
        log.answers.append((answer[0], {}, answer[1]))
        with pytest.raises(CfsslError, match=r'^{"code":10100,'):
            signers([log.url]).sign(SignRequest(csr_pem=request()))


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "ftp://x", "http://", "http://[", "http://x:99999"])
def test_a_log_that_is_not_there_is_error_10100(url: str) -> None:
    with pytest.raises(CfsslError, match=r'^{"code":10100,'):
        signers([url]).sign(SignRequest(csr_pem=request()))


def test_a_busy_log_is_asked_again() -> None:
    with running() as log:
        log.answers += [(503, {"Retry-After": "0"}, b""), (429, {"Retry-After": "0"}, b"")]
        signers([log.url]).sign(SignRequest(csr_pem=request()))
        assert not log.answers


def test_a_log_that_stays_busy_is_given_up() -> None:
    def busy(log: Log) -> None:
        log.answers += [(503, {"Retry-After": "9999"}, b"")] * 5

    with running() as log:
        busy(log)
        began = time.monotonic()
        with pytest.raises(LogFailed, match='got HTTP status "503 Service Unavailable"'):
            submit(log.url, (b"x",), within=0.8)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    "change",
    [
        *({"sct_version": 1}, {"sct_version": True}, {"timestamp": -1}, {"timestamp": "5"}, {"timestamp": 2**64}),
        *({"id": 5}, {"id": "!"}, {"signature": ""}, {"signature": base64.b64encode(b"\4\3\0\1ab").decode()}),
        *({"signature": base64.b64encode(b"\x09\3\0\2ab").decode()}, {"extensions": "x"}),
    ],
)
def test_what_is_no_timestamp_is_refused(change: dict[str, object]) -> None:
    read_timestamp(GOOD)
    with pytest.raises(BadTimestamp):
        read_timestamp({**GOOD, **change})


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**63),
    st.binary(max_size=40),
    st.binary(min_size=1, max_size=90),
)
def test_the_list_is_one_that_others_read(log_id: bytes, when: int, extensions: bytes, signature: bytes) -> None:
    whole = b"\4\3" + len(signature).to_bytes(2) + signature
    stamp = Timestamp(log_id=log_id, milliseconds=when, extensions=extensions, signature=whole)
    value = timestamp_list([stamp, stamp]).value
    assert value.endswith(stamp.encode())
    assert value.count(stamp.encode()) == 2


def test_more_timestamps_than_fit_are_refused() -> None:
    stamp = Timestamp(log_id=b"i" * 32, milliseconds=1, extensions=b"x" * 60_000, signature=b"\4\3\0\1a")
    with pytest.raises(BadTimestamp):
        timestamp_list([stamp, stamp])
