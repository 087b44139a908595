"""A certificate keeps the profile's rules before any key signs it; the level says what may be said against it."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from groundplane.errors import Invalid
from groundplane.pki import Authority, LocalSigner, parse_policy, parse_request
from groundplane.pki.cfssl.config import load_config
from groundplane.pki.cfssl.errors import Code, Coded, Plain
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.sign import Issuer
from groundplane.pki.lint.verdict import judge
from groundplane.pki.lint.view import view
from groundplane.pki.signer import ByteSigner

NOW = datetime(2026, 3, 4, 10, 20, tzinfo=UTC)

PLAIN = {"expiry": "1h", "usages": ["signing", "server auth"]}
WHOLE = {
    **PLAIN,
    "ocsp_url": "http://ocsp.example.com",
    "issuer_urls": ["http://ca.example.com/ca.crt"],
    "Policies": [{"ID": "2.23.140.1.2.1"}],
}


class Counting(ByteSigner):
    """Counts what the CA signs."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._signer = LocalSigner(key)
        self.signed = 0

    @property
    def public_key(self) -> Any:
        return self._signer.public_key

    @property
    def digest_bits(self) -> int:
        return self._signer.digest_bits

    def sign_bytes(self, data: bytes) -> bytes:
        self.signed += 1
        return self._signer.sign_bytes(data)


def config(fields: dict[str, Any]) -> bytes:
    return json.dumps({"signing": {"default": {**PLAIN, "expiry": "1h"}, "profiles": {"p": fields}}}).encode()


@lru_cache(maxsize=1)
def root() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    made = parse_request(b'{"CN":"ca","names":[{"C":"US","O":"b"}]}', source="r")
    authority, _ = Authority.create_root(made, now=NOW, key=key)
    return authority.certificate, key


@lru_cache(maxsize=1)
def csr() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.com")])
    return x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def sign(fields: dict[str, Any], **asked: Any) -> tuple[str, Counting, list[str]]:
    certificate, key = root()
    signer, lines = Counting(key), list[str]()
    journal = Journal(write=lines.append, clock=lambda: NOW, least=0)
    issuer = Issuer(key=signer, certificate=certificate, clock=lambda: NOW, journal=journal)
    profile = load_config(config(fields), source="p").profile("p")
    try:
        return issuer.sign(csr(), profile, hosts=("www.example.com",), **asked), signer, lines
    except Plain as refused:
        return str(refused), signer, lines


def said(pem: str) -> list[int]:
    return sorted(
        int(it.status)
        for it in judge(view(x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)))
        if it.status > 3
    )


@pytest.mark.parametrize("level", [3, 4, 5, 6, "pass", "info", "warn", "error"])
def test_cfssl_counts_what_is_worse_than_the_level(level: int | str) -> None:
    made, _, _ = sign(PLAIN)
    number = level if isinstance(level, int) else 3 + ["pass", "info", "warn", "error"].index(level)
    worse = [status for status in said(made) if status > number]
    told, signer, lines = sign({**PLAIN, "lint_error_level": level})
    if not worse:
        assert told.startswith("-----BEGIN")
    else:
        assert told == f"pre-issuance linting found {len(worse)} error results"
        assert signer.signed == 0
        assert any("pre-issuance linting: e_" in line for line in lines)


@pytest.mark.parametrize("level", [1, 2, "NA", "NE"])
def test_below_pass_even_what_does_not_apply_counts(level: int | str) -> None:
    told, signer, _ = sign({**PLAIN, "lint_error_level": level})
    assert int(told.split()[3]) > 100
    assert signer.signed == 0


@pytest.mark.parametrize("level", [0, 7, "reserved", "fatal"])
def test_nothing_is_worse_than_fatal_and_nobody_looks_at_level_0(level: int | str) -> None:
    told, signer, _ = sign({**PLAIN, "lint_error_level": level})
    assert told.startswith("-----BEGIN")
    assert signer.signed == 1


def test_a_certificate_that_lacks_nothing_is_signed_at_the_level_of_errors() -> None:
    told, _, _ = sign({**WHOLE, "lint_error_level": "warn"})
    assert told.startswith("-----BEGIN")


def test_rules_and_whole_sources_may_be_left_out() -> None:
    sources = ["CABF_BR", "Apple", "RFC5280"]
    told, _, _ = sign({**PLAIN, "lint_error_level": 3, "ignored_lint_sources": sources})
    assert told.startswith("-----BEGIN")
    names = ["e_sub_cert_aia_missing", "e_sub_cert_aia_does_not_contain_ocsp_url"]
    names += ["e_sub_cert_cert_policy_empty", "e_sub_cert_certificate_policies_missing"]
    told, _, _ = sign({**PLAIN, "lint_error_level": 5, "ignored_lints": names[1:]})
    assert told == "pre-issuance linting found 1 error results"
    told, _, _ = sign({**PLAIN, "lint_error_level": 5, "ignored_lints": names})
    assert told.startswith("-----BEGIN")


def test_a_precertificate_is_looked_at_too() -> None:
    told, signer, _ = sign({**PLAIN, "lint_error_level": 5}, return_precert=True)
    assert told == "pre-issuance linting found 4 error results"
    assert signer.signed == 0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"lint_error_level": 8}, "invalid configuration"),
        ({"lint_error_level": -1}, "invalid configuration"),
        ({"lint_error_level": "notice"}, 'failed to unmarshal configuration: bad LintStatus JSON value: "notice"'),
        ({"lint_error_level": 1.5}, "failed to unmarshal configuration: bad LintStatus JSON value: 1.5"),
        ({"lint_error_level": True}, "failed to unmarshal configuration: bad LintStatus JSON value: true"),
        ({"ignored_lints": ["x"]}, 'failed to build filtered lint registry: unknown lint name "x"'),
        ({"ignored_lint_sources": ["Q"]}, 'failed to build excluded lint source list: unknown source "Q"'),
        ({"ignored_lint_sources": ["RFC8813"]}, 'failed to build excluded lint source list: unknown source "RFC8813"'),
    ],
)
def test_a_policy_that_names_what_is_not_has_cfssls_words(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(Coded) as refused:
        load_config(config({**PLAIN, **fields}), source="p")
    assert refused.value.code is Code.POLICY
    assert refused.value.text == words


def test_an_authority_names_the_rules_that_would_be_broken() -> None:
    certificate, key = root()
    signer = Counting(key)
    authority = Authority(certificate, signer)
    profile = parse_policy(config({**PLAIN, "lint_error_level": 5}), source="p").profile("p")
    request = parse_request(b'{"CN":"www.example.com","hosts":["www.example.com"]}', source="r")
    with pytest.raises(Invalid, match=r"it would break e_sub_cert_aia_does_not_contain_ocsp_url, .*ignored_lints"):
        authority.issue(request, profile, now=NOW)
    assert signer.signed == 0
    whole = parse_policy(config({**WHOLE, "lint_error_level": 5}), source="p").profile("p")
    assert authority.issue(request, whole, now=NOW).certificate_pem.startswith(b"-----BEGIN")
