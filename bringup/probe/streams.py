"""How many boards fetch what is written to their disks at a time: leases, in one process.

A few streams fill the link: where all boards fetched at once, each would take so long that it seemed to hang.
And of what is sent no more is in memory than so many parts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

USUAL_STREAMS = 4
LEASE_MAX_S = 30.0
"""So long others wait for a board: one whose cable was pulled in the middle must not hold up a rack."""
_LOOK_EVERY_S = 0.2


class Lease:
    """A board's turn to fetch; `end()` it as soon as it has all."""

    def __init__(self, end: Callable[[Lease], None], until_s: float) -> None:
        self._end = end
        self.until_s = until_s

    def end(self) -> None:
        """Let another board fetch; once more does nothing."""
        self._end(self)


class Streams:
    """Gives leases to at most `at_once` boards, each for `longest_s` seconds at most."""

    def __init__(
        self,
        at_once: int = USUAL_STREAMS,
        *,
        longest_s: float = LEASE_MAX_S,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._at_once = at_once
        self._longest_s = longest_s
        self._now = now
        self._changed = threading.Condition()
        self._held: set[Lease] = set()

    @contextmanager
    def lease(self, check: Callable[[], None]) -> Iterator[Lease]:
        """Wait for a turn, which ends with the context; `check` is called meanwhile, and may raise."""
        lease = self._wait(check)
        try:
            yield lease
        finally:
            lease.end()

    def _wait(self, check: Callable[[], None]) -> Lease:
        while True:
            with self._changed:
                now_s = self._now()
                self._held = {lease for lease in self._held if lease.until_s > now_s}
                if len(self._held) < self._at_once:
                    lease = Lease(self._give_back, now_s + self._longest_s)
                    self._held.add(lease)
                    return lease
                self._changed.wait(_LOOK_EVERY_S)
            check()

    def _give_back(self, lease: Lease) -> None:
        with self._changed:
            self._held.discard(lease)
            self._changed.notify()


STREAMS = Streams()
"""Those of this process: a batch is many boards in one."""
