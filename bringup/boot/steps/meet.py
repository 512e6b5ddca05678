"""A real board before anything is done to it: is it the one that is meant, and may it be restarted?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.errors import LabError
from bringup.boot.plan import PlannedStep
from bringup.boot.step import Step
from bringup.lab.inventory import Board
from bringup.power.actions import confirmed_state
from bringup.power.base import PowerState
from bringup.power.identity import check_board

if TYPE_CHECKING:
    from bringup.boot.engine import Run


class KnowBoard(Step):
    """Compares what the board's BMC calls itself with what it did at first."""

    planned = PlannedStep("identity", "see that the BMC is the one that this board had before", 0.2, 30.0)

    def __init__(self, board: Board) -> None:
        self._board = board

    def enter(self, run: Run) -> None:
        """Compare; the first time it is remembered."""
        check_board(self._board, run.drivers, run.take)


class MayRestart(Step):
    """Asks before a board that is on is restarted: whatever it runs would be cut off."""

    planned = PlannedStep(
        "running", "see whether the board is on; one that is on is not restarted unasked", 0.3, 30.0
    )

    def enter(self, run: Run) -> None:
        """Read the power, and ask about a board that is on; off is read again before a switch."""
        off = PowerState.OFF
        run.standing.found = confirmed_state(run.drivers.power, run.equipment.pace, enough=off)
        if run.standing.found is not PowerState.ON:
            return
        board, person = run.plan.board, run.equipment.person
        question = f"{board} is on, and to boot it cuts off whatever it runs. Restart it?"
        refusal = LabError(
            f"{board} is on, and to boot it has to be restarted; it was left as it is",
            hint="--restart where that is no harm to what it runs",
        )
        if person is None:
            raise refusal
        run.emit("power", "power.ask", question)
        try:
            answer = person.choose(question, ("yes", "no"))
        except LabError:
            raise refusal from None
        if answer != "yes":
            raise refusal
        run.emit("power", "power.found", "on; restarted with the person's consent", state=str(PowerState.ON))
