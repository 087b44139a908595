"""CFSSL's certificates may outlive their CA; the hardened server's do not."""

import json
from datetime import UTC, datetime

import pytest
from cryptography import x509

from groundplane.pki import Authority, parse_request
from groundplane.pki.cfssl.config import load_config
from groundplane.pki.cfssl.journal import Journal
from groundplane.pki.cfssl.signers import SignRequest, open_signers
from groundplane.pki.csr import make_csr
from groundplane.pki.keys import generate
from groundplane.pki.model import P256
from groundplane.pki.name import AlternativeNames, Subject

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("capped", [False, True])
def test_a_certificate_ends_with_its_ca_where_that_is_asked_for(capped: bool) -> None:  # noqa: FBT001 - a parameter
    authority, root = Authority.create_root(parse_request(b'{"CN":"ca","ca":{"expiry":"2h"}}', source="ca"), now=NOW)
    policy = json.dumps({"signing": {"default": {"expiry": "8760h", "usages": ["server auth"]}}}).encode()
    signers = open_signers(
        ca=root.certificate_pem,
        ca_key=root.key_pem,
        config=load_config(policy, source="policy"),
        clock=lambda: NOW,
        journal=Journal(write=lambda _: None, clock=lambda: NOW),
        capped=capped,
    )
    csr = make_csr(generate(P256), subject=Subject(), names=AlternativeNames(dns=("a.example",)))
    made = x509.load_pem_x509_certificate(signers.sign(SignRequest(csr_pem=csr)).encode())
    ends = authority.certificate.not_valid_after_utc
    assert (made.not_valid_after_utc == ends) is capped
    assert (made.not_valid_after_utc > ends) is not capped
