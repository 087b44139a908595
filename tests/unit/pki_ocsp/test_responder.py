from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki import der
from groundplane.pki.ocsp.answers import read_answer
from groundplane.pki.ocsp.identity import id_of, issuer_octets, key_octets, name_octets
from groundplane.pki.ocsp.model import UNKNOWN, CertificateStatus, Digest, Single, Standing
from groundplane.pki.ocsp.responder import AnswerKey, Responder, open_responder
from groundplane.pki.response import load_response
from groundplane.pki.signer import LocalSigner
from tests.unit.pki_ocsp.samples import HOUR, NOW, ca, delegate, issue, key_of, leaf, responder, single


@pytest.mark.parametrize(
    ("kind", "digest"),
    [("rsa", "sha256"), ("p256", "sha256"), ("p384", "sha384"), ("p521", "sha512"), ("ed25519", None)],
)
def test_each_kind_of_key_signs_with_the_digest_that_clients_expect(kind: str, digest: str | None) -> None:
    response = load_response(responder(kind).sign([single()], produced_at=NOW))
    used = response.parsed.signature_hash_algorithm
    assert (None if used is None else used.name) == digest
    assert response.is_by(ca(kind).certificate)
    assert not response.is_by(leaf().certificate)


def test_an_answer_that_says_its_version_is_read_and_believed() -> None:
    """DER leaves the usual version out; old responders write it."""
    status, outer = der.parts(responder("p256").sign([single()], produced_at=NOW))
    kind, octets = der.parts(der.content(outer))
    signed, algorithm, _ = der.parts(der.content(octets))
    with_version = der.wrap(der.SEQUENCE, der.wrap(0xA0, der.integer(0)) + der.content(signed))
    signature = LocalSigner(ca("p256").key).sign_bytes(with_version)
    basic = der.wrap(der.SEQUENCE, with_version + algorithm + der.bits(signature))
    inner = der.wrap(0xA0, der.wrap(der.SEQUENCE, kind + der.wrap(der.OCTET_STRING, basic)))
    body = der.wrap(der.SEQUENCE, status + inner)
    with pytest.raises(ValueError, match="EncodedDefault"):
        _ = ocsp.load_der_ocsp_response(body).responses
    response = load_response(body)
    assert response.is_by(ca("p256").certificate)
    assert not response.is_by(leaf().certificate)
    serial, answer = read_answer(body)
    assert (serial, answer.body) == (leaf().certificate.serial_number, body)
    with pytest.raises(Invalid):
        read_answer(body[:-1])
    for cut in range(0, len(body), 7):
        with pytest.raises(ValueError, match=r"."):
            load_response(body[:cut])


def test_a_large_rsa_key_still_signs_with_sha_256_as_cfssls_do() -> None:
    large = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    assert (LocalSigner(large).digest_bits, AnswerKey(large).digest_bits) == (384, 256)


def test_an_answer_says_what_cfssls_says() -> None:
    standing = Standing(status=CertificateStatus.REVOKED, revoked_at=NOW - HOUR, reason=4)
    about = id_of(leaf().certificate.serial_number, ca().certificate)
    one = Single(id=about, standing=standing, this_update=NOW, next_update=NOW + HOUR)
    response = ocsp.load_der_ocsp_response(responder().sign([one], produced_at=NOW))
    assert response.responder_name == ca().certificate.subject
    assert response.certificates == []
    assert response.produced_at_utc == response.this_update_utc == NOW.replace(microsecond=0)
    assert response.next_update_utc == (NOW + HOUR).replace(microsecond=0)
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_time_utc == (NOW - HOUR).replace(microsecond=0)
    assert response.revocation_reason is x509.ReasonFlags.superseded
    assert isinstance(response.hash_algorithm, hashes.SHA1)
    assert response.serial_number == leaf().certificate.serial_number


def test_no_reason_is_left_out() -> None:
    standing = Standing(status=CertificateStatus.REVOKED, revoked_at=NOW, reason=0)
    one = Single(id=single().id, standing=standing, this_update=NOW, next_update=None)
    response = ocsp.load_der_ocsp_response(responder().sign([one], produced_at=NOW))
    assert response.revocation_reason is None
    assert response.next_update_utc is None


def test_several_certificates_and_a_nonce_fit_into_one_answer() -> None:
    singles = [
        Single(id=id_of(number, ca().certificate, digest), standing=UNKNOWN, this_update=NOW, next_update=NOW + HOUR)
        for number, digest in enumerate(Digest, start=1)
    ]
    response = ocsp.load_der_ocsp_response(responder().sign(singles, produced_at=NOW, nonce=b"\x04\x02ab"))
    assert [one.serial_number for one in response.responses] == [1, 2, 3, 4]
    assert {one.certificate_status for one in response.responses} == {ocsp.OCSPCertStatus.UNKNOWN}
    assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"ab"


def test_a_delegate_shows_its_certificate() -> None:
    pair = delegate()
    who = open_responder(ca().certificate, pair.certificate, AnswerKey(pair.key))
    response = ocsp.load_der_ocsp_response(who.sign([single()], produced_at=NOW))
    assert response.certificates == [pair.certificate]
    assert response.responder_name == pair.certificate.subject


def test_a_responder_that_nobody_should_believe_is_not_opened() -> None:
    other = issue("other", key_of("p256"), None, serial=9)
    own = issue("responder", key_of("p256"), other, serial=3, ocsp_signing=True)
    plain = issue("server", key_of("p256"), ca(), serial=4)
    for certificate, key, why in (
        (delegate().certificate, leaf().key, "key is not"),
        (own.certificate, own.key, "not from the CA"),
        (plain.certificate, plain.key, "does not allow"),
    ):
        with pytest.raises(Invalid, match=why):
            open_responder(ca().certificate, certificate, AnswerKey(key))


def test_it_speaks_for_its_issuers_certificates_alone() -> None:
    who = responder()
    for digest in Digest:
        assert who.speaks_for(id_of(77, ca().certificate, digest))
        assert not who.speaks_for(id_of(77, ca("p384").certificate, digest))


def test_names_and_keys_are_the_certificates_own_octets() -> None:
    certificate = leaf().certificate
    assert name_octets(certificate) == certificate.subject.public_bytes()
    assert issuer_octets(certificate) == ca().certificate.subject.public_bytes()
    digest = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest
    assert Digest.SHA1.of(key_octets(certificate)) == digest


@given(
    st.integers(min_value=0, max_value=2**159),
    st.sampled_from(CertificateStatus),
    st.sampled_from(Digest),
    st.integers(min_value=0, max_value=10),
    st.timedeltas(min_value=timedelta(), max_value=timedelta(days=300000)),
)
def test_every_answer_is_read_back(
    serial: int, status: CertificateStatus, digest: Digest, reason: int, span: timedelta
) -> None:
    who: Responder = responder("ed25519")
    standing = Standing(status=status, revoked_at=NOW, reason=0 if reason == 7 else reason)
    one = Single(id=who.id_of(serial, digest), standing=standing, this_update=NOW, next_update=NOW + span)
    number, answer = read_answer(who.sign([one], produced_at=NOW))
    assert number == serial
    assert answer.next_update == (NOW + span).replace(microsecond=0)
