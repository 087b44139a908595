"""Calls to the database that others may be in the way of: again, with growing pauses, until patience ends."""

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

import sqlalchemy.exc

from groundplane.errors import Unavailable
from groundplane.pki.certdb.faults import Fault, Sort, StoreFailed, judge

T = TypeVar("T")

_MISSING = re.compile("no such (table|column)|does not exist|doesn't exist|Unknown column")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.5


@dataclass(slots=True, kw_only=True)
class Patience:
    """How long to go on, and for whom. `met`: the database was reached before, so that it may come back."""

    limit: timedelta
    to: str
    met: bool = field(default=False)

    def call(self, once: Callable[[bool], T]) -> T:
        """What `once(doubtful)` returns.

        `doubtful`: an earlier attempt may have been done, though its answer was lost. Whatever `once` does must
        therefore end the same when it is done twice. Raises Unavailable, StoreFailed, or what `once` does.
        """
        end = time.monotonic() + self.limit.total_seconds()
        pause = _FIRST_PAUSE
        doubtful = False
        while True:
            try:
                result = once(doubtful)
            except sqlalchemy.exc.DBAPIError as bad:
                fault = judge(bad)
                if bad.connection_invalidated and fault.sort is Sort.REFUSED:
                    fault = Fault(sort=Sort.LOST, words=fault.words)
                self._refuse(fault, bad, is_late=time.monotonic() + pause > end)
                doubtful = doubtful or fault.sort is Sort.LOST
            except sqlalchemy.exc.TimeoutError as bad:
                self._refuse(judge(bad), bad, is_late=time.monotonic() + pause > end)
            else:
                self.met = True
                return result
            # Jitter: those who met in each other's way should not meet there again.
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - a pause is no secret
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _refuse(self, fault: Fault, bad: Exception, *, is_late: bool) -> None:
        """Raise, unless it is worth another attempt."""
        match fault.sort:
            case Sort.BUSY | Sort.LOST if not is_late:
                return
            case Sort.UNREACHABLE if self.met and not is_late:
                return
            case Sort.BUSY:
                hint = "others hold it; try again, or find who keeps a transaction open"
                raise _unavailable(f"the database is busy: {fault.words}", self.to, hint, fault) from bad
            case Sort.LOST | Sort.UNREACHABLE:
                hint = "see that its server runs, and that the db-config names it"
                raise _unavailable(f"the database cannot be reached: {fault.words}", self.to, hint, fault) from bad
            case _:
                hint = ""
                if _MISSING.search(fault.words):
                    hint = "make the tables: groundplane pki db migrate"
                raise StoreFailed(
                    f"the database refused: {fault.words}", to=self.to, hint=hint, words=fault.words
                ) from bad


class StoreUnavailable(Unavailable):
    """The database cannot be reached, or is busy; `words` are its own."""

    words = ""


def _unavailable(happened: str, to: str, hint: str, fault: Fault) -> StoreUnavailable:
    error = StoreUnavailable(happened, to=to, hint=hint)
    error.words = fault.words
    return error
