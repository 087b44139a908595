"""The log of a server: each request's lines are written at once, by one call, so that workers do not mix them."""

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime


class _Unheard(threading.local):
    now = False


class Lines:
    """Collects lines, from any thread; `flush` writes what there is."""

    def __init__(self, descriptor: int = 2, most: int = 1000) -> None:
        self._descriptor = descriptor
        self._most = most
        self._waiting: deque[str] = deque()
        self._unheard = _Unheard()

    @contextmanager
    def unheard(self) -> Iterator[None]:
        """What this thread writes within is not kept: what a server loads again, it told of when it began."""
        self._unheard.now = True
        try:
            yield
        finally:
            self._unheard.now = False

    def write(self, text: str) -> None:
        """Keep a line for the next flush."""
        if self._unheard.now:
            return
        self._waiting.append(text)
        if len(self._waiting) >= self._most:
            self.flush()

    def flush(self) -> None:
        """Write what was kept. A log that nobody reads any more does not end the server."""
        parts: list[str] = []
        while True:
            try:
                parts.append(self._waiting.popleft())
            except IndexError:
                break
        left = memoryview("".join(parts).encode(errors="replace"))
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            pass  # a closed pipe, a full disk: certificates matter more


class _Second(datetime):
    """A second that remembers how it was written last: all lines of a log write it alike."""

    _format = ""
    _text = ""

    def __format__(self, form: str) -> str:
        if form != self._format:
            self._format, self._text = form, super().__format__(form)
        return self._text


class LocalClock:
    """The local time, to the second, worked out once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._now = _Second.fromtimestamp(0)

    def __call__(self) -> datetime:
        """Now."""
        second = int(time.time())
        if second != self._second:
            self._second, self._now = second, _Second.fromtimestamp(second)
        return self._now
