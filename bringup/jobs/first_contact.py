"""First contact: both probes are booted, the BMC is asked, and each fact of the profile is judged by that."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import BringupError, InterruptedRunError, LabError
from bringup.base.events import Emit, Event
from bringup.base.version import __version__
from bringup.base.whole_file import write_whole
from bringup.boot.folders import EventLog, RunFolder
from bringup.boot.plan import PlannedStep
from bringup.boot.session import Session
from bringup.jobs.boot import Display, run_job
from bringup.jobs.capture.job import CaptureRequest, plan_capture
from bringup.jobs.doctor.bmc import Bmc
from bringup.jobs.doctor.job import bmc_of
from bringup.jobs.verify import Verified
from bringup.jobs.verify_record import STATES, Record, verdict_of
from bringup.lab.inventory import Board, Lab
from bringup.power.base import Person
from bringup.profile.files import find_profile, merged, read_chain
from bringup.profile.load import load_profile
from bringup.profile.unit import unit_toml
from bringup.verify.hardware.bmc import ask_bmc
from bringup.verify.hardware.facts import Asked, expanded, judge
from bringup.verify.hardware.measure import measure
from bringup.verify.hardware.seen import BmcSeen, BootSeen, Seen
from bringup.verify.hardware.unit import another_board, unit_file, upstream_page
from bringup.verify.plan import Check, VerifyPlan, chosen
from bringup.verify.result import Result
from bringup.verify.runner import Checked, run_checks

if TYPE_CHECKING:
    from bringup.boot.job import Finished
    from bringup.profile.model import Profile

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
        self._listeners = list(listeners)
        self.record = Record(board_name, self.plan, self.checks)

    @property
    def compares_own(self) -> bool:
        """Whether the profile is the board's own, so that what is measured may outrank it."""
        return not self.board.twin and self.profile.name == self.board.profile.name

    def execute(self, display: Display | None = None, person: Person | None = None) -> Verified:
        """Boot the probes, ask the BMC, judge every fact, and keep what was measured."""
        twin = self.capture.request.twin
        keep = self.request.capture.keep_twin
        with Session(self.board, "verify", keep_twin=keep, twin=twin, person=person) as session:
            folder = session.run_folder(self.lab)
            folder.write_json("plan.json", self.record.plan_json(self._steps()))
            log = EventLog(folder, self.record.origin_s)
            self._listeners.insert(0, log)
            try:
                self._tell("run.begin", f"{folder.run_id} on {self.board.name}", run=folder.run_id)
                seen = self._look(session, display)
                return self._judged(seen, folder)
            except KeyboardInterrupt:
                error = InterruptedRunError("interrupted; the board is left as the last probe's run says")
                self._told(folder, *_ended(error), {})
                raise error from None
            except BringupError as error:
                self._told(folder, *_ended(error), {})
                raise
            finally:
                log.close()

    def _look(self, session: Session, display: Display | None) -> Seen:
        self._tell("run.step", "boot both probes", step="probes", state="begin")
        ends = self.capture.boot_all(partial(run_job, self.lab, session, display=display))
        kept = self.capture.keep(ends)
        self._tell("run.step", "boot both probes", step="probes", state="done", capture=str(kept.path))
        session.reach(self._emit)  # a twin went with its last boot, and its BMC with it
        bmc, why = ask_board(self.board)
        boots = tuple(_boot_seen(end) for end in ends.values())
        return Seen(kept.machine(), bmc, boots, self.board.twin, {} if bmc else {"bmc": why})

    def _judged(self, seen: Seen, folder: RunFolder) -> Verified:
        checked = []
        for each in judged(self.checks, self.facts, seen, self.request.only):
            checked.append(each)
            data = {"step": each.check.id, "state": STATES[each.result.status], **asdict(each.result)}
            self._tell("run.step", each.check.purpose, **data, seconds=round(each.seconds, 3))
        kept = self._keep(checked, folder)
        code, body = verdict_of(checked), self._body(checked, folder, kept)
        self._told(folder, *code, body)
        return Verified(folder.path, body, code[1])

    def _keep(self, checked: Sequence[Checked], folder: RunFolder) -> dict[str, str]:
        """Write the page and the unit's facts; beside the lab file only what is of this board's own model."""
        day = time.strftime("%Y-%m-%d", time.gmtime(self.record.started_s))
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

    def _tell(self, event_kind: str, event_text: str, **data: Any) -> None:
        self._emit(Event("run", event_kind, event_text, data))

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _steps(self) -> list[PlannedStep]:
        probes = PlannedStep("probes", "boot both probes", _EXPECTED_S, _LONGEST_S)
        return [probes, *(PlannedStep(check.id, check.purpose, 0.1, 10.0) for check in self.checks)]

    def _told(
        self, folder: RunFolder, kind: str, code: int, cause: str | None, body: Mapping[str, Any]
    ) -> None:
        told = self.record.verdict_json(folder, kind, code, cause)
        self._tell("run.verdict", cause or "ok", **told)
        if body:
            folder.write_json("verify.json", body)
        folder.write_json("verdict.json", told)

    def _body(self, ended: Sequence[Checked], folder: RunFolder, kept: Mapping[str, str]) -> dict[str, Any]:
        engine = "twin" if self.board.twin else "board"
        return self.record.body_json(folder, ended, engine=engine, profile=self.profile.name, **kept)


def compared_profile(lab: Lab, board: Board, name: str | None) -> Profile:
    """Return the profile to compare a board with, without what was measured on the unit before.

    A twin is compared with the board that it stands for: the first real one that its profile extends.
    """
    named = name or board.profile_name
    if name is None and board.twin:
        chain = read_chain(find_profile(named, lab.profile_folders), lab.profile_folders)
        real = (each for at, each in enumerate(chain) if not merged(chain[at:]).get("virtual"))
        stands_for = next(real, None)
        named = named if stands_for is None else str(stands_for.path)
    return load_profile(named, lab.profile_folders)


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


def judged(
    checks: Sequence[Check], facts: Mapping[str, Asked], seen: Seen, named: Sequence[str] = ()
) -> list[Checked]:
    """Return how each check of facts ends by what was seen."""

    def make(check: Check) -> Result:
        asked = facts[check.id]
        return judge(asked, measure(check.probe, asked, seen))

    return list(run_checks(checks, make, named=named))


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


def _ended(error: BringupError) -> tuple[str, int, str]:
    return error.fault, error.exit_code, error.message
