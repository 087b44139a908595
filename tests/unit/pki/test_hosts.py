"""Every entry of `hosts` becomes the kind of name that CFSSL makes of it."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.hosts import alternative_names, classify


@pytest.mark.parametrize(
    ("host", "kind", "value"),
    [
        ("127.0.0.1", "ips", ip_address("127.0.0.1")),
        ("::1", "ips", ip_address("::1")),
        ("::ffff:1.2.3.4", "ips", ip_address("1.2.3.4")),
        ("010.0.0.1", "dns", "010.0.0.1"),
        ("10.0.0.0/8", "dns", "10.0.0.0/8"),
        ("1.2.3.4:80", "dns", "1.2.3.4:80"),
        ("my_host:80", "dns", "my_host:80"),
        ("*.example.com", "dns", "*.example.com"),
        ("etcd1", "dns", "etcd1"),
        ("", "dns", ""),
        ("a@b", "emails", "a@b"),
        ("Bob <bob@example.com>", "emails", "bob@example.com"),
        ("https://x/y", "uris", "https://x/y"),
        ("SPIFFE://td/ns", "uris", "spiffe://td/ns"),
        ("localhost:8080", "uris", "localhost:8080"),
        ("/abs", "uris", "/abs"),
        ("*", "uris", "*"),
        ("https://x/ü", "uris", "https://x/%C3%BC"),
        ("https://ü/", "uris", "https://%C3%BC/"),
        ("spiffe://c.local/ns/a b", "uris", "spiffe://c.local/ns/a%20b"),
        ("/{a}", "uris", "/%7Ba%7D"),
        ("/it's(all)!", "uris", "/it's(all)!"),
        ("http://", "uris", "http:"),
        ("http://u:p@h", "uris", "http://u:p@h"),
        ("http://[fe80::1%25eth0]:80/", "uris", "http://[fe80::1%25eth0]:80/"),
        ("http://h?a b", "uris", "http://h?a b"),
        ("https://x#f", "dns", "https://x#f"),
        ("http://x:8a/", "dns", "http://x:8a/"),
        ("http://[::1/", "dns", "http://[::1/"),
        ("http://[x]/", "dns", "http://[x]/"),
        ("http://a%41/", "dns", "http://a%41/"),
        ("http://a:80:80/", "dns", "http://a:80:80/"),
        (":x", "dns", ":x"),
        ('"q q"@x.y', "emails", "q q@x.y"),
        (" a@b (c) ", "emails", "a@b"),
        ("(c)a@b", "dns", "(c)a@b"),
        ('"a \\" b" <"c\\"d"@x>', "emails", 'c"d@x'),
    ],
)
def test_a_host_has_the_kind_that_cfssl_gives_it(host: str, kind: str, value: object) -> None:
    assert classify(host, at="x") == (kind, value)


def test_names_keep_their_order_within_their_kind() -> None:
    names = alternative_names(["b", "10.0.0.2", "a", "x@y", "10.0.0.1"], source="s")
    assert names.texts() == ("b", "a", "x@y", "10.0.0.2", "10.0.0.1")


@given(st.text(max_size=20))
def test_every_text_has_a_kind_or_is_refused(host: str) -> None:
    try:
        kind, value = classify(host, at="x")
    except Invalid:
        return
    assert kind in {"dns", "emails", "ips", "uris"}
    assert str(value).isascii()


@given(host=st.text(max_size=30) | st.text("0123456789abcdef:.@/*%<> -", max_size=40) | st.text("0123.", max_size=16))
def test_an_address_is_what_python_takes_for_one(host: str) -> None:
    """Whichever way it is read: most hosts are not even tried."""
    try:
        address = ip_address(host)
    except ValueError:
        assert not host.isascii() or classify(host, at="here", strict=False)[0] != "ips"
        return
    if getattr(address, "scope_id", None) is None:
        assert classify(host, at="here")[0] == "ips"
