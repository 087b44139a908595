"""Signed requests: the vectors of the RFCs, every kind of key, and what a stranger may send instead."""

import base64
import contextlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.acme import jose
from groundplane.pki.acme.problem import Problem
from tests.support.acme import AccountKey, b64, jwk_of, jws

KEYS: list[AccountKey] = [
    ec.generate_private_key(ec.SECP256R1()),
    ec.generate_private_key(ec.SECP384R1()),
    ec.generate_private_key(ec.SECP521R1()),
    ed25519.Ed25519PrivateKey.generate(),
    rsa.generate_private_key(65537, 2048),
]
RFC7638 = {
    "kty": "RSA",
    "n": (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    ),
    "e": "AQAB",
}


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    _, members = jose.parse_key({**RFC7638, "alg": "RS256", "kid": "2011-04-29"})
    assert jose.thumbprint(members) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


def test_the_signature_of_rfc_8037_verifies() -> None:
    key, members = jose.parse_key({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
    assert jose.thumbprint(members) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    fields = {
        "protected": "eyJhbGciOiJFZERTQSJ9",
        "payload": "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "signature": "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    }
    found = jose.of_fields(fields, what="it")
    assert found.payload == b"Example of Ed25519 signing"
    jose.verify(found, key)


@given(st.sampled_from(KEYS), st.binary(max_size=200))
def test_what_a_key_signed_verifies_by_it_alone(key: AccountKey, payload: bytes) -> None:
    found = jose.parse(json.dumps(jws(key, {"url": "u"}, payload)).encode())
    public, members = jose.parse_key(jwk_of(key))
    assert found.payload == payload
    assert members == jwk_of(key)
    jose.verify(found, public)
    for other in KEYS:
        if other is not key:
            with pytest.raises(Problem):
                jose.verify(found, other.public_key())


@given(st.sampled_from(KEYS), st.data())
def test_one_changed_bit_is_found(key: AccountKey, data: st.DataObject) -> None:
    fields = jws(key, {"url": "u"}, {"a": 1})
    which = data.draw(st.sampled_from(["payload", "signature"]))
    raw = bytearray(base64.urlsafe_b64decode(fields[which] + "=="))
    bit = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[bit // 8] ^= 1 << bit % 8
    fields[which] = b64(bytes(raw))
    with pytest.raises(Problem):
        jose.verify(jose.of_fields(fields, what="it"), key.public_key())


@given(st.binary(max_size=300))
def test_only_problems_escape_from_bytes(data: bytes) -> None:
    with pytest.raises(Problem):
        jose.parse(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["kty", "n", "e", "crv", "x", "y", "d", "alg", "kid"]) | st.text(), inner)
    ),
)


@given(JSON)
def test_only_problems_escape_from_keys(value: Any) -> None:
    with pytest.raises(Problem):
        jose.parse_key(value)


@given(
    st.fixed_dictionaries(
        {"kty": st.sampled_from(["RSA", "EC", "OKP"])},
        optional={
            **dict.fromkeys(["n", "e", "x", "y"], st.binary(max_size=300).map(b64)),
            "crv": st.sampled_from(["P-256", "P-384", "P-521", "Ed25519", "secp256k1"]),
        },
    )
)
def test_only_problems_escape_from_almost_keys(value: Any) -> None:
    with contextlib.suppress(Problem):  # a few of them are keys
        jose.parse_key(value)


@pytest.mark.parametrize("text", ["AA==", "AB", "A", "AA\n", " AA", "A+", "A/", "é", None, 5, ["AA"]])
def test_base64url_has_one_form(text: object) -> None:
    with pytest.raises(Problem):
        jose.decode(text, what="it")


@given(st.binary())
def test_base64url_goes_round(data: bytes) -> None:
    assert jose.decode(jose.encode(data), what="it") == data


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"a":2}',
        b"[1]",
        b'{"a":NaN}',
        b'{"a":"\\ud800"}',
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1} x',
        b"",
    ],
)
def test_odd_json_is_refused(body: bytes) -> None:
    with pytest.raises(Problem):
        jose.parse_object(body, what="it")


def test_private_keys_are_told_to_stay_private() -> None:
    with pytest.raises(Problem, match="private"):
        jose.parse_key({**RFC7638, "d": "AQAB"})


@pytest.mark.parametrize("name", ["crit", "b64"])
def test_headers_that_change_the_meaning_are_refused(name: str) -> None:
    with pytest.raises(Problem):
        jose.of_fields(jws(KEYS[0], {"url": "u", name: False}, {}), what="it")


def test_a_point_off_the_curve_is_no_key() -> None:
    with pytest.raises(Problem):
        jose.parse_key({"kty": "EC", "crv": "P-256", "x": b64(b"\1" * 32), "y": b64(b"\2" * 32)})


def test_hmac_needs_a_real_secret() -> None:
    fields = {"protected": b64(b'{"alg":"HS256"}'), "payload": "", "signature": ""}
    with pytest.raises(Problem):
        jose.verify_hmac(jose.of_fields(fields, what="it"), b"")
