"""Verify: a target is made, the checks of a plan are made on it one by one, and it is ended again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bringup.base.errors import BringupError, InterruptedRunError
from bringup.base.events import Emit, Event
from bringup.boot.folders import EventLog, RunFolder
from bringup.boot.plan import PlannedStep
from bringup.jobs.verify_record import STATES, Record, verdict_of
from bringup.verify.guests.scene import GuestFiles, GuestScene
from bringup.verify.plan import Check, VerifyPlan, chosen
from bringup.verify.probes import probe
from bringup.verify.result import Result
from bringup.verify.runner import Checked, run_checks
from bringup.verify.scene import Scene
from bringup.vlab.lab import LabRequest, VirtualLab

TARGET = "vlab"
_EXPECTED_S = 2.0
_LONGEST_S = 120.0


@dataclass(frozen=True, slots=True)
class Verified:
    """How a run of verify ended; `body` is the content of `verify.json`."""

    folder: Path
    body: dict[str, Any]
    exit_code: int

    @property
    def failed(self) -> list[dict[str, Any]]:
        """The checks that failed."""
        return [check for check in self.body["checks"] if check["status"] == "fail"]


class VerifyRun:
    """One run of a plan on the virtual lab, in a folder of its own: make it, call `execute` once."""

    def __init__(
        self,
        plan: VerifyPlan,
        request: LabRequest,
        folder: RunFolder,
        *,
        guests: GuestFiles | None = None,
        only: Sequence[str] = (),
        listeners: Sequence[Emit] = (),
    ) -> None:
        self.plan, self.request, self.folder = plan, request, folder
        checks = chosen(plan, only)
        self.checks = checks if request.guests is None else tuple(check.on_guests() for check in checks)
        self._only = only
        self._guests = guests or GuestFiles()
        self._listeners = list(listeners)
        self.record = Record(TARGET, plan, self.checks)

    def steps(self) -> tuple[PlannedStep, ...]:
        """Return what will be done, in order."""
        lab = PlannedStep("vlab", "make the virtual lab", _EXPECTED_S, _LONGEST_S)
        checks = [PlannedStep(check.id, check.purpose, 1.0, _LONGEST_S) for check in self.checks]
        return (lab, *checks, PlannedStep("end", "end the virtual lab", 1.0, _LONGEST_S))

    def execute(self) -> Verified:
        """Make the checks; raises BringupError when there is no lab to make them on."""
        self.folder.write_json("plan.json", self.record.plan_json(self.steps()))
        log = EventLog(self.folder, self.record.origin_s)
        self._listeners.insert(0, log)
        ended: list[Checked] = []
        error: BringupError | None = None
        try:
            self._tell("run.begin", f"{self.folder.run_id} on {TARGET}", run=self.folder.run_id)
            facts = self._perform(ended)
            return self._told(ended, facts, None)
        except KeyboardInterrupt:
            error = InterruptedRunError("interrupted; the virtual lab is down")
            raise error from None
        except BringupError as fault:
            error = fault
            raise
        finally:
            if error is not None:
                self._told(ended, {}, error)
            log.close()

    def _perform(self, ended: list[Checked]) -> dict[str, Any]:
        with ExitStack() as stack:
            with self._step("vlab", "make the virtual lab"):
                scene = self._scene(stack)

            def make(check: Check) -> Result:
                return probe(check.probe)(scene, check)

            for each in run_checks(self.checks, make, named=self._only, begun=self._begun):
                ended.append(each)
                data = {"step": each.check.id, "state": STATES[each.result.status], **asdict(each.result)}
                self._tell("run.step", each.check.purpose, **data, seconds=round(each.seconds, 3))
            return {"engine": _engine(scene)}

    def _scene(self, stack: ExitStack) -> Scene | GuestScene:
        """Make what the plan's probes work with; it ends with `stack`."""
        if self.plan.scene == "guests":
            guests = GuestScene(self._guests, self.folder.path)
            stack.callback(guests.close)
            return guests
        captures = self.folder.path / "captures"
        captures.mkdir()
        return Scene(stack.enter_context(VirtualLab.start(self.request, captures)))

    def _begun(self, check: Check) -> None:
        self._tell("run.step", check.purpose, step=check.id, state="begin")

    @contextmanager
    def _step(self, name: str, title: str) -> Iterator[None]:
        self._tell("run.step", title, step=name, state="begin")
        state = "failed"
        try:
            yield
            state = "done"
        finally:
            self._tell("run.step", title, step=name, state=state)

    def _tell(self, event_kind: str, event_text: str, **data: Any) -> None:
        event = Event("run", event_kind, event_text, data)
        for listener in self._listeners:
            listener(event)

    def _told(self, ended: Sequence[Checked], facts: dict[str, Any], error: BringupError | None) -> Verified:
        body = self._body(ended, facts)
        if error is None:
            kind, code, cause = verdict_of(ended)
        else:
            kind, code, cause = error.fault, error.exit_code, error.message
        told = self.record.verdict_json(self.folder, kind, code, cause)
        self._tell("run.verdict", cause or "ok", **told)
        self.folder.write_json("verify.json", body)
        self.folder.write_json("verdict.json", told)
        return Verified(self.folder.path, body, code)

    def _body(self, ended: Sequence[Checked], facts: dict[str, Any]) -> dict[str, Any]:
        rules = None if self.request.rules is None else str(self.request.rules)
        body = self.record.body_json(self.folder, ended, firewall=self.request.backend, rules=rules, **facts)
        return {**body, "lab": self.request.description.model_dump(mode="json")}


def _engine(scene: Scene | GuestScene) -> str:
    """Return what it was made with."""
    if isinstance(scene, GuestScene):
        return "QEMU"
    tunnel = scene.tunnels["a"].engine if scene.found["a"] else "none"
    return f"QEMU guests, {tunnel}" if scene.lab.request.guests else tunnel
