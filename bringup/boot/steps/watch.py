"""The watch: one clock for BMC, DHCP, TFTP, HTTP and console, until the evidence is enough for a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bringup.boot.plan import PlannedStep, StageLimit
from bringup.boot.step import Step
from bringup.power.watch import EVERY_S, PowerWatch

if TYPE_CHECKING:
    from bringup.boot.engine import Run


class Watch(Step):
    """Waits for the verdict. `spacing_s` is the least time between two questions to the board's BMC.

    `back` is called when its BMC answers again that had fallen silent.
    """

    def __init__(
        self,
        until: str,
        limits: Sequence[StageLimit],
        *,
        vms: int | None,
        spacing_s: float,
        back: Callable[[Run], None],
    ) -> None:
        self.planned = PlannedStep(
            "watch",
            f"watch BMC, DHCP, TFTP, HTTP and console until {until}",
            sum(limit.expected_s for limit in limits),
            sum(limit.timeout_s for limit in limits),
            {} if vms is None else {"vms": vms},
        )
        self._every_s = max(EVERY_S, spacing_s)
        self._back = back

    def enter(self, run: Run) -> None:
        """Watch."""
        place, power = run.place, run.drivers.power
        board, every_s = run.plan.board, self._every_s
        watch = PowerWatch(
            power,
            board,
            run.abort,
            every_s=every_s,
            exists=place.exists,
            clock=run.clock,
            emit=run.take,
            back=lambda: self._back(run),
            acted=run.acted,
        )
        with watch:
            run.verdict = run.watch()
