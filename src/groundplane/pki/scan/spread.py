"""Work on many things in a few threads that hold nobody up.

The standard library's pools wait for their threads when the process ends: a Ctrl-C would take as long as the slowest
server. These threads are daemons, and begin nothing more once nobody asks for results.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

# A signal that comes just before a wait for a lock begins is seen by Python only when that wait ends.
_AWAKE_EVERY = 0.2

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(work: Callable[[Item], Result], items: Sequence[Item], *, at_a_time: int) -> Iterator[Result]:
    """What `work` makes of each, in their order. Raises what it raises, as soon as that is known."""
    waiting: SimpleQueue[tuple[int, Item]] = SimpleQueue()
    done: SimpleQueue[tuple[int, Result] | Exception] = SimpleQueue()
    stop = threading.Event()
    for numbered in enumerate(items):
        waiting.put(numbered)

    def go() -> None:
        while not stop.is_set():
            try:
                number, item = waiting.get_nowait()
            except Empty:
                return
            try:
                done.put((number, work(item)))
            except Exception as bad:  # noqa: BLE001 - whoever asks for results gets it
                stop.set()
                done.put(bad)

    early: dict[int, Result] = {}
    try:
        for _ in range(min(at_a_time, len(items))):
            run = contextvars.copy_context().run  # so that a log knows whose call it is
            threading.Thread(target=run, args=(go,), name="scan of many", daemon=True).start()
        for wanted in range(len(items)):
            while wanted not in early:
                try:
                    told = done.get(timeout=_AWAKE_EVERY)
                except Empty:
                    continue
                if isinstance(told, Exception):
                    raise told
                early[told[0]] = told[1]
            yield early.pop(wanted)
    finally:
        stop.set()
