"""Boards of a batch that this host emulates whole: each keeps a processor busy, so they wait for one.

With more of them at a time each is slower than its stages may take, and silence says nothing of the board.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from bringup.base.errors import InterruptedRunError
from bringup.boot.stop import Stop
from bringup.lab.inventory import Board

_LOOK_EVERY_S = 0.2


def emulated(boards: Iterable[Board]) -> frozenset[str]:
    """Return the names of the twins that are whole machines: all but the scripted ones."""
    from bringup.twin.engines import SCRIPTED
    from bringup.twin.info import running

    found = {board.name: running(board.name) for board in boards if board.twin}
    return frozenset(name for name, twin in found.items() if twin is None or twin.engine != SCRIPTED.name)


def processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0))


class Machines:
    """Lets at most `at_once` of the boards `names` work at a time; the others never wait."""

    def __init__(self, names: Collection[str], at_once: int, stop: Stop) -> None:
        self._names = names
        self._free = threading.BoundedSemaphore(max(1, at_once))
        self._stop = stop

    @contextmanager
    def turn(self, board: str) -> Iterator[None]:
        """Wait until it is this board's turn; raises InterruptedRunError when all are told to stop."""
        if board not in self._names:
            yield
            return
        while not self._free.acquire(timeout=_LOOK_EVERY_S):
            if self._stop.told:
                raise InterruptedRunError("interrupted before its turn; it was not touched")
        try:
            yield
        finally:
            self._free.release()
