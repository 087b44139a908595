"""Octets in JSON, in all the forms that Go takes, and its words for the others."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.cfssl.config import load_config
from groundplane.pki.cfssl.errors import Coded, Plain
from groundplane.pki.cfssl.gobytes import decode_base64
from groundplane.pki.cfssl.request import read_request


def saying(value: str) -> bytes:
    return b'{"CN":"x","extensions":[{"Id":[1,2,3],"Value":%s}]}' % value.encode()


@pytest.mark.parametrize("written", ['"BQA="', '"BQ\\nA="', '"BQA=\\r\\n"', "[5,0]", "[5,null]"])
def test_an_extension_s_value_may_be_written_so(written: str) -> None:
    assert read_request(saying(written)).extensions[0].value == b"\5\0"


def test_null_is_nothing() -> None:
    assert read_request(saying("null")).extensions[0].value == b""


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ('"\\u00e9"', "illegal base64 data at input byte 0"),
        ('"AAA"', "illegal base64 data at input byte 0"),
        ('"AA=A"', "illegal base64 data at input byte 2"),
        ('"AA\\n"', "illegal base64 data at input byte 1"),
        ("5", "json: cannot unmarshal number into Go struct field Extension.extensions.Value of type []uint8"),
        ("{}", "json: cannot unmarshal object into Go struct field Extension.extensions.Value of type []uint8"),
        ("[256]", "json: cannot unmarshal number 256 into Go struct field Extension.extensions.Value of type uint8"),
    ],
)
def test_what_is_none_is_refused_in_go_s_words(written: str, words: str) -> None:
    with pytest.raises(Plain) as refused:
        read_request(saying(written))
    assert str(refused.value) == words


@given(st.text("ab+/=! \n", max_size=12) | st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode()))
def test_base64_is_read_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        found = decode_base64(text)
    except Plain as bad:
        place = int(str(bad).rpartition(" ")[2])
    else:
        place = 0
        plain = text.replace("\n", "")
        assert base64.b64encode(found).decode()[: len(plain) - 4] == plain[:-4]
    assert 0 <= place <= len(text)


def test_policies_may_leave_out_what_go_does_not_need() -> None:
    profile = '{"expiry":"1h","backdate":"","usages":["signing",null],"issuer_urls":null}'
    found = load_config(b'{"signing":{"profiles":{"p":%s}}}' % profile.encode(), source="p")
    assert (found.profile("p").backdate, found.profile("p").usages) == (None, ("signing",))
    with pytest.raises(Coded, match="can't parse nil profile"):
        load_config(b'{"signing":{"profiles":{"p":null}}}', source="p")
