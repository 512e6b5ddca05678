"""Power: acted on only from a known state, and confirmed afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bringup.base.errors import LabError
from bringup.base.events import Emit, Event
from bringup.boot.plan import PlannedStep, StageLimit
from bringup.boot.step import Step
from bringup.power.actions import confirmed_state, cycle, ensure_on
from bringup.power.base import PowerState

if TYPE_CHECKING:
    from bringup.boot.engine import Run


class SwitchOn(Step):
    """Starts the board anew. `back` is called when its BMC answers again that had fallen silent."""

    def __init__(self, limit: StageLimit, *, back: Callable[[Run], None]) -> None:
        title = "power to a confirmed on (a running board is switched off first)"
        self.planned = PlannedStep("power", title, limit.expected_s, limit.timeout_s)
        self._back = back

    def enter(self, run: Run) -> None:
        """Switch on what is off, off and on what is on."""
        power = run.drivers.power
        pace = run.equipment.pace.within(self.planned.timeout_s)
        before = run.standing.found
        found = confirmed_state(power, pace, found=before)
        if before is PowerState.OFF and found is PowerState.ON:
            raise LabError(
                f"{run.plan.board} read off a moment ago and is on now: somebody else works with it, "
                "or its BMC told wrong",
                hint="ask who else does; --restart restarts it all the same",
            )
        act = cycle if found is PowerState.ON else ensure_on
        act(power, _marking(run), pace, found=found, back=lambda: self._back(run))


def _marking(run: Run) -> Emit:
    """Return what tells, and marks the end of the BMC's log right before power-on.

    Rails that fall when a board is switched off are entries, too, and none of this boot.
    """
    log = run.drivers.log

    def tell(event: Event) -> None:
        run.take(event)
        if log is not None and event.kind == "power.action" and event.data.get("action") == "on":
            log.mark()

    return tell
