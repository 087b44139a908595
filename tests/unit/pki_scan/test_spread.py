import threading
import time
from itertools import islice

import pytest

from groundplane.pki.scan.spread import spread


def test_results_come_in_the_order_of_the_things() -> None:
    def work(number: int) -> int:
        time.sleep(0.02 * (number % 3 == 0))
        return number * number

    assert list(spread(work, range(30), at_a_time=7)) == [number * number for number in range(30)]
    assert list(spread(work, (), at_a_time=3)) == []


def test_no_more_threads_than_were_allowed() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(_: int) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.005)
        with lock:
            running -= 1

    assert len(list(spread(work, range(20), at_a_time=3))) == 20
    assert most == 3


def test_what_goes_wrong_is_heard_and_nothing_more_begins() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 2:
            raise LookupError("two")
        return number

    with pytest.raises(LookupError, match="two"):
        list(spread(work, range(1000), at_a_time=1))
    assert begun == [0, 1, 2]
    assert list(islice(spread(work, (5, 6), at_a_time=1), 1)) == [5]
