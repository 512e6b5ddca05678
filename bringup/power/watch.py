"""Watches a board's power while it boots, so that a board that went off is not taken for a slow one."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bringup.base.clock import Clock
from bringup.base.errors import BmcBusyError, LabError, UnclearStateError
from bringup.base.events import Emit, Event
from bringup.power.base import Power, PowerState

EVERY_S = 3.0
TOLD_S = 10.0
"""A switch that says nothing for so long is told of, and when it is back."""
GONE_S = 300.0
"""A BMC that restarts is back within minutes."""


class PowerWatch:
    """Asks every few seconds in a thread of its own; `tell` hears of the first trouble, once.

    Trouble is a board that two reads in a row find off, a switch that gave no answer for five minutes, or a
    twin that `exists` no more. An answer that tells nothing of the power is none. `back` is called when a
    BMC answers again that had fallen silent: it may have restarted, and forgotten what it was told. `acted`
    says who acted on the board meanwhile, if anybody told so: then a board that went off is no riddle.
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
        emit: Emit,
        back: Callable[[], None],
        acted: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._power = power
        self._board = board
        self._exists = exists
        self._clock = clock
        self._tell = tell
        self._every_s = every_s
        self._emit = emit
        self._back = back
        self._acted = acted
        self._heard_s = clock.now_s()
        self._told_silent = False
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
        off_reads = 0
        self._heard_s = self._clock.now_s()
        while not self._stopped():
            trouble = self._ended()
            try:
                off_reads = off_reads + 1 if trouble is None and self._reads_off() else 0
            except LabError as error:
                off_reads = 0
                trouble = trouble or self._silent(error)
            if off_reads >= 2:
                who = self._power.describe()
                text = f"{self._board} went off while it was booting: two reads of {who} say so"
                why = self._power.trouble()
                trouble = LabError(
                    text if why is None else f"{text}, and {why}",
                    hint=self._acted() or "the power supply, somebody else, or the image itself",
                )
            if trouble is not None:
                self._tell(trouble)
                return

    def _ended(self) -> LabError | None:
        if self._exists():
            return None
        text = f"the twin {self._board} was ended while it was booting"
        return LabError(text, hint=f"bringup boot {self._board} starts it again")

    def _reads_off(self) -> bool:
        try:
            off = self._power.state() is PowerState.OFF
        except (BmcBusyError, UnclearStateError):  # an answer all the same
            off = False
        self._heard()
        return off

    def _heard(self) -> None:
        now_s = self._clock.now_s()
        silent_s, self._heard_s = now_s - self._heard_s, now_s
        if self._told_silent:
            self._told_silent = False
            self._say("bmc.back", f"{self._power.describe()} answers again after {silent_s:.0f} s")
            self._back()

    def _silent(self, error: LabError) -> LabError | None:
        """Note that no answer came; return the error once that has gone on for too long."""
        silent_s = self._clock.now_s() - self._heard_s
        if silent_s > GONE_S:
            return error
        if silent_s > TOLD_S and not self._told_silent:
            self._told_silent = True
            text = f"{error.message}: it may be restarting, and is waited for, up to {GONE_S / 60:.0f} min"
            self._say("bmc.silent", text)
        return None

    def _say(self, kind: str, text: str) -> None:
        self._emit(Event("power", kind, text, {}, self._clock.now_s()))
