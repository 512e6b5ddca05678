"""The watch: one clock for BMC, DHCP, TFTP, HTTP and console, until the evidence is enough for a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bringup.base.errors import BmcTimeoutError, LabError
from bringup.boot.plan import PlannedStep, StageLimit
from bringup.boot.step import Step
from bringup.boot.verdict import Verdict
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
            run.verdict = self._watched(run)

    def _watched(self, run: Run) -> Verdict:
        """Wait for the verdict; one that is no success is thought over once with what the BMC has logged."""
        try:
            verdict = run.watch()
        except BmcTimeoutError:
            raise
        except LabError:
            _read_log(run)
            raise
        if verdict.kind == "ok" or not _read_log(run):
            return verdict
        return run.watch()


def _read_log(run: Run) -> bool:
    """Tell what the board's own log says of this boot; return whether it could be read."""
    log = run.drivers.log
    logged = log.since_mark() if log is not None and run.place.exists() else None
    if logged is None:
        return False
    text = "; ".join(each.text for each in logged) or "nothing that explains a fault"
    entries = [{"kind": each.kind, "text": each.text} for each in logged]
    run.emit("power", "bmc.log", f"the BMC's event log since power-on: {text}", entries=entries)
    return True
