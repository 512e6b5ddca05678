"""Power: acted on only from a known state, and confirmed afterwards."""

from __future__ import annotations

from bringup.boot.engine import Run, Step
from bringup.boot.plan import PlannedStep, StageLimit
from bringup.power.actions import confirmed_state, cycle, ensure_on
from bringup.power.base import PowerState


class SwitchOn(Step):
    """Starts the board anew."""

    def __init__(self, limit: StageLimit) -> None:
        title = "power to a confirmed on (a running board is switched off first)"
        self.planned = PlannedStep("power", title, limit.expected_s, limit.timeout_s)

    def enter(self, run: Run) -> None:
        """Switch on what is off, off and on what is on."""
        power, pace = run.drivers.power, run.equipment.pace
        act = cycle if confirmed_state(power, pace) is PowerState.ON else ensure_on
        act(power, run.take, pace)
