"""The checks of a plan on the virtual lab, which is made for them and ended again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

from bringup.base.events import Emit
from bringup.boot.folders import RunFolder
from bringup.boot.plan import PlannedStep
from bringup.jobs.verify.record import Record, Verified
from bringup.jobs.verify.recorder import Recorder
from bringup.verify.guests.scene import GuestFiles, GuestScene
from bringup.verify.plan import VerifyPlan, chosen
from bringup.verify.probes import probe
from bringup.verify.scene import Scene
from bringup.vlab.lab import LabRequest, VirtualLab

TARGET = "vlab"
_EXPECTED_S = 2.0
_LONGEST_S = 120.0


class VerifyLab:
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
        checks = chosen(plan, only)
        if request.guests is not None:
            checks = tuple(check.on_guests() for check in checks)
        self._plan, self._checks, self._only = plan, checks, only
        self._request = request
        self._guests = guests or GuestFiles()
        self._recorder = Recorder(
            Record(TARGET, plan, checks),
            folder,
            listeners,
            firewall=request.backend,
            rules=None if request.rules is None else str(request.rules),
            lab=request.description.model_dump(mode="json"),
        )

    def execute(self) -> Verified:
        """Make the checks; raises BringupError when there is no lab to make them on."""
        recorder = self._recorder
        with recorder.running(self._steps(), "interrupted; the virtual lab is down"):
            with ExitStack() as stack:
                with recorder.step("vlab", "make the virtual lab"):
                    scene = self._scene(stack)
                recorder.check_all(lambda check: probe(check.probe)(scene, check), self._only)
                recorder.facts["engine"] = _engine(scene)
            return recorder.end()

    def _steps(self) -> tuple[PlannedStep, ...]:
        lab = PlannedStep("vlab", "make the virtual lab", _EXPECTED_S, _LONGEST_S)
        checks = [PlannedStep(check.id, check.purpose, 1.0, _LONGEST_S) for check in self._checks]
        return (lab, *checks, PlannedStep("end", "end the virtual lab", 1.0, _LONGEST_S))

    def _scene(self, stack: ExitStack) -> Scene | GuestScene:
        """Make what the plan's probes work with; it ends with `stack`."""
        folder = self._recorder.folder.path
        if self._plan.scene == "guests":
            guests = GuestScene(self._guests, folder)
            stack.callback(guests.close)
            return guests
        captures = folder / "captures"
        captures.mkdir()
        return Scene(stack.enter_context(VirtualLab.start(self._request, captures)))


def _engine(scene: Scene | GuestScene) -> str:
    """Return what it was made with."""
    if isinstance(scene, GuestScene):
        return "QEMU"
    tunnel = scene.tunnels["a"].engine if scene.found["a"] else "none"
    return f"QEMU guests, {tunnel}" if scene.lab.request.guests else tunnel
