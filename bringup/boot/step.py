"""A step of a job: what people read of it, what it does, and what it leaves behind.

The plan of a job is its list of steps; a dry run prints them and the engine executes them, so both say the
same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bringup.boot.engine import Run


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What people read of a step: `name` is its key in events, times are in seconds."""

    name: str
    title: str
    expected_s: float
    timeout_s: float
    detail: Mapping[str, Any] = field(default_factory=dict)


class Step:
    """One step. `planned` is told when it is entered, `leaving` when it is left, where that is an act of its
    own.

    Whatever was begun to enter is left again, in reverse order, however the job goes: `leave` meets what
    `enter` did not finish.
    """

    planned: PlannedStep
    leaving: PlannedStep | None = None

    def enter(self, run: Run) -> None:
        """Do the step; raises BringupError when it cannot be done."""
        raise NotImplementedError

    def leave(self, run: Run) -> None:
        """Put back what the step did; raises BringupError when that fails."""


def planned_steps(steps: Sequence[Step]) -> tuple[PlannedStep, ...]:
    """Return what a job will do, in order: its steps, then what is put back."""
    put_back = (step.leaving for step in reversed(steps))
    return (*(step.planned for step in steps), *(leaving for leaving in put_back if leaving is not None))
