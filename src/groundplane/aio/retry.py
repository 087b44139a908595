"""Bounded attempts for what is idempotent, and only on `Unavailable`."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from groundplane.errors import Unavailable

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """At most `within` in all; pauses grow from `first` by half up to `longest`, each with up to 20 % of jitter."""

    within: timedelta
    first: timedelta = timedelta(milliseconds=20)
    longest: timedelta = timedelta(seconds=1)
    jitter: Callable[[], float] = field(default=random.random)

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """The first success of `call`, or its last `Unavailable` once the budget is spent."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.within.total_seconds()
        pause = self.first.total_seconds()
        while True:
            try:
                return await call()
            except Unavailable:
                wait = pause * (1 + 0.2 * self.jitter())
                if loop.time() + wait > end:
                    raise
            await asyncio.sleep(wait)
            pause = min(pause * 1.5, self.longest.total_seconds())
