"""Certificates with ML-DSA keys (FIPS 204, RFC 9881), which OpenSSL 3.5 and newer believe."""

import pytest
from cryptography import x509

from groundplane.errors import Invalid
from groundplane.pki import Authority
from groundplane.pki.keys import dump_key, generate, load_key, spec_of
from groundplane.pki.model import KeyAlgorithm, KeySpec
from groundplane.pki.renewal.rollover import roll_over
from groundplane.pki.seen import is_signed_by, load_certificate
from groundplane.pki.signer import LocalSigner
from tests.unit.pki.samples import NOW, policy, request


@pytest.mark.parametrize("size", [44, 65, 87])
def test_a_ca_and_its_leaf(size: int) -> None:
    key = {"algo": "ml-dsa", "size": size}
    authority, root = Authority.create_root(request({"CN": "root", "key": key}), now=NOW)
    made = authority.issue(request({"CN": "leaf", "hosts": ["a.com"], "key": key}), policy().profile("etcd"), now=NOW)
    certificate = load_certificate(made.certificate_pem, source="leaf")
    assert is_signed_by(certificate, load_certificate(root.certificate_pem, source="root"))
    assert made.seen.key == KeySpec(algorithm=KeyAlgorithm.ML_DSA, size=size)
    assert certificate.signature_algorithm_oid.dotted_string.startswith("2.16.840.1.101.3.4.3.")
    assert made.key_pem.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert spec_of(load_key(made.key_pem, source="key").public_key()) == made.seen.key


def test_an_old_ca_is_rolled_over_to_one() -> None:
    authority, root = Authority.create_root(request({"CN": "root", "key": {"algo": "ecdsa"}}), now=NOW)
    spec = KeySpec(algorithm=KeyAlgorithm.ML_DSA, size=65)
    made = roll_over(authority.certificate, LocalSigner(load_key(root.key_pem, source="k")), now=NOW, spec=spec)
    assert is_signed_by(x509.load_pem_x509_certificate(made.new_by_old), authority.certificate)
    assert is_signed_by(
        x509.load_pem_x509_certificate(made.old_by_new), x509.load_pem_x509_certificate(made.certificate)
    )


def test_the_usual_size_is_65_and_there_are_three() -> None:
    assert str(request({"CN": "x", "key": {"algo": "ml-dsa"}}).key) == "ml-dsa-65"
    with pytest.raises(Invalid, match="use 44, 65 or 87"):
        request({"CN": "x", "key": {"algo": "ml-dsa", "size": 66}})


def test_a_key_comes_back_from_its_file() -> None:
    key = generate(KeySpec(algorithm=KeyAlgorithm.ML_DSA, size=44))
    assert dump_key(load_key(dump_key(key), source="k")) == dump_key(key)
