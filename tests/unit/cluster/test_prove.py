from hypothesis import given
from hypothesis import strategies as st

from groundplane.cluster.prove import _checksum, _echo_request, _is_reply


def test_a_request_with_its_checksum_sums_to_zero() -> None:
    assert _checksum(_echo_request(0x1234)) == 0


@given(st.binary(min_size=20, max_size=100))
def test_only_an_echo_reply_with_our_identity_counts(packet: bytes) -> None:
    header = bytes([0x45, *packet[1:20]])
    body = packet[20:]
    expected = len(body) >= 8 and body[0] == 0 and body[4:6] == b"\x12\x34"
    assert _is_reply(header + body, 0x1234) == expected
