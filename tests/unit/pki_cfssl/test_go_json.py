import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.cfssl.errors import Plain
from groundplane.pki.cfssl.goencode import compact
from groundplane.pki.cfssl.gojson import Number, Object, parse
from groundplane.pki.cfssl.request import read_request

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def plain(value: object) -> object:
    match value:
        case Object(pairs):
            return {key: plain(inner) for key, inner in pairs}
        case list():
            return [plain(inner) for inner in value]
        case Number(text):
            return int(text)
        case _:
            return value


@given(VALUES, st.booleans())
def test_what_json_writes_is_read_back(value: object, ascii_only: bool) -> None:  # noqa: FBT001 - hypothesis draws it
    assert plain(parse(json.dumps(value, ensure_ascii=ascii_only).encode())) == value


def test_a_backslash_before_a_letter_stays_one() -> None:
    assert compact("\\b\b\\\b\\f") == r'"\\b\u0008\\\u0008\\f"'


@given(VALUES)
def test_what_is_written_is_json_without_html(value: object) -> None:
    text = compact(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028") & set(text)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        parse(data)
    except Plain as refused:
        assert str(refused)  # noqa: PT017 - any text will do, but there must be one


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "unexpected end of JSON input"),
        ("tru", "invalid character ' ' in literal true (expecting 'e')"),
        ('"\\', "invalid character ' ' in string escape code"),
        ("-", "invalid character ' ' in numeric literal"),
        ("{'a':1}", "invalid character '\\'' looking for beginning of object key string"),
        ('{"a":1 "b"', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("01", "invalid character '1' after top-level value"),
        ("é", "invalid character 'Ã' looking for beginning of value"),
        ('"a\nb"', "invalid character '\\n' in string literal"),
        ("[" * 300, "exceeded max depth"),
    ],
)
def test_syntax_is_refused_in_go_s_words(text: str, message: str) -> None:
    with pytest.raises(Plain) as refused:
        parse(text.encode())
    assert str(refused.value) == message


def test_half_a_pair_of_surrogates_becomes_a_replacement() -> None:
    assert parse(b'"\\ud83d\\ude00 \\ud83d"') == "\U0001f600 \ufffd"
    assert parse(b'"\xff"') == "\ufffd"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "json: cannot unmarshal array into Go value of type csr.CertificateRequest"),
        (
            '{"hosts":[1,"b"]}',
            "json: cannot unmarshal number into Go struct field CertificateRequest.hosts of type string",
        ),
        ('{"names":[{"C":{}}]}', "json: cannot unmarshal object into Go struct field Name.names.C of type string"),
        (
            '{"key":{"size":1.5}}',
            "json: cannot unmarshal number 1.5 into Go struct field KeyRequest.key.size of type int",
        ),
    ],
)
def test_types_are_refused_in_go_s_words(text: str, message: str) -> None:
    with pytest.raises(Plain) as refused:
        read_request(text.encode())
    assert str(refused.value) == message


def test_names_match_whatever_their_case_and_the_last_one_counts() -> None:
    assert read_request(b'{"CN":"a","cn":"b"}').words.common_name == "b"


def test_null_empties_lists_and_leaves_scalars_alone() -> None:
    request = read_request(b'{"CN":"a","CN":null,"hosts":["x"],"hosts":null,"key":null}')
    assert (request.words.common_name, request.words.hosts, request.algorithm) == ("a", (), "ecdsa")
