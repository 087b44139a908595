"""Certificates say what was planned, belong to their keys, and carry the digest that CFSSL would choose."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from groundplane.errors import Invalid
from groundplane.pki.authority import Authority
from groundplane.pki.keys import dump_key, generate, load_key, spec_of
from groundplane.pki.lifecycle import differences
from groundplane.pki.model import CURVE_SIZES, KeyAlgorithm, KeySpec
from groundplane.pki.policy import client_profile, client_request
from groundplane.pki.seen import load_certificate, see_pair
from groundplane.pki.signer import digest_for
from tests.unit.pki.samples import NOW, policy, quick_ca, request

ED25519 = KeySpec(algorithm=KeyAlgorithm.ED25519, size=256)
RSA2048 = KeySpec(algorithm=KeyAlgorithm.RSA, size=2048)
QUICK = [ED25519, *(KeySpec(algorithm=KeyAlgorithm.ECDSA, size=size) for size in CURVE_SIZES)]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create_root(quick_ca(), now=NOW)[0]


def test_a_root_signs_itself_and_can_be_loaded_again() -> None:
    authority, root = Authority.create_root(quick_ca(), now=NOW, serial=7)
    assert root.seen.serial == 7
    again = Authority.load(root.certificate_pem, root.key_pem)
    assert again.certificate == authority.certificate
    pair = see_pair(root.certificate_pem, root.key_pem, issuer=None)
    assert (pair.key_matches, pair.signed_by_issuer, pair.troubles) == (True, True, ())


@pytest.mark.parametrize("document", ["etcd", "dns", "everything"])
def test_what_is_issued_says_what_was_planned(authority: Authority, document: str) -> None:
    key = {"algo": "ecdsa", "size": 384}
    hosts = ["10.0.0.1", "::1", "a.example", "bob@example.com", "spiffe://td/ns"]
    names = [{"C": "US", "O": "b", "OU": "groß"}, {"O": "a", "E": "a@b", "OID": {"2.5.4.9": "x" * 99}}]
    config = {
        "signing": {
            "default": {"expiry": "8760h"},
            "profiles": {
                "etcd": {"expiry": "1h", "usages": ["server auth"]},
                "dns": {"expiry": "1h", "usages": ["signing", "crl sign", "key agreement", "decipher only"]},
                "everything": {
                    "expiry": "2h",
                    "usages": ["cert sign", "any"],
                    "ca_constraint": {"is_ca": True, "max_path_len": 3},
                    "ocsp_url": "http://o/",
                    "crl_url": "http://c/",
                    "issuer_urls": ["http://i/", "http://j/"],
                    "ocsp_no_check": True,
                },
            },
        }
    }
    what = request({"CN": "x" * 64, "hosts": hosts, "names": names, "key": key, "serialnumber": "9"})
    profile = policy(config).profile(document)
    plan = authority.plan(what, profile, now=NOW)
    issued = authority.issue(what, profile, now=NOW)
    assert list(differences(issued.seen, plan)) == []
    assert issued.seen.names == plan.names
    assert (issued.seen.not_before, issued.seen.not_after) == (plan.not_before, plan.not_after)
    pair = see_pair(issued.certificate_pem, issued.key_pem, issuer=authority.certificate)
    assert (pair.key_matches, pair.signed_by_issuer) == (True, True)


def test_extensions_come_in_cfssl_s_order(authority: Authority) -> None:
    issued = authority.issue(client_request("agent"), client_profile(policy()), now=NOW)
    certificate = load_certificate(issued.certificate_pem, source="x")
    assert [(extension.oid._name, extension.critical) for extension in certificate.extensions] == [
        ("keyUsage", True),
        ("extendedKeyUsage", False),
        ("basicConstraints", True),
        ("subjectKeyIdentifier", False),
        ("authorityKeyIdentifier", False),
    ]


def test_a_nameless_certificate_makes_its_hosts_critical(authority: Authority) -> None:
    issued = authority.issue(request({"hosts": ["a.example"]}), policy().profile("etcd"), now=NOW)
    names = load_certificate(issued.certificate_pem, source="x").extensions.get_extension_for_class
    assert names(x509.SubjectAlternativeName).critical


def test_a_key_is_kept_out_of_what_is_shown(authority: Authority) -> None:
    issued = authority.issue(client_request("agent"), client_profile(policy()), now=NOW)
    assert "PRIVATE" not in repr(issued)


def test_a_key_of_another_kind_is_refused(authority: Authority) -> None:
    with pytest.raises(Invalid, match="the key is ed25519, and"):
        authority.issue(client_request("agent"), client_profile(policy()), now=NOW, key=generate(ED25519))


def test_a_ca_needs_its_own_key_and_a_ca_s_certificate(authority: Authority) -> None:
    _, other = Authority.create_root(quick_ca(), now=NOW)
    leaf = authority.issue(client_request("agent"), client_profile(policy()), now=NOW)
    with pytest.raises(Invalid, match="the key is not the one"):
        Authority.load(other.certificate_pem, leaf.key_pem)
    with pytest.raises(Invalid, match="not the certificate of a CA"):
        Authority.load(leaf.certificate_pem, leaf.key_pem)


def test_a_leaf_of_another_ca_is_known_by_its_signature(authority: Authority) -> None:
    namesake, _ = Authority.create_root(quick_ca(), now=NOW)
    leaf = namesake.issue(client_request("agent"), client_profile(policy()), now=NOW)
    assert not see_pair(leaf.certificate_pem, leaf.key_pem, issuer=authority.certificate).signed_by_issuer


@pytest.mark.parametrize(("certificate", "key"), [(b"", b""), (b"x", b"-----BEGIN"), (None, None), (b"x", None)])
def test_files_that_cannot_be_read_are_troubles(certificate: bytes | None, key: bytes | None) -> None:
    pair = see_pair(certificate, key, issuer=None)
    assert len(pair.troubles) == 2
    assert (pair.has_certificate, pair.has_key) == (certificate is not None, key is not None)


@pytest.mark.parametrize("spec", [*QUICK, RSA2048])
def test_a_key_comes_back_from_its_file(spec: KeySpec) -> None:
    pem = dump_key(generate(spec))
    label = {KeyAlgorithm.RSA: b"RSA ", KeyAlgorithm.ECDSA: b"EC ", KeyAlgorithm.ED25519: b""}[spec.algorithm]
    assert pem.startswith(b"-----BEGIN " + label + b"PRIVATE KEY-----\n")
    again = load_key(pem, source="x")
    assert spec_of(again.public_key()) == spec
    assert dump_key(again) == pem


def test_cfssl_s_own_label_of_ed25519_is_read() -> None:
    pem = dump_key(generate(ED25519))
    assert dump_key(load_key(pem.replace(b" PRIVATE", b" Ed25519 PRIVATE"), source="x")) == pem


def test_a_broken_key_is_found() -> None:
    pem = dump_key(generate(RSA2048))
    for place in range(100, len(pem) - 100, 97):  # OpenSSL signs with most of these all the same
        letter = pem[place : place + 1]
        if not letter.isalnum():
            continue
        flipped = pem[:place] + (b"A" if letter != b"A" else b"B") + pem[place + 1 :]
        with pytest.raises(Invalid, match=r"^x: "):
            load_key(flipped, source="x")


@pytest.mark.parametrize(("spec", "digest"), list(zip(QUICK, [None, "sha256", "sha384", "sha512"], strict=True)))
def test_the_digest_follows_the_key(spec: KeySpec, digest: str | None) -> None:
    found = digest_for(generate(spec).public_key())
    assert (found.name if isinstance(found, hashes.HashAlgorithm) else None) == digest
