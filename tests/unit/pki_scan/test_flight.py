import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundplane.pki.scan import flight
from groundplane.pki.scan.flight import BadFlight, FlightReader
from groundplane.pki.scan.hello import Offer, hello_message, hello_record
from groundplane.pki.scan.registry import OLD_GROUPS, P256, SCHEMES, TLS12, TLS13
from groundplane.pki.scan.schedule import SHAREABLE, Opener, Share, _expand, _server_secret, make_share
from tests.unit.pki_scan.servers import answer, leaf, old_record

RANDOM = bytes(range(64))


def new_flight(group: int, suite: int = 0x1301, kind: str = "p256") -> tuple[bytes, bytes, Share]:
    """Our hello, a TLS 1.3 server's flight, and what opens it."""
    share = make_share(group)
    offer = Offer(
        version=TLS13, suites=(suite,), groups=(group,), schemes=tuple(SCHEMES), shares=((group, share.public),)
    )
    said = hello_message(offer, RANDOM)
    return said, answer(hello_record(said, TLS13), kind), share


def opened(said: bytes, came: bytes, share: Share) -> FlightReader:
    reader = FlightReader()
    reader.feed(came)
    hello = flight.server_hello(reader.messages[0][1])
    reader.open = Opener(suite=hello.suite, secret=share.secret(hello.share), hellos=said + reader.messages[0][1])
    reader.go_on()
    return reader


@given(st.lists(st.integers(min_value=1, max_value=400), max_size=30))
@settings(deadline=None)  # the first turn makes the certificate
def test_a_flight_may_come_in_any_pieces(sizes: list[int]) -> None:
    reader, left = FlightReader(), old_record()
    for size in sizes:
        reader.feed(left[:size])
        left = left[size:]
    reader.feed(left)
    kinds = [kind for kind, _ in reader.messages]
    assert kinds == [flight.SERVER_HELLO, flight.CERTIFICATE, flight.KEY_EXCHANGE, flight.SERVER_DONE]
    assert flight.certificates(reader.messages[1][1], version=TLS12) == (leaf("p256").der,)
    assert flight.named_curve(reader.messages[2][1]) in OLD_GROUPS


@pytest.mark.parametrize("suite", [0x1301, 0x1302, 0x1303])
def test_certificates_of_tls_1_3_are_read_under_every_cipher(suite: int) -> None:
    reader = opened(*new_flight(P256, suite))
    shown = dict(reader.messages)
    assert flight.certificates(shown[flight.CERTIFICATE], version=TLS13) == (leaf("p256").der,)
    assert SCHEMES[flight.scheme_of(shown[flight.CERTIFICATE_VERIFY])] == "ecdsa_secp256r1_sha256"
    assert flight.FINISHED in shown


@pytest.mark.parametrize("group", SHAREABLE)
def test_keys_are_agreed_on_in_every_group_that_we_compute_in(group: int) -> None:
    assert flight.FINISHED in dict(opened(*new_flight(group)).messages)


def test_a_record_that_was_changed_is_not_opened() -> None:
    said, came, share = new_flight(P256)
    with pytest.raises(BadFlight, match="cannot be decrypted"):
        opened(said, came[:-1] + bytes((came[-1] ^ 1,)), share)


@pytest.mark.parametrize("group", SHAREABLE)
@given(st.binary(max_size=140))
@settings(max_examples=30)
def test_any_share_is_taken_or_refused(group: int, theirs: bytes) -> None:
    try:
        assert make_share(group).secret(theirs)
    except BadFlight:
        pass  # the other thing that may happen


@given(st.binary(max_size=500))
def test_any_bytes_are_a_flight_or_refused(data: bytes) -> None:
    read(data)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=255), st.integers(min_value=0, max_value=3))
def test_a_damaged_flight_is_read_or_refused(place: int, value: int, drop: int) -> None:
    good = old_record()
    place %= len(good)
    read(good[:place] + bytes((value,)) + good[place + 1 + drop :])


@given(st.binary(max_size=120), st.sampled_from([TLS12, TLS13]))
def test_any_message_is_understood_or_refused(body: bytes, version: int) -> None:
    understand(b"\x00\x00\x00\x00" + body, version)


def read(data: bytes) -> None:
    reader = FlightReader()
    try:
        reader.feed(data)
    except BadFlight:
        return
    for _, message in reader.messages:
        understand(message, TLS12)


def understand(message: bytes, version: int) -> None:
    for parse in (
        lambda: flight.server_hello(message),
        lambda: flight.certificates(message, version=version),
        lambda: flight.named_curve(message),
        lambda: flight.scheme_of(message),
    ):
        try:
            parse()
        except BadFlight:
            pass  # the other thing that may happen


def test_a_flight_without_end_is_refused_before_memory_is() -> None:
    reader = FlightReader()
    piece = b"\x16\x03\x03\x40\x00" + bytes((11, 3, 0xFF, 0x00)) + bytes((1 << 14) - 4)
    for _ in range(15):
        reader.feed(piece)
    with pytest.raises(BadFlight, match="too long"):
        reader.feed(piece)


def test_a_message_that_announces_too_much_is_refused_at_once() -> None:
    with pytest.raises(BadFlight, match="exceeds maximum"):
        FlightReader().feed(b"\x16\x03\x03\x00\x04\x0b\xff\xff\xff")


def test_a_record_that_announces_too_much_is_refused_at_once() -> None:
    with pytest.raises(BadFlight, match="oversized record received with length 65535"):
        FlightReader().feed(b"\x16\x03\x03\xff\xff")


def test_empty_records_without_end_are_too_long_a_flight() -> None:
    reader = FlightReader()
    with pytest.raises(BadFlight, match="too long"):
        reader.feed(b"\x16\x03\x03\x00\x00" * 60_000)


def test_words_of_alerts_are_those_of_go() -> None:
    assert flight.alert_words(40) == "remote error: handshake failure"
    assert flight.alert_words(112) == "remote error: alert(112)"


def test_a_warning_does_not_end_a_flight_and_a_fatal_alert_does() -> None:
    reader = FlightReader()
    reader.feed(b"\x15\x03\x03\x00\x02\x01\x70" + old_record())
    assert reader.alert is None
    assert len(reader.messages) == 4
    reader.feed(b"\x15\x03\x03\x00\x02\x02\x28" + old_record())
    assert reader.alert == 40
    assert len(reader.messages) == 4


def test_the_keys_are_rfc_8448s() -> None:
    """Section 3, the simple handshake: the server's handshake traffic secret and what is made of it."""
    shared = bytes.fromhex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d")
    transcript = bytes.fromhex("860c06edc07858ee8e78f0e7428c58edd6b43f2ca3e6e95f02ed063cf0e1cad8")
    secret = _server_secret("sha256", shared, transcript)
    assert secret.hex() == "b67b7d690cc16c4e75e54213cb2d37b4e9c912bcded9105d42befd59d391ad38"
    assert _expand("sha256", secret, "key", b"", 16).hex() == "3fce516009c21727d0f2e4e86ee403bc"
    assert _expand("sha256", secret, "iv", b"", 12).hex() == "5d313eb2671276ee13000b30"
