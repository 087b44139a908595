"""An audit log of a server: whether lines are lost is known to all of its processes, and to their health."""

import mmap
from collections.abc import Callable, Mapping

from groundplane.errors import Unavailable
from groundplane.pki.operators.audit import AuditLog


class Lost:
    """Whether the last line was lost: for this process, and for those that it forks."""

    def __init__(self) -> None:
        self._cell = mmap.mmap(-1, 1)

    @property
    def is_set(self) -> bool:
        """Whether it was."""
        return self._cell[0] != 0

    def set(self, *, lost: bool) -> None:
        """What became of the newest line."""
        self._cell[0] = lost


class Trail:
    """Lines go to `log`; `failed` is called for each that is lost."""

    def __init__(self, log: AuditLog, *, lost: Lost, failed: Callable[[], None] = lambda: None) -> None:
        self._log = log
        self._lost = lost
        self._failed = failed

    def write(self, fields: Mapping[str, object]) -> None:
        """A line; see `AuditLog.write`. Raises Unavailable."""
        try:
            self._log.write(fields)
        except Unavailable:
            self._lost.set(lost=True)
            self._failed()
            raise
        self._lost.set(lost=False)

    def check(self) -> None:
        """Returns if a line could be written now. Raises Unavailable.

        After a loss only a line can tell: one that says so is written, and with it the loss is over.
        """
        if self._lost.is_set:
            self._log.write({"event": "resumed", "note": "lines before this one were lost; what they told was refused"})
            self._lost.set(lost=False)
        self._log.check()
