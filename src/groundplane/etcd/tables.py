"""etcdctl's own output, 3.4's tables and JSON, from what the client observed. Pure."""

import json
from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import zip_longest

from groundplane.etcd.model import Health, MemberList, MemberStatus

HEALTH = ("ENDPOINT", "HEALTH", "TOOK", "ERROR")
STATUS = (
    *("ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM", "RAFT INDEX"),
    *("RAFT APPLIED INDEX", "ERRORS"),
)
_WRAP = 30  # what its table printer wraps at
MEMBERS = ("ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER")


def health_table(rows: Sequence[Health]) -> str:
    """`etcdctl endpoint health -w table`."""
    cells = [(row.endpoint, _bool(row.healthy), duration(row.seconds), row.error) for row in rows]
    return table(HEALTH, cells)


def health_json(rows: Sequence[Health]) -> str:
    """`etcdctl endpoint health -w json`."""
    return _dump(
        [
            {
                "endpoint": r.endpoint,
                "health": r.healthy,
                "took": duration(r.seconds),
                **({"error": r.error} if r.error else {}),
            }
            for r in rows
        ]
    )


def status_table(rows: Sequence[MemberStatus]) -> str:
    """`etcdctl endpoint status -w table`."""
    cells = [
        (
            row.endpoint,
            f"{row.member_id:x}",
            row.version,
            size(row.db_size),
            _bool(row.leader == row.member_id),
            _bool(row.is_learner),
            str(row.raft_term),
            str(row.raft_index),
            str(row.raft_applied_index),
            ", ".join(row.errors),
        )
        for row in rows
    ]
    return table(STATUS, cells)


def status_json(rows: Sequence[MemberStatus]) -> str:
    """`etcdctl endpoint status -w json`: fields that are zero are left out."""
    return _dump(
        [
            {
                "Endpoint": row.endpoint,
                "Status": {
                    "header": _present(
                        cluster_id=row.cluster_id,
                        member_id=row.member_id,
                        revision=row.revision,
                        raft_term=row.raft_term,
                    ),
                    **_present(
                        version=row.version,
                        dbSize=row.db_size,
                        leader=row.leader,
                        raftIndex=row.raft_index,
                        raftTerm=row.raft_term,
                        raftAppliedIndex=row.raft_applied_index,
                        errors=list(row.errors),
                        dbSizeInUse=row.db_size_in_use,
                        isLearner=row.is_learner,
                    ),
                },
            }
            for row in rows
        ]
    )


def members_table(found: MemberList) -> str:
    """`etcdctl member list -w table`."""
    cells = [
        (
            f"{member.id:x}",
            "started" if member.name else "unstarted",
            member.name,
            ",".join(member.peer_urls),
            ",".join(member.client_urls),
            _bool(member.is_learner),
        )
        for member in found.members
    ]
    return table(MEMBERS, cells)


def members_json(found: MemberList) -> str:
    """`etcdctl member list -w json`."""
    return _dump(
        {
            "header": _present(cluster_id=found.cluster_id, member_id=found.member_id, raft_term=found.raft_term),
            "members": [
                {
                    "ID": member.id,
                    **_present(
                        name=member.name,
                        peerURLs=list(member.peer_urls),
                        clientURLs=list(member.client_urls),
                        isLearner=member.is_learner,
                    ),
                }
                for member in found.members
            ],
        }
    )


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with borders, headings centred, cells to the right and wrapped where long; ends with a newline."""
    wrapped = [[wrap(cell) for cell in row] for row in rows]
    # A cell that was wrapped keeps the limit as its width, even if no line of it is that long.
    widths = [
        max(
            len(title),
            *(min(len(row[number]), _WRAP) for row in rows),
            *(len(line) for row in wrapped for line in row[number]),
            0,
        )
        for number, title in enumerate(titles)
    ]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    lines = [
        border,
        "|" + "|".join(f" {_centre(title, width)} " for title, width in zip(titles, widths, strict=True)) + "|",
        border,
    ]
    for row in wrapped:
        for cells in zip_longest(*row, fillvalue=""):
            padded = (f" {cell.rjust(width)} " for cell, width in zip(cells, widths, strict=True))
            lines.append("|" + "|".join(padded) + "|")
    return "\n".join([*lines, border]) + "\n"


def wrap(text: str, *, limit: int = _WRAP) -> list[str]:
    """Lines of at most `limit` characters (or the longest word), broken between words so that they are most even.

    Least is the sum of the squares of what each line but the last is short; where two ways tie, the first line is the
    shorter.
    """
    words = text.split(" ")
    limit = max(limit, *map(len, words), 0)
    best: dict[int, tuple[int, list[str]]] = {len(words): (0, [])}
    for start in range(len(words) - 1, -1, -1):
        rest = " ".join(words[start:])
        if len(rest) <= limit:
            best[start] = (0, [rest])
            continue
        ways = []
        for end in range(start + 1, len(words)):
            line = " ".join(words[start:end])
            if len(line) > limit:
                break
            cost, after = best[end]
            ways.append(((limit - len(line)) ** 2 + cost, [line, *after]))
        best[start] = min(ways, key=lambda way: way[0])
    return best[0][1]


def _centre(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return " " * left + text + " " * (width - len(text) - left)


def _bool(value: bool) -> str:  # noqa: FBT001 - it is the value that is printed
    return "true" if value else "false"


def _present(**fields: object) -> dict[str, object]:
    return {name: value for name, value in fields.items() if value}


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"


def duration(seconds: float) -> str:
    """A time.Duration as Go prints it, to the nanosecond: 8.360942ms, 1.5s, 700µs, 1m2.5s."""
    nanoseconds = round(seconds * 1e9)
    if nanoseconds < 1_000_000_000:  # noqa: PLR2004 - below a second Go takes the unit that leaves one digit before the point
        for unit, factor in (("ms", 1_000_000), ("µs", 1000)):
            if nanoseconds >= factor:
                return _decimal(nanoseconds, factor) + unit
        return f"{nanoseconds}ns" if nanoseconds else "0s"
    minutes, rest = divmod(nanoseconds, 60 * 1_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = _decimal(rest, 1_000_000_000) + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text


def _decimal(value: int, factor: int) -> str:
    whole, rest = divmod(value, factor)
    digits = str(rest).rjust(len(str(factor)) - 1, "0").rstrip("0")
    return f"{whole}.{digits}" if digits else str(whole)


def size(octets: int) -> str:
    """A size as etcdctl prints it: powers of 1000, below ten with one digit after the point (20 kB, 2.1 MB)."""
    if octets < 10:  # noqa: PLR2004
        return f"{octets} B"
    unit, value = 0, Decimal(octets)
    while value >= 1000 and unit < 6:  # noqa: PLR2004
        value /= 1000
        unit += 1
    # Rounded to a tenth first, as the original does; from ten on no digit is shown.
    tenth = (value * 10 + Decimal("0.5")).to_integral_value(rounding="ROUND_FLOOR") / 10
    suffix = ("B", "kB", "MB", "GB", "TB", "PB", "EB")[unit]
    if tenth < 10:  # noqa: PLR2004
        return f"{tenth:.1f} {suffix}"
    return f"{tenth.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)} {suffix}"
