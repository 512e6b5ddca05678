"""Jobs in threads end as a signal would end them."""

from __future__ import annotations

import threading
import time

import pytest

from bringup.boot.stop import Stop, StopClock, StopSignals


def test_the_clock_raises_once_and_only_while_the_work_may_be_ended() -> None:
    stop = Stop()
    signals = StopSignals(stop)
    clock = StopClock(signals)
    stop.tell()
    clock.now_s()  # nothing is heeded yet
    signals.heed()
    with pytest.raises(KeyboardInterrupt):
        clock.now_s()
    clock.now_s()  # it is being put back now
    assert signals.heard


def test_what_is_put_back_is_not_broken_into() -> None:
    stop = Stop()
    signals = StopSignals(stop)
    signals.heed()
    signals.ignore()
    stop.tell()
    StopClock(signals).sleep(0.01)
    assert not signals.heard


def test_only_the_jobs_own_thread_is_ended() -> None:
    stop = Stop()
    signals = StopSignals(stop)
    signals.heed()
    clock = StopClock(signals)
    stop.tell()
    seen: list[float] = []
    other = threading.Thread(target=lambda: seen.append(clock.now_s()))
    other.start()
    other.join()
    assert len(seen) == 1
    with pytest.raises(KeyboardInterrupt):
        clock.now_s()


def test_a_long_sleep_is_ended_too_and_a_condition_comes_back_early() -> None:
    stop = Stop()
    signals = StopSignals(stop)
    signals.heed()
    clock = StopClock(signals)
    clock.wait(lambda _seconds: True, 3600)
    threading.Timer(0.1, stop.tell).start()
    with pytest.raises(KeyboardInterrupt):
        clock.sleep(3600)
    begun = time.monotonic()
    clock.wait(time.sleep, 0.2)
    assert time.monotonic() - begun >= 0.2
