"""Boots the probes on a board and keeps what they saw as one of its captures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.errors import FAULTS, BringupError, InterruptedRunError, LabError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.job import Finished, Job
from bringup.boot.preflight import Prepared, prepare
from bringup.boot.request import BootRequest
from bringup.boot.session import Session
from bringup.boot.steps.twin import StartTwin
from bringup.boot.stop import Stop
from bringup.boot.which_twin import not_a_twin, settle_twin
from bringup.jobs.boot import Display, boot_steps, run_job
from bringup.jobs.capture.power import FoundPower, KeepPower
from bringup.jobs.capture.probes import BOTH, PROBES, Probe, ProbeName
from bringup.lab import captures
from bringup.lab.inventory import Board, Lab
from bringup.pci.capture.open import open_capture
from bringup.pci.model import Machine, Missing
from bringup.power.base import OverridePolicy, Person
from bringup.power.open import has_override
from bringup.twin.engines import USUAL, TwinSetup

if TYPE_CHECKING:
    from bringup.boot.engine import Run


@dataclass(frozen=True, slots=True)
class CaptureRequest:
    """What a person asked for. `restart` allows to restart a real board that is on.

    `override` says whether the boot override has to be read back, None leaves it to the profile. `twin` says
    how a twin is started that is not up.
    """

    probes: Sequence[ProbeName] = BOTH
    firmware: Firmware | None = None
    restart: bool = False
    steal: bool = False
    keep_twin: bool = False
    override: OverridePolicy | None = None
    twin: TwinSetup = USUAL


@dataclass(frozen=True, slots=True)
class OnBoard:
    """What probing a board brought: its capture, and why a probe brought nothing or not all, if so."""

    path: Path
    failed: Mapping[ProbeName, BringupError]

    def machine(self) -> Machine:
        """Return what was seen; a probe that failed is among what is missing of it."""
        machine = open_capture([self.path])
        missing = [Missing(PROBES[name].title, error.message) for name, error in self.failed.items()]
        return replace(machine, missing=(*machine.missing, *missing))


@dataclass(frozen=True)
class PlannedCapture:
    """Probes that may boot, and `failed` for those that may not."""

    lab: Lab
    board: Board
    request: CaptureRequest
    jobs: Mapping[ProbeName, Job]
    found: FoundPower
    failed: Mapping[ProbeName, BringupError]

    def run(
        self, display: Display | None = None, person: Person | None = None, stop: Stop | None = None
    ) -> OnBoard:
        """Boot the probes; the board is left as it was found: power state, boot override, disks.

        Raises BmcBusyError when somebody holds the board, the last probe's failure when none came through,
        and LabError when the board could not be left as it was.
        """
        keep_twin = self.request.keep_twin
        with Session(
            self.board, "probe", keep_twin=keep_twin, twin=self.request.twin, person=person, stop=stop
        ) as session:
            return self.run_in(session, display)

    def run_in(self, session: Session, display: Display | None = None) -> OnBoard:
        """Boot the probes on a board that is ours already."""
        return self.keep(self.boot_all(partial(run_job, self.lab, session, display=display)))

    def boot_all(self, boot: Callable[[Job], Finished]) -> dict[ProbeName, Finished]:
        """Boot one after the other, as long as the one before was at least loaded over the network."""
        ends: dict[ProbeName, Finished] = {}
        for name, job in self.jobs.items():
            ends[name] = boot(job)
            if not _was_loaded(ends[name]):
                break
        return ends

    def keep(self, ends: Mapping[ProbeName, Finished]) -> OnBoard:
        """Add what came to the board's captures; raises the failure when nothing came whole."""
        failed = dict(self.failed)
        failed |= {name: error for name, end in ends.items() if (error := failure_of(end)) is not None}
        path = _keep(self.board.name, ends, failed)
        if self.found.not_restored is not None:
            raise LabError(
                f"the capture is kept, but {self.board.name} could not be left as it was: "
                f"{self.found.not_restored}",
                hint=f"bringup power {self.board.name} status; the capture: {path}",
            )
        return OnBoard(path, failed)


def plan_capture(
    lab: Lab,
    board_name: str,
    request: CaptureRequest | None = None,
    *,
    probes: Mapping[ProbeName, Probe] = PROBES,
) -> PlannedCapture:
    """Return the boots of the probes that may begin; raises BringupError when none may."""
    request = request or CaptureRequest()
    board = lab.board(board_name)  # a name that is wrong says so before a ramdisk is made for it
    if request.twin.asks and not board.twin:
        raise not_a_twin(board.name)
    board, setup = settle_twin(board, request.twin)
    request = replace(request, twin=setup)
    failed: dict[ProbeName, BringupError] = {}
    ready: dict[ProbeName, Prepared] = {}
    boot = BootRequest(
        firmware=request.firmware,
        until=Stage.CAPTURE,
        steal=request.steal,
        keep_twin=request.keep_twin,
        override=request.override,
        twin=setup,
    )
    for name in request.probes:
        try:
            probe = probes[name]
            ready[name] = prepare(board, probe.image(), boot, probe.errand)
        except BringupError as error:
            failed[name] = error
    if not ready:
        raise next(iter(failed.values()))
    found = FoundPower()
    jobs = {
        name: _job(prepared, probes[name], found, request, last=name == list(ready)[-1])
        for name, prepared in ready.items()
    }
    return PlannedCapture(lab, board, request, jobs, found, failed)


def _job(prepared: Prepared, probe: Probe, found: FoundPower, request: CaptureRequest, *, last: bool) -> Job:
    board = prepared.board

    def stays(run: Run) -> bool:
        return not last and not run.interrupted and _loaded([str(s.stage) for s in run.progress.stages])

    steps = boot_steps(
        prepared,
        partial(probe.spec, prepared),
        overridden=has_override(board),
        readers=[probe.reader],
        twin=StartTwin(keep=request.keep_twin, setup=request.twin, stays=stays),
        before=[KeepPower(found, may_restart=board.twin or request.restart, last=last, stays=stays)],
    )
    return Job.of(prepared, steps, work="probe")


def _was_loaded(end: Finished) -> bool:
    return end.verdict["verdict"] != InterruptedRunError.fault and _loaded(
        [stage["name"] for stage in end.verdict["stages"]]
    )


def _loaded(stages: Sequence[str]) -> bool:
    """Return whether the way over the network is good: what comes next to it is the image's own doing."""
    return any(Stage(name) >= Stage.KERNEL_IMAGE for name in stages)


def failure_of(end: Finished) -> BringupError | None:
    """Return why a probe did not come through, with the first thing to do."""
    if end.ok:
        return None
    verdict = end.verdict
    kind = FAULTS.get(verdict["verdict"], BringupError)
    fixes = [item["fix"] for item in verdict["causes"]][:1]
    if _has_part(end):
        fixes.append(f"what came: bringup probe-pci --from {end.folder / 'console.log'}")
    return kind(verdict["cause"], hint="; ".join([*fixes, f"bringup runs show {verdict['run']}"]))


def _has_part(end: Finished) -> bool:
    """Return whether a probe failed and some of its report came."""
    return str(end.verdict["code"]) == "report-incomplete"


def _keep(board: str, ends: Mapping[ProbeName, Finished], failed: Mapping[ProbeName, BringupError]) -> Path:
    last = failure_of(list(ends.values())[-1])
    if isinstance(last, InterruptedRunError) or not any(end.ok for end in ends.values()):
        raise _all_failed(list(failed.values()))
    views = {
        PROBES[name].view: end.folder / PROBES[name].source
        for name, end in ends.items()
        if end.ok or (PROBES[name].part_counts and _has_part(end))
    }
    if list(views) == [PROBES["linux"].view]:
        return captures.add(board, views[PROBES["linux"].view])
    return captures.add_together(board, views)


def _all_failed(errors: Sequence[BringupError]) -> BringupError:
    """Return the last failure, which says too what was before it."""
    *before, last = errors
    if not before or isinstance(last, InterruptedRunError):
        return last
    told = "; ".join(error.message for error in before)
    return type(last)(f"{last.message}; and before that: {told}", hint=last.hint)
