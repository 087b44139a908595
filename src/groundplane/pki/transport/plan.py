"""When a transport asks for a new certificate. CFSSL's rule, with a bound where CFSSL would ask without end.

At the start it asks if less than twice `before` is left, later when `before` is left. Of a certificate that lives less
than three times that long, a third of its life counts instead: CFSSL renews such a one at every look.
"""

from datetime import datetime, timedelta

BEFORE = timedelta(hours=24)
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=6)
_SHARE = 3
_JITTER = 0.2


def is_due_at_start(not_before: datetime, not_after: datetime, *, before: timedelta, now: datetime) -> bool:
    """Whether a certificate that was found is too old to begin with."""
    return not_after - now < 2 * _effective(not_before, not_after, before)


def due(not_before: datetime, not_after: datetime, *, before: timedelta) -> datetime:
    """When the next one is asked for."""
    return not_after - _effective(not_before, not_after, before)


def pause_after(failures: int, *, chance: float) -> timedelta:
    """How long to wait after so many failures in a row, less up to a fifth by `chance` (from 0 to 1)."""
    pause = min(FIRST_PAUSE * (1 << min(failures - 1, 16)), LONGEST_PAUSE)
    return pause * (1 - _JITTER * chance)


def _effective(not_before: datetime, not_after: datetime, before: timedelta) -> timedelta:
    return min(before, (not_after - not_before) / _SHARE)
