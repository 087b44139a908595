import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.scan.flight import SERVER_HELLO, Cut, FlightReader, ServerHello, server_hello
from groundplane.pki.scan.hello import Offer, hello_message, hello_record
from groundplane.pki.scan.registry import (
    GROUPS,
    NEW_GROUPS,
    OLD_GROUPS,
    P256,
    P384,
    PAIRS,
    SCHEMES,
    SSL30,
    TLS10,
    TLS11,
    TLS12,
    TLS13,
    X25519,
    old_suites,
    suites,
)
from tests.unit.pki_scan.servers import answer

RANDOM = bytes(range(64))
NEWEST = (0x1301, 0x1302, 0x1303)


def chosen(offer: Offer, kind: str = "p256", *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ServerHello | None:
    """What OpenSSL makes of an offer."""
    reader = FlightReader()
    reader.feed(answer(hello_record(hello_message(offer, RANDOM), offer.version), kind, newest=newest))
    if not reader.messages:
        assert reader.alert is not None
        return None
    assert reader.messages[0][0] == SERVER_HELLO
    return server_hello(reader.messages[0][1])


def whole(version: int = TLS12, **what: object) -> Offer:
    fields: dict[str, object] = {
        "version": version,
        "suites": old_suites(),
        "groups": tuple(OLD_GROUPS),
        "schemes": tuple(PAIRS),
        "name": "localhost",
    }
    return Offer(**{**fields, **what})  # type: ignore[arg-type]


def test_a_server_takes_the_one_suite_that_is_offered() -> None:
    for suite in (0xC02B, 0xC02C, 0xCCA9):
        heard = chosen(whole(suites=(suite,)))
        assert heard is not None
        assert (heard.version, heard.suite) == (TLS12, suite)


def test_a_suite_for_another_kind_of_key_is_refused() -> None:
    assert chosen(whole(suites=(0xC02F,))) is None
    assert chosen(whole(suites=(0xC02F,)), "rsa2048") is not None


def test_every_suite_at_once_is_an_offer_that_is_understood() -> None:
    assert chosen(whole()) is not None
    assert chosen(whole(), "rsa2048") is not None


@pytest.mark.parametrize("group", [X25519, P256, P384])
def test_without_a_key_share_a_tls_1_3_server_names_its_group(group: int) -> None:
    heard = chosen(whole(TLS13, suites=NEWEST, groups=(group,), schemes=tuple(SCHEMES)))
    assert heard is not None
    assert (heard.version, heard.group, heard.retry, heard.share) == (TLS13, group, True, b"")


def test_an_old_server_answers_an_offer_of_tls_1_3_with_no_hello() -> None:
    offer = whole(TLS13, suites=NEWEST, groups=(X25519,), schemes=tuple(SCHEMES))
    assert chosen(offer, newest=ssl.TLSVersion.TLSv1_2) is None


@pytest.mark.parametrize("version", [SSL30, TLS10, TLS11, TLS12, TLS13])
def test_every_length_in_a_hello_is_right(version: int) -> None:
    message = hello_message(whole(version, name="x" * 300), RANDOM)
    record = Cut(hello_record(message, version))
    assert record.take(3) == bytes((22, 3, min(version, TLS10) & 0xFF))
    assert record.block(2) == message
    assert not record.left
    hello = Cut(message)
    assert hello.take(1) == b"\x01"
    body = Cut(hello.block(3))
    assert not hello.left
    assert body.number(2) == min(version, TLS12)
    assert body.take(32) == RANDOM[:32]
    assert body.block(1) == (RANDOM[32:] if version == TLS13 else b"")
    assert len(body.block(2)) == 2 * len(old_suites())
    assert body.block(1) == b"\x00"
    extensions = Cut(body.block(2))
    assert not body.left
    kinds = []
    while extensions.left:
        kinds.append(extensions.number(2))
        extensions.block(2)
    assert len(kinds) == len(set(kinds))
    assert (13 in kinds) == (version >= TLS12)
    assert {43, 51} <= set(kinds) if version == TLS13 else not {43, 51} & set(kinds)


@given(st.text(max_size=400), st.sampled_from([TLS12, TLS13]))
def test_any_name_makes_a_hello(name: str, version: int) -> None:
    message = hello_message(whole(version, name=name), RANDOM)
    assert int.from_bytes(message[1:4]) == len(message) - 4


def test_names_are_told_apart_and_numbers_are_those_of_the_registry() -> None:
    assert len(set(GROUPS.values())) == len(GROUPS)
    assert len({str(suite) for suite in suites().values()}) == len(suites())
    assert str(suites()[0x1301]) == "TLS_AES_128_GCM_SHA256"
    assert str(suites()[0xC02F]) == "ECDHE-RSA-AES128-GCM-SHA256"
    assert {NEW_GROUPS[X25519], NEW_GROUPS[P256], NEW_GROUPS[P384]} == {"X25519", "secp256r1", "secp384r1"}
    assert not any(suites()[number].for_tls13 for number in old_suites())
    assert all(suite.new for suite in suites().values() if suite.for_tls13)


def test_suites_that_one_would_rather_have_come_first() -> None:
    ordered = list(suites())
    assert ordered.index(0xC02F) < ordered.index(0x002F) < ordered.index(0x0005) < len(ordered)
    assert ordered.index(0x000A) < ordered.index(0x0001)
