import json
from datetime import UTC, datetime

import pytest

from groundplane.pki.cfssl.errors import CfsslError
from groundplane.pki.cfssl.godecode import decode_fields
from groundplane.pki.cfssl.signers import SignRequest
from groundplane.pki.model import RawExtension
from groundplane.pki.name import OID
from groundplane.pki.remote.wire import SIGN_REQUEST, request_from, request_json
from groundplane.pki.signing import subject_override

FULL = SignRequest(
    csr_pem=b"-----BEGIN X-----\n",
    hosts=("a.example", ""),
    subject=subject_override("cn", "7", [(OID("2.5.4.6"), "DE"), (OID("2.5.4.10"), "o"), (OID("2.5.4.10"), "p")]),
    profile="p",
    label="l",
    serial=2**150,
    crl_override="http://crl",
    extensions=(RawExtension(oid=OID("1.2.3"), critical=True, value=b"\x05\x00"),),
    not_before=datetime(2026, 1, 1, tzinfo=UTC),
    not_after=datetime(2027, 1, 1, 12, 30, tzinfo=UTC),
    return_precert=True,
    metadata={"a": [1, {"b": None}]},
)


def again(request: SignRequest) -> SignRequest:
    return request_from(decode_fields(request_json(request), SIGN_REQUEST))


def test_a_request_survives_the_way() -> None:
    assert again(FULL) == FULL
    assert again(SignRequest(csr_pem=b"x")) == SignRequest(csr_pem=b"x")
    assert again(SignRequest(csr_pem=b"x", hosts=())).hosts == ()


def test_the_text_is_what_cfssl_s_client_sends() -> None:
    assert request_json(SignRequest(csr_pem=b"x<", profile="p")).decode() == (
        '{"hosts":null,"certificate_request":"x\\u003c","profile":"p","crl_override":"","label":"",'
        '"NotBefore":"0001-01-01T00:00:00Z","NotAfter":"0001-01-01T00:00:00Z","ReturnPrecert":false,"metadata":null}'
    )
    assert list(json.loads(request_json(FULL))) == [
        *("hosts", "certificate_request", "subject", "profile", "crl_override", "label", "serial", "extensions"),
        *("NotBefore", "NotAfter", "ReturnPrecert", "metadata"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *('{"serial":1.5}', '{"serial":"1"}', '{"NotBefore":"x"}', '{"NotAfter":"0001-01-01T00:00:00+23:59"}'),
        *(
            '{"extensions":[{"id":"a"}]}',
            '{"extensions":[{"value":"zz"}]}',
            '{"metadata":[]}',
            '{"metadata":{"a":1e999}}',
        ),
        *('{"hosts":"x"}', '{"ReturnPrecert":1}', "[]", "", '{"serial":' + "9" * 500 + "}"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(text: str) -> None:
    with pytest.raises(CfsslError):
        request_from(decode_fields(text.encode(), SIGN_REQUEST))
