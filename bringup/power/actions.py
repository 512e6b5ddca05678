"""Safe power: act only from a confirmed state, and confirm the change.

A state is confirmed when two reads in succession agree; unknown is never taken for off. Nothing here switches
a board that is already as wanted: "on" for a running board changes nothing. A read that fails is unknown and
no end; a command that had no effect is given again; a sequence that breaks off says how it leaves the board.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from bringup.base.errors import BmcBusyError, BmcTimeoutError, LabError, PowerStuckError, UnclearStateError
from bringup.base.events import Emit, Event
from bringup.power.base import Power, PowerState

ON, OFF, UNKNOWN = PowerState.ON, PowerState.OFF, PowerState.UNKNOWN

_PERHAPS_DONE = (BmcBusyError, BmcTimeoutError, UnclearStateError)
"""What a command may be answered by and be carried out all the same, now or later."""

_POLL_GROWTH = 1.3
_REFUSALS_MAX = 4
_REFUSED_PAUSE_S = 2.0
_PUT_BACK_SILENCE_S = 30.0
_UNCLEAR_TOLD_S = 5.0


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

    confirm_timeout_s: float = 60.0
    change_timeout_s: float = 60.0
    soft_timeout_s: float = 180.0
    poll_s: float = 0.2
    # While a state is waited for, reads become rarer, up to this.
    longest_poll_s: float = 1.0
    # Supplies and BMCs ignore a power-on that comes right after the power went off.
    off_pause_s: float = 3.0
    # A command that had no effect for so long is given again.
    again_after_s: float = 20.0
    # A BMC that was there and fell silent may be restarting, which takes minutes.
    silence_timeout_s: float = 240.0
    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def within(self, timeout_s: float) -> Pace:
        """Return a pace that uses all the time a step has, where that is longer."""
        confirm_s, change_s = max(self.confirm_timeout_s, timeout_s), max(self.change_timeout_s, timeout_s)
        return replace(self, confirm_timeout_s=confirm_s, change_timeout_s=change_s)


Back = Callable[[], None]
"""Called when a BMC answers again that had fallen silent, and before a board is switched on once more: what
was set there may be gone.
"""


def confirmed_state(
    power: Power,
    pace: Pace | None = None,
    *,
    found: PowerState | None = None,
    enough: PowerState | None = None,
    emit: Emit | None = None,
) -> PowerState:
    """Return ON or OFF as two reads in succession agree; raises LabError when they never do.

    `found` is what was read a moment ago: one read that agrees is enough. So it is where it says `enough`,
    which is for a state that nothing is done upon before it is read again.
    """
    return _Sequence("read", power, emit, pace).confirmed(found, enough)


def ensure_on(
    power: Power,
    emit: Emit,
    pace: Pace | None = None,
    *,
    found: PowerState | None = None,
    back: Back | None = None,
) -> PowerResult:
    """Bring the board on; one that is on already is left alone.

    `found` is its confirmed state where that was read just now.
    """
    sequence = _Sequence("on", power, emit, pace, back)
    if sequence.before(found) is OFF:
        sequence.switch("on", power.on, ON, repeatable=True)
    return sequence.result()


def ensure_off(power: Power, emit: Emit, pace: Pace | None = None) -> PowerResult:
    """Bring the board off at once; one that is off already is left alone."""
    sequence = _Sequence("off", power, emit, pace)
    if sequence.before() is ON:
        sequence.switch("off", power.off, OFF, repeatable=True)
    return sequence.result()


def cycle(
    power: Power,
    emit: Emit,
    pace: Pace | None = None,
    *,
    found: PowerState | None = None,
    back: Back | None = None,
) -> PowerResult:
    """Switch off, wait, switch on, each confirmed; a board that is off is switched on.

    The BMC's own cycle command is not used: between its off and on there is nothing to confirm. Where the
    sequence breaks off, a board that was on is put back on. `found` is as for `ensure_on`.
    """
    sequence = _Sequence("cycle", power, emit, pace, back)
    if sequence.before(found) is OFF:
        sequence.switch("on", power.on, ON, repeatable=True)
        return sequence.result()
    with sequence.on_again():
        sequence.switch("off", power.off, OFF, repeatable=True)
        sequence.stay_off()
        sequence.switch("on", power.on, ON, repeatable=True)
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

    def __init__(
        self, action: str, power: Power, emit: Emit | None, pace: Pace | None, back: Back | None = None
    ) -> None:
        self.pace = pace or Pace()
        self._action = action
        self._power = power
        self._emit = emit or (lambda _event: None)
        self._back = back or (lambda: None)
        self._began_s = self.pace.now()
        self._heard_s: float | None = None
        self._silent_s: float | None = None
        self._before = self._after = self._last = UNKNOWN
        self._changed = self._told_unclear = False

    def before(self, found: PowerState | None = None) -> PowerState:
        """Confirm the state before anything is done, unless it was `found` just now."""
        self._before = self._after = self._last = self.confirmed() if found is None else found
        return self._before

    def confirmed(self, found: PowerState | None = None, enough: PowerState | None = None) -> PowerState:
        """Return the steady state, whichever it is; `found` counts as a read, one of `enough` as two."""
        return self._wait(None, self.pace.confirm_timeout_s, found=found, enough=enough)

    def switch(
        self,
        name: str,
        command: Callable[[], None],
        wanted: PowerState,
        timeout_s: float | None = None,
        *,
        repeatable: bool = False,
    ) -> None:
        """Send one command and wait for its effect; one that is `repeatable` is given again without one."""
        self._tell("power.action", f"power {name}", action=name)
        self._changed = True
        order = _Order(name, command, self.pace) if repeatable else None
        try:
            command() if order is None else order.give()
        except LabError as error:
            raise self._broken_off(error) from None
        self._after = self._wait(
            wanted, self.pace.change_timeout_s if timeout_s is None else timeout_s, order
        )

    def stay_off(self) -> None:
        """Tell that the board is off, and leave it so for a moment."""
        self._tell("power.state", f"{ON} → {OFF}, confirmed", state=str(OFF))
        self.pace.sleep(self.pace.off_pause_s)

    @contextmanager
    def on_again(self) -> Iterator[None]:
        """Put a board back on that was on, where what is done inside breaks off; the error says how it is."""
        try:
            yield
        except LabError as error:
            raise type(error)(f"{error.message}; {self._put_back_on()}", hint=error.hint) from None
        except BaseException:
            self._put_back_on()
            raise

    def _put_back_on(self) -> str:
        self._tell("power.putting_back", "the board was on: seeing that it is so again")
        patience_s = min(self.pace.silence_timeout_s, _PUT_BACK_SILENCE_S)
        self.pace = replace(self.pace, silence_timeout_s=patience_s)
        try:
            left, state = "the board, which was on, is still on", ON
            if self.confirmed() is OFF:
                order = _Order("on", self._power.on, self.pace)
                order.give()
                self._wait(ON, self.pace.change_timeout_s, order)
                left = "the board, which was on, is on again"
        except LabError as error:
            left = f"the board was on, and may be off now: {error.message}"
            state = UNKNOWN
        self._tell("power.left", left, state=str(state))
        return left

    def result(self) -> PowerResult:
        """Return what was done, and tell it."""
        seconds = self.pace.now() - self._began_s
        result = PowerResult(self._action, self._before, self._after, self._changed, seconds)
        self._tell("power.state", str(result), state=str(self._after))
        return result

    def _tell(self, kind: str, text: str, **data: Any) -> None:
        self._emit(Event("power", kind, text, data, self.pace.now()))

    def _wait(
        self,
        wanted: PowerState | None,
        timeout_s: float,
        order: _Order | None = None,
        found: PowerState | None = None,
        enough: PowerState | None = None,
    ) -> PowerState:
        began_s, poll_s = self.pace.now(), self.pace.poll_s
        deadline = began_s + timeout_s
        seen = [] if found is None else [found]
        while True:
            fault = self._read(seen)
            self._tell_wait(began_s, timeout_s, fault if self._silent_s is None else None)
            last = seen[-1]
            if enough is not None and last is enough:
                return last
            steady = len(seen) > 1 and seen[-2] is last and last is not UNKNOWN
            if steady and wanted in (None, last):
                return last
            now_s = self.pace.now()
            if self._silent_s is not None:
                deadline = max(deadline, self._silent_s + self.pace.silence_timeout_s)
            # A person, or a slow switch, may have taken all the time for one answer; one confirms nothing.
            if len(seen) > 1 and now_s >= deadline:
                why = (order.refused if order is not None else None) or fault
                raise self._no_change(wanted, seen, timeout_s) if why is None else self._broken_off(why)
            if order is not None and steady and order.is_due(now_s):
                self._give_again(order, last)
                deadline = max(deadline, self.pace.now() + self.pace.again_after_s)
                poll_s = self.pace.poll_s
            self.pace.sleep(poll_s)
            poll_s = min(poll_s * _POLL_GROWTH, max(self.pace.longest_poll_s, self.pace.poll_s))

    def _read(self, seen: list[PowerState]) -> LabError | None:
        """Add one read to `seen`; return why it told nothing, where it did not."""
        try:
            seen.append(self._power.state())
        except (BmcBusyError, UnclearStateError) as error:  # an answer, if none that helps
            seen.append(UNKNOWN)
            self._heard()
            return error
        except BmcTimeoutError as error:
            if self._heard_s is None:
                raise  # nobody has ever been there: more of the same silence tells nothing new
            seen.append(UNKNOWN)
            self._not_heard()
            return error
        except LabError as error:
            raise self._broken_off(error) from None
        if seen[-1] is not UNKNOWN:
            self._last = seen[-1]
        self._heard()
        return None

    def _tell_wait(self, began_s: float, timeout_s: float, fault: LabError | None) -> None:
        """Tell, once, of a BMC that answers and tells nothing of the power."""
        if fault is None or self._told_unclear or self.pace.now() - began_s < _UNCLEAR_TOLD_S:
            return
        self._told_unclear = True
        self._tell("power.unclear", f"{fault.message}: asking on, up to {timeout_s:.0f} s")

    def _heard(self) -> None:
        now_s = self._heard_s = self.pace.now()
        if self._silent_s is not None:
            silent_s, self._silent_s = now_s - self._silent_s, None
            self._tell("bmc.back", f"{self._power.describe()} answers again after {silent_s:.0f} s")
            self._back()

    def _not_heard(self) -> None:
        if self._silent_s is None:
            self._silent_s = self._heard_s
            minutes = f"{self.pace.silence_timeout_s / 60:.0f} min"
            who = self._power.describe()
            self._tell("bmc.silent", f"{who} does not answer any more: waiting for it, up to {minutes}")

    def _give_again(self, order: _Order, state: PowerState) -> None:
        self._tell("power.again", f"still {state}: asking for power {order.name} again", action=order.name)
        if order.name == str(ON):
            # It may have been on for a moment, and has then used up what was set for one boot.
            self._back()
        try:
            order.give()
        except LabError as error:
            raise self._broken_off(error) from None

    def _broken_off(self, error: LabError) -> LabError:
        """Return the error that also says how the board is left, where it was acted on."""
        if not self._changed:
            return error
        known = "is not known" if self._last is UNKNOWN else f"was {self._last} when last seen"
        text = f"{error.message}; power {self._action} had been asked for, and the board's power {known}"
        return type(error)(text, hint=error.hint)

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
        why = self._power.trouble()
        return PowerStuckError(
            f"{who} accepted the command and the board is still {seen[-1]} after {timeout_s:.0f} s"
            + ("" if why is None else f": {why}"),
            hint="look at the board's power LED: is it as the BMC says? Check mains power and front-panel "
            "button; a BMC that ignores commands needs its own reset",
        )


class _Order:
    """A command that may be given again: `refused` is why the last time it was not taken, if so."""

    def __init__(self, name: str, command: Callable[[], None], pace: Pace) -> None:
        self.name = name
        self.refused: LabError | None = None
        self._command = command
        self._pace = pace
        self._refusals = 0
        self._due_s = 0.0

    def give(self) -> None:
        """Give it; raises LabError when it was refused for good."""
        self.refused = None
        wait_s = self._pace.again_after_s
        try:
            self._command()
        except _PERHAPS_DONE as error:
            self._refusals += 1
            if self._refusals > _REFUSALS_MAX:
                raise
            # It may have been carried out all the same: what the board does next tells.
            self.refused, wait_s = error, _REFUSED_PAUSE_S
        self._due_s = self._pace.now() + wait_s

    def is_due(self, now_s: float) -> bool:
        """Return whether it had long enough to show an effect."""
        return now_s >= self._due_s
