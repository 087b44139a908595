"""Compensations, run newest first when a block is left without `commit`.

It stops at the first step that fails: what was pushed before (the record of the thing) then outlives what it
describes, so that a later remove can finish the work. A crash is not covered here; recovery is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import TracebackType
from typing import Self

Step = Callable[[], Awaitable[object]]

UNDO_LIMIT = timedelta(seconds=60)


class Undo:
    """`async with Undo() as undo: … undo.push("remove the link", remove) … undo.commit()`."""

    def __init__(self, *, within: timedelta = UNDO_LIMIT) -> None:
        self._steps: list[tuple[str, Step]] = []
        self._within = within
        self._committed = False

    def push(self, what: str, step: Step) -> None:
        """Remember `step`, to be awaited if the block is left uncommitted. `what` is added to its failure."""
        self._steps.append((what, step))

    def commit(self) -> None:
        """Keep what was done: nothing will be compensated."""
        self._committed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._committed:
            return
        # The caller's deadline may be what brought us here: compensations have a limit of their own.
        work = asyncio.ensure_future(self._run())
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            await work
            raise
        except Exception as failed:
            if error is None:
                raise
            error.add_note(str(failed))

    async def _run(self) -> None:
        async with asyncio.timeout(self._within.total_seconds()):
            for what, step in reversed(self._steps):
                try:
                    await step()
                except Exception as failed:
                    failed.add_note(f"while undoing: {what}")
                    raise
