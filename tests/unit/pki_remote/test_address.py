import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.remote.address import Address, parse_addresses


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("ca.example", "http://ca.example:8888/"),
        ("ca.example:80", "http://ca.example:80/"),
        ("127.0.0.1:8888", "http://127.0.0.1:8888/"),
        ("127.0.0.1", "http://127.0.0.1:8888/"),
        ("[::1]:9", "http://[::1]:9/"),
        ("::1", "http://[::1]:8888/"),
        ("http://ca.example", "http://ca.example/"),
        ("HTTPS://ca.example", "https://ca.example/"),
        ("https://ca.example:8888/", "https://ca.example:8888/"),
        ("  ca.example ", "http://ca.example:8888/"),
        ("my_host", "http://my_host:8888/"),
    ],
)
def test_an_address_becomes_the_url_that_cfssl_asks(text: str, url: str) -> None:
    (address,) = parse_addresses(text)
    assert address.url("sign") == f"{url}api/v1/cfssl/sign"


def test_without_a_port_a_scheme_has_its_own() -> None:
    assert [one.port for one in parse_addresses("h,http://h,https://h")] == [8888, 80, 443]


def test_several_are_in_order() -> None:
    assert [one.host for one in parse_addresses("b:1, a:2,https://c")] == ["b", "a", "c"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "a:b",
        "a:99999",
        "a:0",
        "ftp://a",
        "http://",
        "http://u:p@h",
        "h/path",
        "h?q",
        "h h",
        "h\r\nx",
        "[::1",
        "//h",
    ],
)
def test_what_is_no_server_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        parse_addresses(text)


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        found = parse_addresses(text)
    except Invalid:
        return
    assert all(isinstance(one, Address) and one.host and 0 < one.port < 65536 for one in found)
    assert all(char not in one.url("x") for one in found for char in "\r\n \0")
