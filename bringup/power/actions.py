"""Safe power: act only from a confirmed state, and confirm the change.

A state is confirmed when two reads in succession agree; unknown is never taken for off. Nothing here switches
a board that is already as wanted: "on" for a running board changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from bringup.base.errors import BmcBusyError, BmcTimeoutError, LabError, UnclearStateError
from bringup.base.events import Emit, Event
from bringup.power.base import Power, PowerState

ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN


@dataclass(frozen=True, slots=True)
class PowerResult:
    """What an action did; `seconds` from the first read to the confirmed end."""

    action: str
    before: PowerState
    after: PowerState
    changed: bool
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        return {
            "action": self.action,
            "before": str(self.before),
            "state": str(self.after),
            "changed": self.changed,
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        if not self.changed:
            return f"already {self.after}"
        if self.before is not self.after:
            what = f"{self.before} → {self.after}"
        else:
            what = "on → off → on" if self.action == "cycle" else "reset, on before and after"
        return f"{what}, confirmed in {self.seconds:.1f} s"


@dataclass(frozen=True)
class Pace:
    """How long to wait, in seconds, and on which clock."""

    confirm_timeout_s: float = 30.0
    change_timeout_s: float = 60.0
    soft_timeout_s: float = 180.0
    poll_s: float = 0.2
    # Supplies and BMCs ignore a power-on that comes right after the power went off.
    off_pause_s: float = 3.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def confirmed_state(power: Power, pace: Pace | None = None) -> PowerState:
    """Return ON or OFF as two reads in succession agree; raises LabError when they never do."""
    return _Sequence("read", power, None, pace).confirmed()


def ensure_on(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Bring the board on; one that is on already is left alone."""
    sequence = _Sequence("on", power, emit, pace)
    if sequence.before() is OFF:
        sequence.switch("on", power.on, ON)
    return sequence.result()


def ensure_off(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Bring the board off at once; one that is off already is left alone."""
    sequence = _Sequence("off", power, emit, pace)
    if sequence.before() is ON:
        sequence.switch("off", power.off, OFF)
    return sequence.result()


def cycle(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Switch off, wait, switch on, each confirmed; a board that is off is switched on.

    The BMC's own cycle command is not used: between its off and on there is nothing to confirm.
    """
    sequence = _Sequence("cycle", power, emit, pace)
    if sequence.before() is ON:
        sequence.switch("off", power.off, OFF)
        sequence.stay_off()
    sequence.switch("on", power.on, ON)
    return sequence.result()


def reset(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Reset a running board and confirm that it is on; raises LabError for one that is off.

    That the reset happened shows only in what the board does next: the power is on before and after.
    """
    sequence = _Sequence("reset", power, emit, pace)
    if sequence.before() is OFF:
        raise LabError(
            f"the board is off, and a reset needs it on ({power.describe()})", hint="switch it on instead"
        )
    sequence.switch("reset", power.reset, ON)
    return sequence.result()


def soft_off(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Ask the operating system to shut down and wait for the power to go off."""
    sequence = _Sequence("soft", power, emit, pace)
    if sequence.before() is ON:
        sequence.switch("soft", power.soft, OFF, timeout_s=sequence.pace.soft_timeout_s)
    return sequence.result()


class _Sequence:
    """One action under way: reads, switches, remembers where it began."""

    def __init__(self, action: str, power: Power, emit: Emit | None, pace: Pace | None) -> None:
        self.pace = pace or Pace()
        self._action = action
        self._power = power
        self._emit = emit or (lambda _event: None)
        self._began_s = self.pace.now()
        self._before = self._after = UNKNOWN
        self._changed = False

    def before(self) -> PowerState:
        """Confirm the state before anything is done."""
        self._before = self._after = self.confirmed()
        return self._before

    def confirmed(self) -> PowerState:
        """Return the steady state, whichever it is."""
        return self._wait(None, self.pace.confirm_timeout_s)

    def switch(
        self, name: str, command: Callable[[], None], wanted: PowerState, timeout_s: float | None = None
    ) -> None:
        """Send one command and wait for its effect."""
        self._tell("power.action", f"power {name}", action=name)
        command()
        self._changed = True
        self._after = self._wait(wanted, self.pace.change_timeout_s if timeout_s is None else timeout_s)

    def stay_off(self) -> None:
        """Tell that the board is off, and leave it so for a moment."""
        self._tell("power.state", f"{ON} → {OFF}, confirmed", state=str(OFF))
        self.pace.sleep(self.pace.off_pause_s)

    def result(self) -> PowerResult:
        """Return what was done, and tell it."""
        seconds = self.pace.now() - self._began_s
        result = PowerResult(self._action, self._before, self._after, self._changed, seconds)
        self._tell("power.state", str(result), state=str(self._after))
        return result

    def _tell(self, kind: str, text: str, **data: str) -> None:
        self._emit(Event("power", kind, text, data, self.pace.now()))

    def _wait(self, wanted: PowerState | None, timeout_s: float) -> PowerState:
        deadline = self.pace.now() + timeout_s
        seen: list[PowerState] = []
        fault: LabError | None = None
        while True:
            try:
                seen.append(self._power.state())
                fault = None
            except (BmcBusyError, BmcTimeoutError, UnclearStateError) as error:
                if not seen and isinstance(error, BmcTimeoutError):
                    raise  # nobody has ever been there: more of the same silence tells nothing new
                seen.append(UNKNOWN)
                fault = error
            last = seen[-1]
            steady = len(seen) > 1 and seen[-2] is last and last is not UNKNOWN
            if steady and wanted in (None, last):
                return last
            # A person, or a slow switch, may have taken all the time for one answer; one confirms nothing.
            if len(seen) > 1 and self.pace.now() >= deadline:
                raise fault or self._no_change(wanted, seen, timeout_s)
            self.pace.sleep(self.pace.poll_s)

    def _no_change(self, wanted: PowerState | None, seen: list[PowerState], timeout_s: float) -> LabError:
        who = self._power.describe()
        if wanted is None or UNKNOWN in seen[-2:] or seen[-1] is wanted:
            reads = ", ".join(str(state) for state in seen[-4:])
            return LabError(
                f"{who} gives no steady power state within {timeout_s:.0f} s (last reads: {reads})",
                hint="nothing more was switched; look at the board's power LED",
            )
        if self._action == "soft":
            return LabError(
                f"the operating system did not switch the board off within {timeout_s:.0f} s ({who})",
                hint="switch it off without asking: bringup power BOARD off",
            )
        return LabError(
            f"{who} accepted the command and the board is still {seen[-1]} after {timeout_s:.0f} s",
            hint="check mains power and front-panel button; a BMC that ignores commands needs its own reset",
        )
