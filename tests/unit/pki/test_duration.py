"""Go's durations, to the letter."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.errors import Invalid
from groundplane.pki.wire.duration import parse_duration, render_duration


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("876000h", timedelta(hours=876000)),
        ("1h30m10.5s", timedelta(hours=1, minutes=30, seconds=10.5)),
        ("-1.5h", timedelta(hours=-1.5)),
        ("+5m", timedelta(minutes=5)),
        (".5s", timedelta(seconds=0.5)),
        ("1.s", timedelta(seconds=1)),
        ("0", timedelta()),
        ("1999ns", timedelta(microseconds=1)),
        ("3us", timedelta(microseconds=3)),
        ("3µs", timedelta(microseconds=3)),
        ("2562047h", timedelta(hours=2562047)),
    ],
)
def test_a_duration_is_read(text: str, span: timedelta) -> None:
    assert parse_duration(text, at="x") == span


@pytest.mark.parametrize(
    "text", ["", "-", "h", "1", "1h2", "1 h", "h1", "1..5h", ".h", "\u0661h", "2562048h", "9" * 200 + "h", "1e3s"]
)
def test_what_go_refuses_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match=r"^x: "):
        parse_duration(text, at="x")


@pytest.mark.parametrize(("text", "mend"), [("1y", "8760h"), ("365d", "8760h"), ("2w", "336h"), ("0.5d", "12h")])
def test_days_weeks_and_years_come_with_the_sum_done(text: str, mend: str) -> None:
    with pytest.raises(Invalid, match=rf"write {mend} "):
        parse_duration(text, at="x")


@given(st.text(max_size=20))
def test_only_invalid_escapes(text: str) -> None:
    try:
        parse_duration(text, at="x")
    except Invalid:
        pass  # refusing is an answer


@given(hours=st.integers(0, 10**6), minutes=st.integers(0, 10**6), seconds=st.integers(0, 10**9))
def test_terms_add_up(hours: int, minutes: int, seconds: int) -> None:
    text = f"{hours}h{minutes}m{seconds}s"
    assert parse_duration(text, at="x") == timedelta(hours=hours, minutes=minutes, seconds=seconds)


def test_people_read_durations_in_round_numbers() -> None:
    spans = (timedelta(days=365), timedelta(hours=36), timedelta(minutes=5), timedelta(seconds=12), timedelta(days=-3))
    assert [render_duration(span) for span in spans] == ["365 days", "36 h", "5 min", "12 s", "-3 days"]
