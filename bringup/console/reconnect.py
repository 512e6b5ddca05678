"""A console that comes back: attached again within seconds, and every gap told.

It never takes a console from somebody else; its own stale session, which the BMC may still count as active
after a network cut, is the console's own business (bringup.console.sol.console).
"""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from bringup.base.clock import boottime_s
from bringup.base.errors import (
    AuthenticationError,
    BmcTimeoutError,
    CipherError,
    ConsoleHeldError,
    ConsoleLostError,
    ConsoleTakenError,
    LabError,
)
from bringup.base.events import Emit, Event
from bringup.console.base import Console, ConsoleGapError

GIVE_UP_AFTER_S = 600.0
# Mostly short tries: a first packet goes out at least every 2 s, so a BMC that is back is noticed; a patient
# one reaches a BMC that is slow to log in.
_TRY_TIMEOUTS_S = (1.2, 1.2, 2.4) * 3 + (7.0,)
_SILENCE_PAUSE_S = 0.2
_REFUSAL_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 5.0)
_FATAL = (AuthenticationError, CipherError, ConsoleHeldError)
_CLOSE_TIMEOUT_S = 3.0
_PAUSE_S = 0.5
# A console that ends so soon each time is no console: it is attached again ever later, and then no more.
_SHORT_S, _SHORT_LIVES_MAX, _LONGEST_PAUSE = 1.5, 8, 10
_MISSING = {True: "is missing", False: "may be missing"}


class ReconnectingConsole:
    """Wraps a console: when it is lost, emits `console.lost`, tries again, and then emits `console.gap`.

    A hole in a console that was never lost is a `console.gap`, too. Its seconds are at least those of the
    hole, its `certain` says whether text is known to be missing.

    `read` gives b"" meanwhile; it raises ConsoleLostError when there is no point in going on, as for a
    console that ends each time it was attached, or after `give_up_after_s`. `write` raises ConsoleLostError
    while the console is away.
    """

    def __init__(
        self,
        console: Console,
        emit: Emit,
        *,
        name: str = "SOL",
        give_up_after_s: float = GIVE_UP_AFTER_S,
        pause_s: float = _PAUSE_S,
    ) -> None:
        self._console = console
        self._emit = emit
        self._name = name
        self._give_up_after_s = give_up_after_s
        self._pause_s = pause_s
        self._lost_s = 0.0
        self._back: Future[bool] | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._attached_s = -math.inf
        self._short_lives = 0

    @property
    def alive_s(self) -> float:
        """When the console last showed a sign of life."""
        return self._console.alive_s

    def describe(self) -> str:
        """Return which console this is."""
        return self._console.describe()

    def open(self, timeout_s: float) -> None:
        """Attach for the first time, or once more after it was given up; nothing is tried again here."""
        self._console.open(timeout_s)
        self._back, self._attached_s, self._short_lives = None, time.monotonic(), 0

    def read(self, timeout_s: float) -> bytes:
        """Return what came in; emits the events of a loss and of the way back, in order with the bytes."""
        if self._back is None:
            try:
                return self._console.read(timeout_s)
            except ConsoleGapError as gap:
                self._tell_gap(gap.seconds, gap.reason, certain=gap.certain)
                return b""
            except ConsoleLostError as error:
                self._begin(error)
        self._look(timeout_s)
        return b""

    def write(self, data: bytes) -> None:
        """Send characters."""
        self._there().write(data)

    def send_break(self) -> None:
        """Send a break."""
        self._there().send_break()

    def close(self) -> None:
        """Stop trying and detach."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_TIMEOUT_S)
        self._console.close()

    def _there(self) -> Console:
        if self._back is not None:
            raise ConsoleLostError(f"{self._name} is away just now")
        return self._console

    def _begin(self, error: ConsoleLostError) -> None:
        short = time.monotonic() - self._attached_s < _SHORT_S
        self._short_lives = self._short_lives + 1 if short else 0
        # Counted on the clock that goes on while this host is suspended.
        self._lost_s = boottime_s() - (time.monotonic() - self._console.alive_s)
        self._back = Future()
        self._emit(Event("console", "console.lost", error.message, {"reason": error.message}))
        self._thread = threading.Thread(
            target=self._come_back, args=(self._back,), name="console-reattach", daemon=True
        )
        self._thread.start()

    def _look(self, timeout_s: float) -> None:
        assert self._back is not None  # noqa: S101  # set by `_begin`
        try:
            goes_on = self._back.result(timeout_s)
        except FutureTimeoutError:
            return
        except LabError as error:
            kind = ConsoleTakenError if isinstance(error, ConsoleHeldError) else ConsoleLostError
            raise kind(f"{self._name} did not come back: {error.message}", hint=error.hint) from None
        self._back, self._attached_s = None, time.monotonic()
        if not goes_on:
            self._tell_gap(boottime_s() - self._lost_s, "", certain=True)

    def _tell_gap(self, lost_s: float, reason: str, *, certain: bool) -> None:
        # Rounded up: a marker is never shorter than the hole.
        seconds = math.ceil(lost_s * 10) / 10
        why = f" ({reason})" if reason else ""
        text = f"{self._name} lost {seconds:.1f} s{why}; what the board wrote meanwhile {_MISSING[certain]}"
        data = {"seconds": seconds, "certain": certain, "reason": reason}
        self._emit(Event("console", "console.gap", text, data))

    def _ends_at_once(self) -> ConsoleLostError:
        return ConsoleLostError(
            f"it ended within {_SHORT_S} s of being attached, {self._short_lives} times in a row",
            hint="something takes it away each time: another tool that logs this console, or a BMC that has "
            "to be reset (ipmitool mc reset cold)",
        )

    def _come_back(self, back: Future[bool]) -> None:
        if self._short_lives > _SHORT_LIVES_MAX:
            back.set_exception(self._ends_at_once())
            return
        deadline_s = time.monotonic() + self._give_up_after_s
        refusals = tries = 0
        # Whoever freed the console in order to take it needs a moment between the two.
        self._closing.wait(self._pause_s * min(2 ** max(0, self._short_lives - 1), _LONGEST_PAUSE))
        while not self._closing.is_set():
            try:
                goes_on = self._console.open(_TRY_TIMEOUTS_S[tries % len(_TRY_TIMEOUTS_S)])
            except LabError as error:
                tries += 1
                silent = isinstance(error, BmcTimeoutError)
                refusals += not silent
                if isinstance(error, _FATAL) or time.monotonic() > deadline_s:
                    back.set_exception(error)
                    return
                pauses = _REFUSAL_PAUSES_S
                self._closing.wait(_SILENCE_PAUSE_S if silent else pauses[min(refusals, len(pauses)) - 1])
            else:
                back.set_result(bool(goes_on))
                return
        back.set_exception(ConsoleLostError(f"{self._name} was closed"))
