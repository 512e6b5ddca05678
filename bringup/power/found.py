"""How a board's power was found, and putting it back so."""

from __future__ import annotations

from bringup.base.errors import BringupError, LabError
from bringup.base.events import Emit, Event
from bringup.power.actions import Pace, confirmed_state, ensure_off, ensure_on, reset
from bringup.power.base import Power, PowerState


class FoundPower:
    """The confirmed state of a board before it is used; making it raises LabError when there is none.

    `running` is how it was found by whoever used it just before, None when it was not used.
    """

    def __init__(self, power: Power, emit: Emit, pace: Pace, running: bool | None = None) -> None:
        self._power = power
        self._emit = emit
        self._pace = pace
        self.running = confirmed_state(power, pace) is PowerState.ON if running is None else running

    def require_off(self, board: str) -> None:
        """Raise LabError when the board runs: whatever it runs would be cut off."""
        if self.running:
            raise LabError(
                f"{board} is on, and for a capture it has to be restarted",
                hint="--restart where that is no harm; else run the script of --collector on it",
            )

    def tell(self) -> None:
        """Tell how the board was found and what will be done about it."""
        state = PowerState.ON if self.running else PowerState.OFF
        then = "reset into its usual system afterwards" if self.running else "switched off again afterwards"
        self._emit(Event("power", "power.found", f"{state}; {then}", {"state": str(state)}))

    def put_back(self) -> str | None:
        """Switch off what was off, reset what was on; return why that failed, None when it did not."""
        try:
            if not self.running:
                ensure_off(self._power, self._emit, self._pace)
            elif confirmed_state(self._power, self._pace) is PowerState.ON:
                reset(self._power, self._emit, self._pace)
            else:
                ensure_on(self._power, self._emit, self._pace)
        except BringupError as error:
            text = f"could not leave the board as it was found: {error.message}"
            self._emit(Event("power", "power.left", text))
            return error.message
        return None
