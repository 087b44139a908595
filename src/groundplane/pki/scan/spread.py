"""Work on many things in a few threads that hold nobody up.

The standard library's pools wait for their threads when the process ends: a Ctrl-C would take as long as the slowest
server. These threads are daemons, and begin nothing more once nobody asks for results.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

# A signal that comes just before a wait for a lock begins is seen by Python only when that wait ends.
_AWAKE_EVERY = 0.2

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(work: Callable[[Item], Result], items: Sequence[Item], *, at_a_time: int) -> Iterator[Result]:
    """What `work` makes of each, in their order. Raises what it raises, as soon as that is known."""
    crew = _Crew(work, items)
    try:
        for _ in range(min(at_a_time, len(items))):
            run = contextvars.copy_context().run  # so that a log knows whose call it is
            threading.Thread(target=run, args=(crew.go,), name="scan of many", daemon=True).start()
        early: dict[int, Result] = {}
        for wanted in range(len(items)):
            while wanted not in early:
                number, result = crew.next()
                early[number] = result
            yield early.pop(wanted)
    finally:
        crew.stop.set()


class _Crew(Generic[Item, Result]):
    """What is to be done, and what has been."""

    def __init__(self, work: Callable[[Item], Result], items: Sequence[Item]) -> None:
        self.stop = threading.Event()
        self._work = work
        self._waiting: SimpleQueue[tuple[int, Item]] = SimpleQueue()
        self._done: SimpleQueue[tuple[int, Result] | Exception] = SimpleQueue()
        for numbered in enumerate(items):
            self._waiting.put(numbered)

    def go(self) -> None:
        """One thread's share."""
        while not self.stop.is_set():
            try:
                number, item = self._waiting.get_nowait()
            except Empty:
                return
            try:
                self._done.put((number, self._work(item)))
            except Exception as bad:  # noqa: BLE001 - whoever asks for results gets it
                self.stop.set()
                self._done.put(bad)

    def next(self) -> tuple[int, Result]:
        """A result, and of which thing."""
        while True:
            try:
                told = self._done.get(timeout=_AWAKE_EVERY)
            except Empty:
                continue
            if isinstance(told, Exception):
                raise told
            return told
