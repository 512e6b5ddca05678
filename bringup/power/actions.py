"""Power as people mean it: from a confirmed state, to a confirmed state, and no further.

Unknown is not off: nothing is done to a board whose state nobody knows. "On" never cycles a running board
(cluster-api-provider-maas#379 is what happens otherwise).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from bringup.errors import BmcBusyError, BmcTimeoutError, LabError
from bringup.events import Emit, Event
from bringup.power.base import Power, PowerState

T = TypeVar("T")

CHANGE_TIMEOUT_S = 60.0
CYCLE_PAUSE_S = 5.0
_POLL_S = 0.2
_READS_MAX = 10
_TRIES = 3
_RETRY_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things may take, in seconds, and the clock they are measured by."""

    change_timeout_s: float = CHANGE_TIMEOUT_S
    cycle_pause_s: float = CYCLE_PAUSE_S
    poll_s: float = _POLL_S
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class PowerResult:
    """What was, what is, whether anything was done, and how long it took."""

    action: str
    before: PowerState
    after: PowerState
    changed: bool
    seconds: float


def confirmed_state(power: Power, pace: Pace | None = None) -> PowerState:
    """Return the state that two reads in a row agree on; raises LabError when there is no such state."""
    pace = pace or Pace()
    last = PowerState.UNKNOWN
    for _ in range(_READS_MAX):
        state = patiently(power.state, pace)
        if state is not PowerState.UNKNOWN and state is last:
            return state
        last = state
        pace.sleep(pace.poll_s / 4)
    raise LabError(
        "the BMC does not say whether the board is on or off, so nothing was done",
        hint="look at the board's power LED; a cold reset of the BMC may help",
    )


def ensure_on(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Switch on a board that is off; a running board is left alone."""
    return _ensure(power, PowerState.ON, power.on, emit, pace or Pace())


def ensure_off(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Switch off a board that is on."""
    return _ensure(power, PowerState.OFF, power.off, emit, pace or Pace())


def cycle(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Off, confirmed; a pause; on, confirmed. A board that was off is switched on."""
    pace = pace or Pace()
    begin = pace.now()
    before = ensure_off(power, emit, pace).before
    if before is PowerState.ON:
        pace.sleep(pace.cycle_pause_s)
    after = ensure_on(power, emit, pace).after
    return PowerResult("cycle", before, after, True, pace.now() - begin)


def reset(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Reset a running board; raises LabError when it is off, where a reset does nothing."""
    pace = pace or Pace()
    begin = pace.now()
    before = confirmed_state(power, pace)
    if before is not PowerState.ON:
        raise LabError("the board is off, and a reset starts nothing", hint="bringup power BOARD on")
    emit(Event("power", "power.action", "reset", {"action": "reset"}))
    patiently(power.reset, pace)
    after = confirmed_state(power, pace)
    return PowerResult("reset", before, after, True, pace.now() - begin)


def _ensure(power: Power, wanted: PowerState, act: Callable[[], None], emit: Emit, pace: Pace) -> PowerResult:
    begin = pace.now()
    before = confirmed_state(power, pace)
    if before is wanted:
        emit(Event("power", "power.state", f"{wanted} already, confirmed", {"state": str(wanted)}))
        return PowerResult(str(wanted), before, before, False, pace.now() - begin)
    emit(Event("power", "power.action", str(wanted), {"action": str(wanted)}))
    patiently(act, pace)
    deadline = begin + pace.change_timeout_s
    while patiently(power.state, pace) is not wanted:
        if pace.now() > deadline:
            raise LabError(
                f"the BMC took the command, and the board is still not {wanted} "
                f"after {pace.change_timeout_s:.0f} s",
                hint="is the power cable in? `ipmitool chassis status` shows faults and interlocks",
            )
        pace.sleep(pace.poll_s)
    after = confirmed_state(power, pace)
    if after is not wanted:
        raise LabError(
            f"the board went {wanted} and then {after} again", hint="`bringup runs show`, power LED"
        )
    text = f"{before} → {after}, confirmed"
    emit(Event("power", "power.state", text, {"state": str(after), "before": str(before)}))
    return PowerResult(str(wanted), before, after, True, pace.now() - begin)


def patiently(call: Callable[[], T], pace: Pace) -> T:
    """Run one command again when the BMC was busy or silent, a few times; nothing else is repeated."""
    for attempt in range(1, _TRIES + 1):
        try:
            return call()
        except (BmcBusyError, BmcTimeoutError):
            if attempt == _TRIES:
                raise
            pace.sleep(_RETRY_PAUSE_S)
    raise AssertionError("unreachable")
