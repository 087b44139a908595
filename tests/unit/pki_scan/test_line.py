from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.scan.line import Line, open_line, split_host
from groundplane.pki.scan.model import OutOfTime, Unreachable
from tests.unit.pki_scan.servers import site


def line(host: str, address: str = "", seconds: float = 5.0) -> Line:
    return open_line(host, address, site=site(), within=timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("host", "address", "place", "asked_for"),
    [
        ("example.com", "", "example.com:443", "example.com"),
        ("example.com:8443", "", "example.com:8443", "example.com"),
        ("example.com:https", "", "example.com:https", "example.com"),
        ("192.0.2.1", "", "192.0.2.1:443", ""),
        ("[2001:db8::1]:4", "", "[2001:db8::1]:4", ""),
        ("2001:db8::1", "", "[2001:db8::1]:443", ""),
        ("example.com:1", "192.0.2.1", "192.0.2.1:1", "example.com"),
        ("example.com:1", "2001:db8::2", "[2001:db8::2]:1", "example.com"),
        ("example.com:1", "elsewhere", "example.com:1", "example.com"),
        ("", "", ":443", ""),
    ],
)
def test_a_host_says_where_to_call_and_whom_to_ask_for(host: str, address: str, place: str, asked_for: str) -> None:
    found = line(host, address)
    assert (found.place, found.server_name) == (place, asked_for)


@given(st.text(alphabet="a1.:[]%/ é\x00", max_size=12))
def test_any_text_is_a_host(text: str) -> None:
    host, port = split_host(text)
    assert (host, port) == (text, "443") or text in {f"{host}:{port}", f"[{host}]:{port}"}


@pytest.mark.parametrize("host", ["\x00:1", "a" * 70 + ":1", "a\udcffb:1", "..:1", "localhost:x", "localhost:70000"])
def test_a_place_that_cannot_be_is_out_of_reach(host: str) -> None:
    with pytest.raises(Unreachable):
        line(host).connect()


@pytest.mark.parametrize(
    ("host", "said"),
    [  # as Go says it
        ("[::1", "dial tcp: address [[::1]:443: unexpected '[' in address"),
        ("a]", "dial tcp: address a]:443: unexpected ']' in address"),
        (":1", "dial tcp :1: connect: connection refused"),
        ("127.0.0.1:", "dial tcp 127.0.0.1:0: connect: connection refused"),
        ("127.0.0.1:tcpmux", "dial tcp 127.0.0.1:1: connect: connection refused"),
    ],
)
def test_odd_places_are_refused_in_gos_words(host: str, said: str) -> None:
    with pytest.raises(Unreachable) as refused:
        line(host).connect()
    assert refused.value.happened == said


def test_when_the_time_is_up_nobody_is_called() -> None:
    late = line("127.0.0.1:1", seconds=-1)
    for step in (late.connect, lambda: late.addresses("127.0.0.1"), lambda: late.within(1)):
        with pytest.raises(OutOfTime):
            step()
