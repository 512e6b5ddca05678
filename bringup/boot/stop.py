"""Ends jobs that run in threads: a signal cannot (signal(3)), so their clock does what a signal would."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bringup.base.clock import Clock
from bringup.boot.signals import Signals

_SLICE_S = 0.5


class Stop:
    """Told once by whoever heard the signal; each job that lives by it then ends in its own way."""

    def __init__(self) -> None:
        self._told = threading.Event()

    def tell(self) -> None:
        """End all."""
        self._told.set()

    @property
    def told(self) -> bool:
        """Whether the jobs shall end."""
        return self._told.is_set()


class StopSignals(Signals):
    """The signals of a job in a thread: what ends it is `stop`, told by whoever does hear signals."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(outlives_terminal=True)
        self._stop = stop
        self._owner = threading.get_ident()
        self._heeding = False

    def heed(self) -> None:
        """From here on, being told to stop ends the work."""
        self._heeding = True

    def ignore(self) -> None:
        """From here on things are only put back."""
        self._heeding = False

    def look(self) -> None:
        """Raise KeyboardInterrupt, once, in the job's own thread, where it was told to stop."""
        if self._stop.told and self._heeding and threading.get_ident() == self._owner:
            self._heeding, self._heard = False, True
            raise KeyboardInterrupt


class StopClock(Clock):
    """A job's clock that looks whether it was told to stop, whenever it is asked for the time."""

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals

    def now_s(self) -> float:
        """Return the time, as `Clock` does."""
        self._signals.look()
        return super().now_s()

    def wait(self, waiter: Callable[[float], object], seconds: float) -> None:
        """Wait as `Clock` does, and look in between."""
        end_s = super().now_s() + seconds
        while (left_s := end_s - super().now_s()) > 0:
            self._signals.look()
            if waiter(min(left_s, _SLICE_S)):
                return
