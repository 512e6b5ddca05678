"""One step of a job: what people read of it, what it does, what it puts back. A job is a list of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bringup.boot.plan import PlannedStep

if TYPE_CHECKING:
    from bringup.boot.engine import Run


class Step(ABC):
    """One step. `planned` is told when it is entered, `leaving` when it is left, where that is an act of its
    own.

    Whatever was begun to enter is left again, in reverse order, however the job goes: `leave` meets what
    `enter` did not finish.
    """

    planned: PlannedStep
    leaving: PlannedStep | None = None

    def ahead(self, run: Run) -> None:  # noqa: B027  # most steps have nothing of the kind
        """Begin, before the first step, what takes time and touches neither board nor network.

        What it opens is given to `run.opened`, which is closed whether the step is entered or not.
        """

    @abstractmethod
    def enter(self, run: Run) -> None:
        """Do the step; raises BringupError when it cannot be done."""

    def leave(self, run: Run) -> None:  # noqa: B027  # many steps have nothing to put back
        """Put back what the step did; raises BringupError when that fails."""


def planned_steps(steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
    """Return what a job will do, in order: its steps, then what is put back."""
    put_back = (step.leaving for step in reversed(steps))
    return (*(step.planned for step in steps), *(leaving for leaving in put_back if leaving is not None))
