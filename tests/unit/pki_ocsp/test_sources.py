from dataclasses import dataclass, field
from datetime import timedelta

from cryptography import x509
from cryptography.x509 import ocsp

from groundplane.pki.ocsp.answers import read_answer
from groundplane.pki.ocsp.identity import id_of
from groundplane.pki.ocsp.model import GOOD, CertificateID, CertificateStatus, Digest, Request, Standing
from groundplane.pki.ocsp.responder import Responder
from groundplane.pki.ocsp.sources import FileSource, Live, TableSource
from tests.unit.pki_ocsp.samples import HOUR, NOW, ca, leaf, responder, single

REVOKED = Standing(status=CertificateStatus.REVOKED, revoked_at=NOW, reason=1)


def asked(serial: int, digest: Digest = Digest.SHA1, kind: str = "p256") -> CertificateID:
    return id_of(serial, ca(kind).certificate, digest)


def request(*ids: CertificateID, nonce: bytes | None = None) -> Request:
    return Request(asked=ids, nonce=nonce)


@dataclass
class Ledger:
    standings: dict[int, Standing] = field(default_factory=dict)
    looks: int = 0

    def look(self, _: Responder, serial: int) -> Standing | None:
        self.looks += 1
        return self.standings.get(serial)


def live(ledger: Ledger, *kinds: str) -> Live:
    responders = tuple(responder(kind) for kind in kinds or ("p256",))
    return Live(responders=responders, look=ledger.look, interval=HOUR)


def status(source: Live, it: Request, *, later: timedelta = timedelta()) -> str:
    answer = source.answer(it, NOW + later)
    assert answer is not None
    return ocsp.load_der_ocsp_response(answer.body).certificate_status.name


def test_a_revocation_is_told_at_the_next_question() -> None:
    ledger = Ledger({5: GOOD})
    source = live(ledger)
    assert status(source, request(asked(5))) == "GOOD"
    ledger.standings[5] = REVOKED
    assert status(source, request(asked(5))) == "REVOKED"
    ledger.standings[5] = GOOD  # a hold that was taken back
    assert status(source, request(asked(5))) == "GOOD"


def test_what_was_never_issued_is_unknown_until_it_is_issued() -> None:
    ledger = Ledger()
    source = live(ledger)
    first = source.answer(request(asked(6)), NOW)
    assert first is not None
    assert first.fresh_seconds == 0
    assert status(source, request(asked(6))) == "UNKNOWN"
    ledger.standings[6] = GOOD
    assert status(source, request(asked(6))) == "GOOD"


def test_a_signature_serves_until_half_of_its_time_is_over_and_the_ledger_is_asked_each_time() -> None:
    ledger = Ledger({5: GOOD})
    source = live(ledger)
    first = source.answer(request(asked(5)), NOW)
    assert source.answer(request(asked(5)), NOW + timedelta(minutes=29)) is first
    assert source.answer(request(asked(5)), NOW + timedelta(minutes=31)) is not first
    assert ledger.looks == 3


def test_a_nonce_is_answered_with_itself_and_never_from_what_was_kept() -> None:
    source = live(Ledger({5: GOOD}))
    plain = source.answer(request(asked(5)), NOW)
    nonced = source.answer(request(asked(5), nonce=b"\x04\x02hi"), NOW)
    assert plain is not None
    assert nonced is not None
    assert nonced.fresh_seconds == 0
    extensions = ocsp.load_der_ocsp_response(nonced.body).extensions
    assert extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == b"hi"
    assert source.answer(request(asked(5)), NOW) is plain


def test_names_by_any_digest_are_answered_by_the_same() -> None:
    source = live(Ledger({5: GOOD}))
    for digest in Digest:
        answer = source.answer(request(asked(5, digest)), NOW)
        assert answer is not None
        response = ocsp.load_der_ocsp_response(answer.body)
        assert response.hash_algorithm.name == digest.name.lower()
        assert response.issuer_key_hash == asked(5, digest).key_hash


def test_each_issuer_has_its_responder_and_a_strangers_certificate_is_none_of_its_business() -> None:
    source = live(Ledger({5: GOOD}), "p256", "ed25519")
    assert source.answer(request(asked(5, kind="ed25519")), NOW) is not None
    assert source.answer(request(asked(5, kind="rsa")), NOW) is None
    assert source.answer(request(asked(5), asked(5, kind="ed25519")), NOW) is None


def test_several_certificates_are_answered_together() -> None:
    answer = live(Ledger({5: GOOD, 6: REVOKED})).answer(request(asked(5), asked(6), asked(7)), NOW)
    assert answer is not None
    found = [one.certificate_status.name for one in ocsp.load_der_ocsp_response(answer.body).responses]
    assert found == ["GOOD", "REVOKED", "UNKNOWN"]


def test_a_file_answers_by_number_alone() -> None:
    pair = read_answer(responder().sign([single()], produced_at=NOW))
    source = FileSource([pair])
    number = leaf().certificate.serial_number
    assert len(source) == 1
    assert source.answer(request(asked(number, Digest.SHA256, "rsa")), NOW) is pair[1]
    assert source.answer(request(asked(number + 1)), NOW) is None


def test_a_table_is_asked_for_the_number_and_the_issuers_key() -> None:
    body = responder().sign([single()], produced_at=NOW)
    number = leaf().certificate.serial_number
    key = asked(number).key_hash.hex()
    table = {(number, key): body}
    source = TableSource(lambda serial, identifier: table.get((serial, identifier)))
    found = source.answer(request(asked(number)), NOW)
    assert found is not None
    assert found.body == body
    assert source.answer(request(asked(number, kind="rsa")), NOW) is None
    assert source.answer(request(asked(number, Digest.SHA256)), NOW) is None
