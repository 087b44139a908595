import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.ocsp.answers import Answer, encode_answers, read_answer, read_answers
from groundplane.pki.ocsp.model import ErrorAnswer
from groundplane.pki.ocsp.responder import AnswerKey, Responder
from tests.unit.pki_ocsp.samples import HOUR, NOW, ca, delegate, leaf, responder, single


def test_a_file_is_read_word_by_word_and_what_is_damaged_is_told_and_passed_over() -> None:
    body = responder().sign([single()], produced_at=NOW)
    text = b"\n\t notb64! MAMKAQY= " + base64.b64encode(body) + b"\r\nAAA\n" + base64.b64encode(body[:-40])
    found = [*read_answers(text)]
    assert found[0] == "Base64 decode error illegal base64 data at input byte 6 on: notb64!"
    assert found[1] == "OCSP decode error ocsp: error from server: unauthorized on: MAMKAQY="
    assert isinstance(found[2], tuple)
    assert found[2][0] == leaf().certificate.serial_number
    assert found[2][1].body == body
    assert found[3] == "Base64 decode error illegal base64 data at input byte 0 on: AAA"
    assert isinstance(found[4], str)
    assert found[4].startswith("OCSP decode error ")
    assert len(found) == 5


def test_what_is_dumped_is_read_again() -> None:
    bodies = [responder(kind).sign([single()], produced_at=NOW) for kind in ("rsa", "ed25519")]
    found = [*read_answers(encode_answers(iter(bodies)).encode())]
    assert [one[1].body for one in found if isinstance(one, tuple)] == bodies


def test_an_answer_knows_its_times_and_its_tag() -> None:
    _, answer = read_answer(responder().sign([single()], produced_at=NOW))
    assert answer.this_update == NOW.replace(microsecond=0)
    assert answer.next_update == (NOW + HOUR).replace(microsecond=0)
    assert len(answer.etag) == 66
    assert answer.etag == answer.etag.upper()


def test_a_certificate_that_did_not_sign_is_noticed() -> None:
    wrong = Responder(issuer=ca().certificate, certificate=delegate().certificate, key=AnswerKey(leaf().key))
    with pytest.raises(Invalid, match="bad signature on embedded certificate"):
        read_answer(wrong.sign([single()], produced_at=NOW))


def test_an_answer_about_two_certificates_is_none_to_keep() -> None:
    with pytest.raises(Invalid, match="bad number of responses"):
        read_answer(responder().sign([single(), single()], produced_at=NOW))


@pytest.mark.parametrize("error", ErrorAnswer)
def test_an_error_is_no_answer(error: ErrorAnswer) -> None:
    with pytest.raises(Invalid, match="error from server"):
        read_answer(error.value)


@given(st.data())
def test_damage_is_refused_and_nothing_worse(data: st.DataObject) -> None:
    body = bytearray(responder("ed25519").sign([single()], produced_at=NOW))
    for _ in range(data.draw(st.integers(1, 5))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert isinstance(read_answer(bytes(body))[1], Answer)
    except Invalid:
        pass  # the other thing that may happen


@given(st.binary(max_size=200))
def test_any_file_is_read(data: bytes) -> None:
    assert all(isinstance(one, str) for one in read_answers(data))
