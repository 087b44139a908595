"""What belongs on a list: the rows of a database, or CFSSL's text of serial numbers."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from groundplane.errors import Invalid
from groundplane.pki.certdb.model import CertificateRecord
from groundplane.pki.crl.model import CrlPlan, Revoked, Scope

WEEK = timedelta(days=7)


def plan_of_rows(
    rows: Iterable[CertificateRecord],
    *,
    now: datetime,
    lifetime: timedelta,
    number: int | None = None,
    points: tuple[str, ...] = (),
    scope: Scope = Scope.ALL,
    invalid_since: Mapping[tuple[int, str], datetime] | None = None,
) -> CrlPlan:
    """A list of these revoked certificates. One without a date of revocation counts as never having been good."""
    since = invalid_since or {}
    revoked = tuple(
        Revoked(
            serial=row.serial,
            revoked_at=row.revoked_at or row.not_before or row.issued_at or now,
            reason=row.reason,
            invalid_since=since.get((row.serial, row.authority_key_id)),
        )
        for row in rows
    )
    return CrlPlan(
        revoked=revoked, this_update=now, next_update=now + lifetime, number=number, points=points, scope=scope
    )


def plan_of_serials(text: str, *, now: datetime, lifetime: timedelta) -> CrlPlan:
    """CFSSL's: a serial number on each line, in decimal, revoked `now`. Blank lines are passed over. Raises Invalid."""
    revoked = []
    for place, line in enumerate(text.splitlines(), start=1):
        word = line.strip()
        if not word:
            continue
        # int() would take blanks, underscores, signs and the digits of other scripts too.
        if not (word.isascii() and word.isdigit()):
            hint = "write one in decimal on each line"
            raise Invalid(f"line {place} is no serial number: {word[:60]!r}", to="serial numbers", hint=hint)
        revoked.append(Revoked(serial=_number(word, place), revoked_at=now))
    return CrlPlan(revoked=tuple(revoked), this_update=now, next_update=now + lifetime)


_LONGEST = 400  # digits: Python takes 4300, in a time that grows with their square


def _number(word: str, place: int) -> int:
    if len(word) > _LONGEST:
        raise Invalid(f"line {place} is no serial number: it is too long", to="serial numbers", hint="mend that line")
    return int(word)
