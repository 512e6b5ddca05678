"""Watches a board's power while it boots, so that a board that went off is not taken for a slow one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bringup.base.clock import Clock
from bringup.base.errors import BmcBusyError, LabError
from bringup.power.base import Power, PowerState

EVERY_S = 3.0
SILENT_S = 30.0


class PowerWatch:
    """Asks every few seconds in a thread of its own; `tell` hears of the first trouble, once.

    Trouble is a board that two reads in a row find off, a switch that gave no answer for half a minute, or a
    twin that `exists` no more.
    """

    def __init__(
        self,
        power: Power,
        board: str,
        tell: Callable[[LabError], None],
        *,
        every_s: float,
        exists: Callable[[], bool],
        clock: Clock,
    ) -> None:
        self._power = power
        self._board = board
        self._exists = exists
        self._clock = clock
        self._tell = tell
        self._every_s = every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="power-watch", daemon=True)

    def __enter__(self) -> PowerWatch:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stop.set()
        # An answer that is under way has its own limit; nobody has to wait for it.
        self._thread.join(timeout=self._every_s)

    def _stopped(self) -> bool:
        self._clock.wait(self._stop.wait, self._every_s)
        return self._stop.is_set()

    def _run(self) -> None:
        off_reads, heard_s = 0, self._clock.now_s()
        while not self._stopped():
            if not self._exists():
                text = f"the twin {self._board} was ended while it was booting"
                self._tell(LabError(text, hint=f"bringup boot {self._board} starts it again"))
                return
            try:
                off_reads = off_reads + 1 if self._power.state() is PowerState.OFF else 0
            except BmcBusyError:
                off_reads = 0  # busy is an answer
            except LabError as error:
                off_reads = 0
                if self._clock.now_s() - heard_s > SILENT_S:
                    self._tell(error)
                    return
                continue
            heard_s = self._clock.now_s()
            if off_reads >= 2:
                who = self._power.describe()
                text = f"{self._board} went off while it was booting: two reads of {who} say so"
                self._tell(LabError(text, hint="the power supply, somebody else, or the image itself"))
                return
