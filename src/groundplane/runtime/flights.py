"""Work that outlives its caller, and is joined by whoever asks for the same again.

A CRI client that runs out of time goes away and repeats the call. The first call's work goes on under its key; the
repeat waits for it and gets its answer, so that a name is never "reserved" by nobody (CRI reference §2). A different
call on the same object waits its turn through `lock`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")
_LANDING_S = 15.0  # then what is left is cancelled, and undoes itself; a restart finishes what it cannot


class Flights:
    """Owns the tasks; leaving the block waits for those in the air, for a while."""

    def __init__(self) -> None:
        self._group = asyncio.TaskGroup()
        self._flying: dict[tuple[object, ...], asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_LANDING_S)
        for task in self._tasks:
            task.cancel()
        await self._group.__aexit__(None, None, None)  # whatever ended the block: its error is not the work's

    async def join(self, key: tuple[object, ...], work: Callable[[], Awaitable[T]]) -> T:
        """The result of the one `work` under `key`; a cancelled caller leaves it running."""
        landing: asyncio.Future[T] | None = self._flying.get(key)
        if landing is None:
            landing = asyncio.get_running_loop().create_future()
            self._flying[key] = landing
            task = self._group.create_task(self._fly(key, work, landing), name=str(key[0]))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(landing)

    async def _fly(
        self, key: tuple[object, ...], work: Callable[[], Awaitable[T]], landing: "asyncio.Future[T]"
    ) -> None:
        try:
            result = await work()
        except asyncio.CancelledError:
            landing.cancel()
            raise
        except Exception as failed:  # noqa: BLE001 - carried to whoever waits
            landing.set_exception(failed)
            landing.exception()  # nobody may be left to look: that is not worth a warning
        else:
            landing.set_result(result)
        finally:
            self._flying.pop(key, None)

    def lock(self, name: str) -> "_Turn":
        """`async with flights.lock(id):` one at a time per object; the lock itself goes away with its last user."""
        return _Turn(self._locks, name)


class _Turn:
    def __init__(self, locks: dict[str, tuple[asyncio.Lock, int]], name: str) -> None:
        self._locks, self._name = locks, name

    async def __aenter__(self) -> None:
        lock, users = self._locks.get(self._name, (asyncio.Lock(), 0))
        self._locks[self._name] = (lock, users + 1)
        try:
            await lock.acquire()
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._locks[self._name][0].release()
        self._leave()

    def _leave(self) -> None:
        lock, users = self._locks[self._name]
        if users == 1:
            del self._locks[self._name]
        else:
            self._locks[self._name] = (lock, users - 1)
