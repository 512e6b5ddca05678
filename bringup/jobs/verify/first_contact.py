"""First contact: both probes are booted, the BMC is asked, and each fact of the profile is judged by that."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.errors import LabError
from bringup.base.events import Emit
from bringup.base.version import __version__
from bringup.base.whole_file import write_whole
from bringup.boot.folders import RunFolder
from bringup.boot.plan import PlannedStep
from bringup.boot.session import Session
from bringup.jobs.boot import Display, run_job
from bringup.jobs.capture.job import CaptureRequest, plan_capture
from bringup.jobs.doctor.bmc import Bmc
from bringup.jobs.doctor.job import bmc_of
from bringup.jobs.verify.believed import compared_profile
from bringup.jobs.verify.record import Record, Verified
from bringup.jobs.verify.recorder import Recorder
from bringup.lab.inventory import Board, Lab
from bringup.power.base import Person
from bringup.profile.unit import unit_toml
from bringup.verify.hardware.bmc import ask_bmc
from bringup.verify.hardware.facts import Asked, expanded, judge
from bringup.verify.hardware.measure import measure
from bringup.verify.hardware.seen import BmcSeen, BootSeen, Seen
from bringup.verify.hardware.unit import another_board, unit_file, upstream_page
from bringup.verify.plan import Check, VerifyPlan, chosen
from bringup.verify.result import Result
from bringup.verify.runner import Checked

if TYPE_CHECKING:
    from bringup.boot.job import Finished

UNIT_FILE = "unit.toml"
PAGE = "first-contact.md"
_EXPECTED_S, _LONGEST_S = 600.0, 1800.0


@dataclass(frozen=True, slots=True)
class FirstContactRequest:
    """What a person asked for; `profile` is the one to compare with, None for the board's."""

    profile: str | None = None
    only: Sequence[str] = ()
    capture: CaptureRequest = field(default_factory=CaptureRequest)


class FirstContact:
    """First contact with one board: make it, call `execute` once. Raises BringupError for what forbids it."""

    def __init__(
        self,
        lab: Lab,
        board_name: str,
        plan: VerifyPlan,
        request: FirstContactRequest,
        listeners: Sequence[Emit] = (),
    ) -> None:
        board = lab.board(board_name)
        self.lab, self.board, self.request = lab, board, request
        self.profile = compared_profile(lab, board, request.profile)
        self.plan, self.facts = expanded(plan, self.profile)
        self.checks = chosen(self.plan, request.only)
        self.capture = plan_capture(lab, board_name, request.capture)
        self._listeners = listeners
        self._record = Record(board_name, self.plan, self.checks)

    @property
    def compares_own(self) -> bool:
        """Whether the profile is the board's own, so that what is measured may outrank it."""
        return not self.board.twin and self.profile.name == self.board.profile.name

    def execute(self, display: Display | None = None, person: Person | None = None) -> Verified:
        """Boot the probes, ask the BMC, judge every fact, and keep what was measured."""
        twin, keep = self.capture.request.twin, self.request.capture.keep_twin
        with Session(self.board, "verify", keep_twin=keep, twin=twin, person=person) as session:
            folder = session.run_folder(self.lab)
            recorder = Recorder(
                self._record,
                folder,
                self._listeners,
                engine="twin" if self.board.twin else "board",
                profile=self.profile.name,
            )
            left = "interrupted; the board is left as the last probe's run says"
            with recorder.running(self._steps(), left):
                seen = self._look(session, recorder, display)
                recorder.check_all(judging(self.facts, seen), self.request.only)
                recorder.facts.update(self._keep(recorder.ended, folder))
                return recorder.end()

    def _look(self, session: Session, recorder: Recorder, display: Display | None) -> Seen:
        with recorder.step("probes", "boot both probes") as found:
            ends = self.capture.boot_all(partial(run_job, self.lab, session, display=display))
            kept = self.capture.keep(ends)
            found["capture"] = str(kept.path)
        session.reach(recorder.emit)  # a twin went with its last boot, and its BMC with it
        bmc, why = ask_board(self.board)
        boots = tuple(_boot_seen(end) for end in ends.values())
        return Seen(kept.machine(), bmc, boots, self.board.twin, {} if bmc else {"bmc": why})

    def _keep(self, checked: Sequence[Checked], folder: RunFolder) -> dict[str, str]:
        """Write the page and the unit's facts; beside the lab file only what is of this board's own model."""
        day = time.strftime("%Y-%m-%d", time.gmtime(self._record.started_s))
        text = unit_toml(unit_file(self.board.name, self.profile.name, checked, day)).encode()
        page = upstream_page(self.profile.title, self.profile.name, checked, day, __version__)
        write_whole(folder.path / UNIT_FILE, text)
        write_whole(folder.path / PAGE, page.encode())
        kept = {"page": str(folder.path / PAGE), "unit_file": str(folder.path / UNIT_FILE)}
        other = another_board(checked)
        target = self.board.unit_file
        if target is None or not self.compares_own:
            kept["not_kept"] = (
                "it is the lab's only where a board of a lab file is compared with its own profile"
            )
        elif other:
            kept["not_kept"] = f"the board is of another model: {other}"
        elif self.request.only:
            kept["not_kept"] = "only some facts were looked at"
        else:
            _make_folder(target.parent)
            write_whole(target, text)
            kept["unit_file"] = str(target)
        return kept

    def _steps(self) -> list[PlannedStep]:
        probes = PlannedStep("probes", "boot both probes", _EXPECTED_S, _LONGEST_S)
        return [probes, *(PlannedStep(check.id, check.purpose, 0.1, 10.0) for check in self.checks)]


def ask_board(board: Board) -> tuple[BmcSeen | None, str]:
    """Return what a board's BMC tells, else None and why nobody asked; as doctor reaches it."""
    looked = bmc_of(board)
    if not isinstance(looked, Bmc):
        return None, looked.checks[0].run().message
    with closing(looked.client):
        try:
            return ask_bmc(looked.client, looked.override), ""
        except LabError as error:
            return None, error.message


def judging(facts: Mapping[str, Asked], seen: Seen) -> Callable[[Check], Result]:
    """Return what says of each check of facts how it ends by what was seen."""

    def make(check: Check) -> Result:
        asked = facts[check.id]
        return judge(asked, measure(check.probe, asked, seen))

    return make


def _boot_seen(end: Finished) -> BootSeen:
    plan = RunFolder(end.folder).read_json("plan.json") or {}
    override = next((step for step in plan.get("steps", ()) if step.get("name") == "override"), None)
    stages = {each["name"]: each["at_s"] for each in end.verdict["stages"] if each["at_s"] is not None}
    verified = bool(override and (override.get("detail") or {}).get("verified"))
    return BootSeen(end.folder.name, str(plan.get("firmware")), stages, override is not None, verified)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(
            f"cannot make {folder}: {error.strerror}", hint="the facts are in the run's folder"
        ) from None
