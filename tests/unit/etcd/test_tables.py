import json
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundplane.etcd import Health, Member, MemberList, MemberStatus, tables


def status(**fields: object) -> MemberStatus:
    values = {
        "endpoint": "https://10.0.0.1:2379",
        "cluster_id": 0xFFFFFFFFFFFFFFFE,
        "member_id": 0x8E9E05C52164694D,
        "revision": 7,
        "version": "3.4.23",
        "db_size": 20480,
        "db_size_in_use": 16384,
        "leader": 0x8E9E05C52164694D,
        "raft_index": 9,
        "raft_term": 2,
        "raft_applied_index": 9,
        "is_learner": False,
        "errors": (),
        **fields,
    }
    return MemberStatus(**values)  # type: ignore[arg-type] # the fields of a case


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (0, "0s"),
        (0.000000001, "1ns"),
        (0.0000015, "1.5µs"),
        (0.008360942, "8.360942ms"),
        (0.7, "700ms"),
        (1.5, "1.5s"),
        (62.5, "1m2.5s"),
        (3600, "1h0m0s"),
        (0.9999999999, "1s"),
    ],
)
def test_durations_are_written_as_go_writes_them(seconds: float, wanted: str) -> None:
    assert tables.duration(seconds) == wanted


@pytest.mark.parametrize(
    ("octets", "wanted"),
    [
        (0, "0 B"),
        (9, "9 B"),
        (82, "82 B"),
        (1000, "1.0 kB"),
        (20480, "20 kB"),
        (9950, "10 kB"),
        (9949, "9.9 kB"),
        (999, "999 B"),
        (25_000, "25 kB"),
        (999_950, "1000 kB"),
        (10_000_000, "10 MB"),
        (2_100_000, "2.1 MB"),
        (756_000_000, "756 MB"),
        (6_442_450_944, "6.4 GB"),
    ],
)
def test_sizes_are_written_as_etcdctl_writes_them(octets: int, wanted: str) -> None:
    assert tables.size(octets) == wanted


def test_the_health_table_has_etcdctls_form() -> None:
    rows = [
        Health(endpoint="https://10.0.0.1:2379", healthy=True, seconds=0.008360942),
        Health(endpoint="https://10.0.0.2:2379", healthy=False, seconds=5, error="cannot connect: connection refused"),
    ]
    assert tables.health_table(rows) == (
        "+-----------------------+--------+------------+--------------------------------+\n"
        "|       ENDPOINT        | HEALTH |    TOOK    |             ERROR              |\n"
        "+-----------------------+--------+------------+--------------------------------+\n"
        "| https://10.0.0.1:2379 |   true | 8.360942ms |                                |\n"
        "| https://10.0.0.2:2379 |  false |         5s |     cannot connect: connection |\n"
        "|                       |        |            |                        refused |\n"
        "+-----------------------+--------+------------+--------------------------------+\n"
    )


def test_identifiers_keep_all_their_bits_and_zero_fields_are_left_out() -> None:
    [row] = json.loads(tables.status_json([status(leader=0)]))
    assert row["Status"]["header"]["cluster_id"] == 0xFFFFFFFFFFFFFFFE
    assert "leader" not in row["Status"]
    assert "isLearner" not in row["Status"]
    found = MemberList(
        cluster_id=1, member_id=2, raft_term=3, members=(Member(id=4, name="", peer_urls=("u",), client_urls=()),)
    )
    assert json.loads(tables.members_json(found)) == {
        "header": {"cluster_id": 1, "member_id": 2, "raft_term": 3},
        "members": [{"ID": 4, "peerURLs": ["u"]}],
    }
    assert "unstarted" in tables.members_table(found)


cells = st.text(st.characters(categories=("L", "N", "P", "Zs"), max_codepoint=0x7E), max_size=30)


@given(st.lists(st.tuples(cells, cells, cells), max_size=5))
def test_every_line_of_a_table_is_equally_long(rows: list[tuple[str, str, str]]) -> None:
    lines = tables.table(("A", "LONG HEADING", "X"), rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) >= len(rows) + 4


@given(cells, st.integers(1, 30))
def test_wrapping_loses_no_word_and_keeps_to_the_limit(text: str, limit: int) -> None:
    lines = tables.wrap(text, limit=limit)
    assert " ".join(lines) == text
    assert (
        all(len(line) <= limit or " " not in line or line == "" for line in lines)
        or max(map(len, text.split(" "))) > limit
    )


UNITS = {"h": 3_600_000_000_000, "m": 60_000_000_000, "s": 1_000_000_000, "ms": 1_000_000, "µs": 1000, "ns": 1}


@given(st.integers(0, 10**13))
def test_a_duration_read_back_is_the_same_to_the_nanosecond(nanoseconds: int) -> None:
    text = tables.duration(nanoseconds / 1e9)
    parts = re.findall(r"([0-9]+)(?:\.([0-9]+))?(h|ms|m|s|µs|ns)", text)
    assert "".join(f"{whole}.{rest}{unit}" if rest else whole + unit for whole, rest, unit in parts) == text
    total = sum(int(whole) * UNITS[unit] + (_part(rest) * UNITS[unit]) for whole, rest, unit in parts)
    assert total == nanoseconds
    # Go's rules: hours bring minutes and seconds with them, no trailing zeros, one unit below a second.
    units = [unit for _, _, unit in parts]
    assert units in (["h", "m", "s"], ["m", "s"], ["s"], ["ms"], ["µs"], ["ns"])
    assert not any(rest.endswith("0") for _, rest, _ in parts)
    assert all(
        int(whole) < limit for (whole, _, unit), limit in zip(parts, map(LIMITS.__getitem__, units), strict=True)
    )


LIMITS = {"h": 10**9, "m": 60, "s": 60, "ms": 1000, "µs": 1000, "ns": 1000}


def _part(digits: str) -> Fraction:
    return Fraction(int(digits or "0"), 10 ** len(digits))


@given(st.integers(0, 10**18))
def test_a_size_is_within_what_its_digits_can_show(octets: int) -> None:
    number, unit = tables.size(octets).split(" ")
    factor = 1000 ** ("B", "kB", "MB", "GB", "TB", "PB").index(unit) if unit != "EB" else 1000**6
    shown = Fraction(number)
    # Rounded to a tenth, then to a whole from ten on.
    slack = Fraction(1, 20) if "." in number else Fraction(11, 20)
    assert abs(shown - Fraction(octets, factor)) <= slack
    assert ("." in number) == (shown < 10 and octets >= 10)
    assert shown <= 1000
