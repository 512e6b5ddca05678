"""The clock that a job lives by: CLOCK_MONOTONIC, one clock for all processes of this host."""

from __future__ import annotations

import time
from collections.abc import Callable

WATCH_ON_MAX_S = 86400
"""How long a board may be watched on after success: a day."""


class Clock:
    """Tells the time and waits. A test may give one that runs faster."""

    def now_s(self) -> float:
        """Return the time in seconds, comparable with the times of events."""
        return time.monotonic()

    def wait(self, waiter: Callable[[float], object], seconds: float) -> None:
        """Wait by `waiter` (such as `Condition.wait`), which may come back earlier."""
        waiter(max(0.0, seconds))

    def sleep(self, seconds: float) -> None:
        """Wait for nothing but the time."""
        self.wait(time.sleep, seconds)


def boottime_s() -> float:
    """Return CLOCK_BOOTTIME in seconds: as CLOCK_MONOTONIC, and it goes on while this host is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
