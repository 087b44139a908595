"""What all processes of a server count together, in memory that they share: each has a row of its own.

A row belongs to a process by its number, so a process that takes the place of a dead one goes on counting where that
stopped, and no counter ever falls. Made before the first fork.
"""

import mmap
import os
import threading
from collections.abc import Iterable, Sequence

_ROWS = 64
_SIZE = 8  # bytes of a cell


class Counters:
    """`names` is how many of each there are: every counter has an index from 0."""

    def __init__(self, count: int) -> None:
        self._count = max(count, 1)
        self._cells = memoryview(mmap.mmap(-1, _ROWS * self._count * _SIZE)).cast("Q")
        self._lock = threading.Lock()

    def add(self, index: int) -> None:
        """One more."""
        with self._lock:
            self._cells[(os.getpid() % _ROWS) * self._count + index] += 1

    def total(self, index: int) -> int:
        """Of all processes."""
        return sum(self._cells[index :: self._count])


class RootCounters:
    """Requests and errors by label, and bad inputs; a label that a reload brings has a counter only with spare ones."""

    _SPARE = 64

    def __init__(self, labels: Iterable[str]) -> None:
        self._labels: list[str] = sorted(labels)
        self._most = len(self._labels) + self._SPARE
        self._counters = Counters(2 * self._most + 1)

    def know(self, labels: Iterable[str]) -> None:
        """These are there now; all processes are told of the same ones in the same order."""
        fresh = sorted(set(labels) - set(self._labels))
        self._labels += fresh[: self._most - len(self._labels)]

    def request(self, label: str) -> None:
        """It has a signer."""
        self._add(label, 0)

    def errored(self, label: str) -> None:
        """It was not signed."""
        self._add(label, 1)

    def bad_input(self) -> None:
        """It was refused."""
        self._counters.add(2 * self._most)

    def _add(self, label: str, which: int) -> None:
        if label in self._labels:
            self._counters.add(2 * self._labels.index(label) + which)

    def rows(self) -> Sequence[tuple[str, str, Sequence[tuple[dict[str, str], int]]]]:
        """Name, what it means, and the labels and values that are not 0 yet: what Prometheus is told."""
        bad = self._counters.total(2 * self._most)
        return (
            (
                "requests",
                "How many requests for each operation type and signer were processed.",
                self._by_label(0),
            ),
            (
                "requests_errored",
                "How many requests for each operation type resulted in an error.",
                self._by_label(1),
            ),
            (
                "bad_inputs",
                "How many times the input was malformed or not allowed.",
                [({"operation": "sign"}, bad)] if bad else [],
            ),
        )

    def _by_label(self, which: int) -> list[tuple[dict[str, str], int]]:
        values = [(label, self._counters.total(2 * place + which)) for place, label in enumerate(self._labels)]
        return [({"operation": "sign", "signer": label}, value) for label, value in values if value]
