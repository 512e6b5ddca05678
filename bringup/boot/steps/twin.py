"""The twin: started where it is not up, ended with the job that started it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from bringup.boot.plan import PlannedStep
from bringup.boot.step import Step
from bringup.twin.engines import USUAL, TwinSetup

if TYPE_CHECKING:
    from bringup.boot.engine import Run


class StartTwin(Step):
    """Makes the twin reachable. `stays` says afterwards whether it is needed by what follows this run."""

    def __init__(
        self,
        *,
        keep: bool,
        setup: TwinSetup = USUAL,
        stays: Callable[[Run], bool] = lambda _run: False,
    ) -> None:
        chosen = setup.chosen
        detail = {
            "engine": chosen.engine.title,
            "why": chosen.why,
            "memory_mib": setup.memory,
            **({"unproven": chosen.engine.limits} if chosen.engine.limits else {}),
            **({"faults": list(setup.faults), "seed": setup.seed} if setup.faults else {}),
        }
        self.planned = PlannedStep("twin", "start the twin if it is not up", 0.5, 20.0, detail)
        self._stays = stays
        if not keep:
            self.leaving = PlannedStep("end-twin", "end the twin if this job started it", 0.2, 20.0)

    def enter(self, run: Run) -> None:
        """Start it."""
        _ = run.place

    def leave(self, run: Run) -> None:
        """End it."""
        if not self._stays(run):
            run.equipment.part()
