"""How the work of a call grows with its input: told by a ratio within one run, never by seconds."""

from __future__ import annotations

import time
from collections.abc import Callable

_TOO_SHORT_S = 0.02


def growth(work: Callable[[int], object], size: int) -> float:
    """Return how many times the processor time of `work(size)` that of `work(4 * size)` is.

    About 4 where time is linear, 16 where it is quadratic; 1 where even the larger is too short to tell.
    """
    small, large = _least_s(work, size), _least_s(work, 4 * size)
    return large / max(small, large / 100) if large > _TOO_SHORT_S else 1.0


def _least_s(work: Callable[[int], object], size: int) -> float:
    times = []
    for _ in range(3):
        began = time.process_time()
        work(size)
        times.append(time.process_time() - began)
    return min(times)
