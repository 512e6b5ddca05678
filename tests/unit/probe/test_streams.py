"""At most so many boards fetch at a time, and none that hangs holds up the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bringup.base.errors import LabError
from bringup.probe.agent import Agent
from bringup.probe.streams import Streams
from tests.doubles.front_door import FrontDoor
from tests.doubles.ramdisk import FakeRamdisk


def nothing() -> None:
    """Nobody ends the wait."""


def at_most(streams: Streams, boards: int, work: Callable[[], None]) -> int:
    """Let boards fetch; returns how many did at the same time."""
    lock, now, most = threading.Lock(), 0, 0

    def board() -> None:
        nonlocal now, most
        with streams.lease(nothing):
            with lock:
                now += 1
                most = max(most, now)
            work()
            with lock:
                now -= 1

    threads = [threading.Thread(target=board) for _ in range(boards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return most


def test_no_more_than_so_many_fetch_at_a_time() -> None:
    assert at_most(Streams(3), 12, lambda: time.sleep(0.02)) == 3


def test_who_has_all_gives_way_before_it_is_written() -> None:
    streams = Streams(1)
    with streams.lease(nothing) as first:
        first.end()
        with streams.lease(nothing) as second:
            first.end()  # once more gives nobody else's back
            with pytest.raises(LabError), streams.lease(refuse):
                pytest.fail("two at a time")
            second.end()


def refuse() -> None:
    raise LabError("the plug was pulled")


def test_who_waits_is_told_what_ends_it() -> None:
    streams = Streams(1)
    with streams.lease(nothing), pytest.raises(LabError, match="plug"), streams.lease(refuse):
        pytest.fail("it got a turn")
    with streams.lease(refuse):
        pass  # nobody has it: no wait, nothing to check


def test_a_board_that_hangs_is_waited_for_so_long_and_no_longer() -> None:
    now_s = 0.0
    streams = Streams(1, longest_s=30.0, now=lambda: now_s)
    with streams.lease(nothing):
        now_s = 29.0
        with pytest.raises(LabError), streams.lease(refuse):
            pytest.fail("it is its turn still")
        now_s = 31.0
        with streams.lease(refuse):
            pass


def test_boards_fetch_in_turn_and_all_is_written(tmp_path: Path) -> None:
    """Three ramdisks and one stream: a content is asked for while no other one is being fetched."""
    streams, lock = Streams(1), threading.Lock()
    seen: list[bool] = []

    def content(number: int) -> bytes:
        seen.append(lock.acquire(blocking=False))
        time.sleep(0.05)
        lock.release()
        return bytes([number]) * 4096

    def write(number: int) -> None:
        disk = tmp_path / f"disk{number}"
        disk.write_bytes(bytes(4096 * 4))
        agent = Agent(order_s=60.0, streams=streams)
        door = FrontDoor(agent.visits)
        ramdisk = FakeRamdisk(agent.url(door.base_url), {"sda": disk}, "x")
        try:
            for place in range(4):
                agent.write("sda", place * 4096, 4096, lambda: [content(number)])
        finally:
            agent.close()
            ramdisk.close()
            door.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in (1, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 12
    for number in (1, 2, 3):
        assert (tmp_path / f"disk{number}").read_bytes() == bytes([number]) * 4096 * 4
