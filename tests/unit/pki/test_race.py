"""A race gives one whole key, and leaves no process, descriptor or zombie behind."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundplane.pki.keys import spec_of
from groundplane.pki.model import P256, KeyAlgorithm, KeySpec
from groundplane.pki.race import KeyRace, generate_fast

RSA3072 = KeySpec(algorithm=KeyAlgorithm.RSA, size=3072)  # the least that is raced


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    before = descriptors(), children()
    yield
    assert (descriptors(), children()) == before


def test_the_winner_s_key_is_of_the_kind_asked_for() -> None:
    assert spec_of(KeyRace.start(RSA3072, racers=2).result().public_key()) == RSA3072


def test_quick_kinds_are_not_raced() -> None:
    assert spec_of(generate_fast(P256).public_key()) == P256


def test_a_cancelled_race_ends_at_once() -> None:
    running = KeyRace.start(RSA3072, racers=2)
    assert len(children().split()) >= 2
    running.cancel()
    running.cancel()


def test_with_every_racer_killed_the_key_is_made_here() -> None:
    running = KeyRace.start(RSA3072, racers=2)
    for racer in running._racers:
        os.kill(racer.pid, signal.SIGKILL)
    assert spec_of(running.result().public_key()) == RSA3072


def test_where_nothing_can_be_forked_the_key_is_made_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert spec_of(generate_fast(RSA3072).public_key()) == RSA3072
