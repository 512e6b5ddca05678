"""How a board's power was found, and putting it back so: a capture leaves the board as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bringup.base.errors import BringupError, LabError, NotOfferedError
from bringup.boot.plan import PlannedStep
from bringup.boot.step import Step
from bringup.power.actions import confirmed_state, cycle, ensure_off, ensure_on, reset
from bringup.power.base import PowerState

if TYPE_CHECKING:
    from bringup.boot.engine import Run

_RESTORE = "leave the board as it was found: off, or reset into its usual system where it was on"
_HAND_OVER = f"leave the board to the next probe; where it could not even load this one, {_RESTORE}"


@dataclass(slots=True)
class FoundPower:
    """What the runs of one capture know of the board they found; None is not known, or nothing to tell.

    `not_restored` says why the board could not be left as it was found.
    """

    running: bool | None = None
    not_restored: str | None = None


class KeepPower(Step):
    """Sees whether the board is on before anything is done to it, and leaves it so.

    Raises LabError for a board that is on, unless `may_restart`: whatever it runs would be cut off. `stays`
    says afterwards whether another probe of the same capture takes the board over as it is.
    """

    planned = PlannedStep("found", "see whether the board is on, so that it can be left so", 0.3, 30.0)

    def __init__(
        self, found: FoundPower, *, may_restart: bool, last: bool, stays: Callable[[Run], bool]
    ) -> None:
        self._found = found
        self._may_restart = may_restart
        self._stays = stays
        self.leaving = PlannedStep("restore", _RESTORE if last else _HAND_OVER, 1.0, 60.0)

    def enter(self, run: Run) -> None:
        """Read the power, unless the probe before has."""
        found = self._found
        if found.running is not None:
            return
        power = run.drivers.power
        found.running = confirmed_state(power, run.equipment.pace) is PowerState.ON
        if found.running and not self._may_restart:
            found.running = None
            raise LabError(
                f"{run.plan.board} is on, and for a capture it has to be restarted",
                hint="--restart where that is no harm; else run the script of --collector on it",
            )
        state = PowerState.ON if found.running else PowerState.OFF
        then = "reset into its usual system afterwards" if found.running else "switched off again afterwards"
        run.emit("power", "power.found", f"{state}; {then}", state=str(state))

    def leave(self, run: Run) -> None:
        """Switch off what was off, reset what was on."""
        standing = run.standing
        if self._found.running is None or standing.power is None or standing.ends_twin or self._stays(run):
            return
        try:
            self._put_back(run)
        except BringupError as error:
            self._found.not_restored = error.message
            run.emit("power", "power.left", f"could not leave the board as it was found: {error.message}")

    def _put_back(self, run: Run) -> None:
        power, pace = run.drivers.power, run.equipment.pace
        if not self._found.running:
            ensure_off(power, run.take, pace)
            return
        if confirmed_state(power, pace) is PowerState.OFF:
            ensure_on(power, run.take, pace)
            return
        try:
            reset(power, run.take, pace)
        except NotOfferedError:
            cycle(power, run.take, pace)
