"""Large RSA keys sooner: as many generators as there are cores, the first key wins, the others are killed at once.

Finding two primes takes a time that varies widely (0.1 to 2 s for 4096 bits); the least of two tries is much shorter
than one. The racers are forked processes, not threads: a thread inside OpenSSL cannot be stopped, so the loser would
keep a core busy while a cluster comes up, and would hold up the end of the process. Each key is OpenSSL's own, made
whole by one racer, and comes back through a pipe that only this process reads.

Forking is safe here because the child does three things only: make a key, write it, `_exit`. OpenSSL notices the
fork and reseeds its random generator. A racer that dies, whatever of, is a racer lost; with all lost, this process
makes the key itself.
"""

import os
import select
import signal
import time
from dataclasses import dataclass
from datetime import timedelta

from groundplane.pki.keys import PrivateKey, dump_key, generate, load_key
from groundplane.pki.model import KeyAlgorithm, KeySpec

WORTH_RACING = 3072  # bits; below, a key takes some 50 ms and a fork buys little
_MOST_RACERS = 4  # the gain of a fifth is small, and a big machine has other work
_WITHIN = timedelta(seconds=60)  # of no key at all: something holds the racers; then it is made here
_CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class _Racer:
    pid: int
    pipe: int


class KeyRace:
    """A key in the making. `start` returns at once, so other work can go on; `result` waits. End it with either call.

    race = KeyRace.start(spec)
    ...                              # the rest of the preparations
    key = race.result()              # or race.cancel()
    """

    def __init__(self, spec: KeySpec, racers: list[_Racer]) -> None:
        self._spec = spec
        self._racers = racers

    @classmethod
    def start(cls, spec: KeySpec, *, racers: int | None = None) -> "KeyRace":
        """Begin to make a key of `spec`. Kinds that are quick to make are made when the result is asked for."""
        if spec.algorithm is not KeyAlgorithm.RSA or spec.size < WORTH_RACING:
            return cls(spec, [])
        count = racers if racers is not None else min(len(os.sched_getaffinity(0)), _MOST_RACERS)
        started: list[_Racer] = []
        race = cls(spec, started)
        try:
            for _ in range(count):
                started.append(_fork(spec))  # noqa: PERF401 - what did start must be known if the next does not
        except OSError:
            pass  # no process or descriptor to be had: those already running, or this process, make the key
        return race

    def result(self) -> PrivateKey:
        """The key; blocking. The other racers are gone when it returns."""
        try:
            pem = self._first()
        finally:
            self.cancel()
        if pem is None:
            return generate(self._spec)
        return load_key(pem, source="the key that was made")

    def cancel(self) -> None:
        """Kill every racer and wait for its end; harmless when there is none."""
        while self._racers:
            racer = self._racers.pop()
            os.close(racer.pipe)
            try:
                os.kill(racer.pid, signal.SIGKILL)
                os.waitpid(racer.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass  # it ended, and the process ignores SIGCHLD, so that the kernel has reaped it

    def _first(self) -> bytes | None:
        """The first complete PEM, or None when every racer ended without one, or the time is over."""
        running = {racer.pipe: b"" for racer in self._racers}
        deadline = time.monotonic() + _WITHIN.total_seconds()
        poll = select.poll()
        for pipe in running:
            poll.register(pipe, select.POLLIN)
        while running and (left := deadline - time.monotonic()) > 0:
            for pipe, _ in poll.poll(left * 1000):
                chunk = os.read(pipe, _CHUNK)
                running[pipe] += chunk
                if not chunk:
                    poll.unregister(pipe)
                    if (pem := running.pop(pipe)).endswith(b"-----END RSA PRIVATE KEY-----\n"):
                        return pem
        return None


def generate_fast(spec: KeySpec) -> PrivateKey:
    """A new key, with all cores if that helps; blocking."""
    return KeyRace.start(spec).result()


def _fork(spec: KeySpec) -> _Racer:
    read, write = os.pipe()  # both close-on-exec
    try:
        pid = os.fork()
    except OSError:
        os.close(read)
        os.close(write)
        raise
    if pid == 0:
        _run(spec, write)
    os.close(write)
    return _Racer(pid=pid, pipe=read)


def _run(spec: KeySpec, write: int) -> None:
    """The racer: never returns, never runs what the parent registered to run at its exit."""
    try:
        # A Ctrl-C is for the parent, which cancels the race; a racer whose parent is gone ends by itself.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        left = memoryview(dump_key(generate(spec)))
        while left:
            left = left[os.write(write, left) :]
    finally:
        os._exit(0)
