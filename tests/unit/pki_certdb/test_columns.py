"""How times and JSON stand in CFSSL's columns."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.pki.certdb.columns import UNSET, Document, instant_of, sqlite_time


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-23 03:32:43.068487247+00:00", datetime(2026, 11, 23, 3, 32, 43, 68487, tzinfo=UTC)),
        ("2026-11-23 03:32:43+00:00", datetime(2026, 11, 23, 3, 32, 43, tzinfo=UTC)),
        ("2026-11-23 05:32:43+02:00", datetime(2026, 11, 23, 3, 32, 43, tzinfo=UTC)),
        ("2026-11-23 03:32:43", datetime(2026, 11, 23, 3, 32, 43, tzinfo=UTC)),
        ("2026-11-23T03:32:43Z", datetime(2026, 11, 23, 3, 32, 43, tzinfo=UTC)),
        ("2026-11-23 03:32:43.5", datetime(2026, 11, 23, 3, 32, 43, 500000, tzinfo=UTC)),
        ("0001-01-01 00:00:00+00:00", None),
        ("0000-00-00 00:00:00", None),
        ("", None),
    ],
)
def test_times_of_gos_drivers_are_read(text: str, instant: datetime | None) -> None:
    assert instant_of(text) == instant
    assert instant_of(text.encode()) == instant


def test_what_is_unset_is_written_as_gos_zero_time() -> None:
    assert sqlite_time(UNSET) == "0001-01-01 00:00:00+00:00"
    assert sqlite_time(datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=UTC)) == "2026-01-02 03:04:05.00006+00:00"


@given(st.datetimes(min_value=datetime(2, 1, 2), max_value=datetime(9999, 12, 30)), st.integers(-720, 720))  # noqa: DTZ001 - the zone is drawn apart
def test_every_time_comes_back(naive: datetime, minutes: int) -> None:
    instant = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert instant_of(sqlite_time(instant)) == instant


def test_json_that_is_none_costs_no_certificate() -> None:
    kind = Document()
    assert [kind.process_result_value(value, None) for value in (b"null", None, "{", b"\xff", '{"a":1}')] == [  # type: ignore[arg-type]
        *(None, None, None, None, {"a": 1})
    ]
    assert kind.process_bind_param({"b": 1, "a": "ö"}, None) == '{"a":"ö","b":1}'  # type: ignore[arg-type]
    assert kind.process_bind_param(None, None) == "null"  # type: ignore[arg-type]
