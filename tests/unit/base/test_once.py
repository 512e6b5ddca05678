"""What many threads ask for at the same time is made once."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bringup.base.once import made_once


def test_threads_that_ask_together_wait_for_the_one_that_makes_it() -> None:
    together = threading.Barrier(4, timeout=60)
    made: list[str] = []

    @made_once()
    def make(name: str) -> list[str]:
        time.sleep(0.1)  # long enough for the others to come meanwhile
        made.append(name)
        return [name]

    def ask(_number: int) -> list[str]:
        together.wait()
        return make("a")

    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(ask, range(4)))
    assert made == ["a"]
    assert all(each is results[0] for each in results)


def test_the_results_used_longest_ago_are_forgotten() -> None:
    made: list[int] = []

    @made_once(maxsize=2)
    def make(number: int) -> int:
        made.append(number)
        return number

    assert [make(number) for number in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert made == [1, 2, 3, 2]


def test_what_failed_is_tried_again() -> None:
    made: list[int] = []

    @made_once()
    def make() -> int:
        made.append(1)
        if len(made) == 1:
            raise OSError("full")
        return len(made)

    with pytest.raises(OSError, match="full"):
        make()
    assert make() == make() == 2
