"""A lock keeps other processes out, for exactly as long as its holder lives."""

import os
import signal
from pathlib import Path

import pytest

from groundplane.system import files


def hold(path: Path) -> tuple[int, int]:
    """A process that holds the lock and has a child of its own: their pids."""
    said, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with files.lock(path):
                child = os.fork()
                if child == 0:
                    signal.pause()
                os.write(say, f"{child}\n".encode())
                signal.pause()
        finally:
            os._exit(1)
    os.close(say)
    with os.fdopen(said) as pipe:
        return pid, int(pipe.readline())


def test_another_process_is_kept_out_until_the_holder_is_killed_even_if_its_child_lives_on(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder, child = hold(path)
    try:
        with pytest.raises(files.Locked), files.lock(path):
            pass
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        os.kill(child, 0)  # it lives
        with files.lock(path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)


def test_a_lock_that_was_let_go_can_be_taken_again(tmp_path: Path) -> None:
    for _ in range(2):
        with files.lock(tmp_path / "lock"):
            pass


def test_one_process_does_not_get_it_twice_and_keeps_it_after_trying(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with files.lock(path):
        with pytest.raises(files.Locked), files.lock(path):
            pass
        child = os.fork()
        if child == 0:
            try:
                with files.lock(path):
                    os._exit(1)
            except files.Locked:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
