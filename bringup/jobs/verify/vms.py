"""Models III and IV: the image is booted by network, then each VM is asked over the board's one console."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import InterruptedRunError, UsageError
from bringup.base.events import Emit
from bringup.base.near import nearest
from bringup.base.stage import Stage
from bringup.boot.plan import PlannedStep
from bringup.boot.request import BootRequest
from bringup.boot.session import Session
from bringup.image.folder import folders_of
from bringup.jobs.boot import Display, PlannedBoot, build_of, plan_boot, run_job
from bringup.jobs.console import at_console
from bringup.jobs.verify.believed import believed_pins, compared_profile
from bringup.jobs.verify.record import Record, Verified
from bringup.jobs.verify.recorder import Recorder
from bringup.power.base import Person
from bringup.twin.engines import BOCHS, SCRIPTED
from bringup.verify.plan import VerifyPlan, chosen
from bringup.verify.probes import probe
from bringup.verify.result import skipped
from bringup.verify.vms.expected import Candidate, ExpectedVm, of_configuration
from bringup.verify.vms.scene import Booted, VmScene
from bringup.verify.vms.talk import Vms
from bringup.verify.vms.wire import ConsoleWire

if TYPE_CHECKING:
    from bringup.boot.job import Finished
    from bringup.lab.inventory import Lab

PLAY = "play=vms"
CONSOLE = "console-vms.log"
_NO_VMS = (
    "the stand-in image has no VMs, and QEMU without KVM has no VT-x: name your image (--image BUILD, on "
    "Bochs or a board), or rehearse on played VMs (--engine scripted)"
)
_BOOT_S, _CHECK_S, _LONGEST_S = 120.0, 5.0, 1800.0
_STARTED = frozenset(map(str, (Stage.USER_SPACE, Stage.VMM, Stage.GUEST, Stage.LOGIN)))


@dataclass(frozen=True, slots=True)
class VmsRequest:
    """What a person asked for; without `images` a scripted twin plays VMs, as `append` says.

    `config` is the application's configuration: what it passes to its VMs is what they shall have.
    """

    images: Sequence[Path] = ()
    config: Path | None = None
    append: str = ""
    only: Sequence[str] = ()
    boot: BootRequest = field(default_factory=BootRequest)


class VerifyVms:
    """One run of a plan of VMs on a board: make it, call `execute` once. Raises what forbids the boot."""

    def __init__(
        self,
        lab: Lab,
        board_name: str,
        plan: VerifyPlan,
        request: VmsRequest,
        listeners: Sequence[Emit] = (),
    ) -> None:
        self.lab, self.plan, self.request = lab, plan, request
        self.checks = chosen(plan, request.only)
        self.boot = self._planned(board_name)
        self.board = self.boot.board
        self.engine = self.boot.request.twin.engine if self.board.twin else "board"
        self.expected = _expected(plan, request.config)
        self._listeners = listeners

    def _planned(self, board_name: str) -> PlannedBoot:
        request = self.request
        append = request.append
        if not request.images and request.boot.twin.engine == SCRIPTED.name:
            append = with_play(append)
        vms = request.boot.vms or len(self.plan.vm) or None
        boot = replace(request.boot, until=request.boot.until or Stage.LOGIN, vms=vms)
        return plan_boot(
            self.lab,
            board_name,
            request.images,
            boot,
            append=append,
            config=request.config,
            twin_stays=True,
        )

    @property
    def why_nothing(self) -> str:
        """Why no check can be made on this target; empty where they can."""
        nothing = self.board.twin and not self.request.images and self.engine != SCRIPTED.name
        return _NO_VMS if nothing else ""

    def execute(self, display: Display | None = None, person: Person | None = None) -> Verified:
        """Boot, log in, make the checks; raises BringupError where the board could not be worked on."""
        twin = self.boot.request.twin
        record = Record(self.board.name, self.plan, self.checks)
        with Session(self.board, "verify", twin=twin, person=person) as session:
            folder = session.run_folder(self.lab)
            recorder = Recorder(record, folder, self._listeners, engine=self.engine, **self._facts())
            with recorder.running(self._steps(), "interrupted; the board is left as it runs"):
                self._perform(session, recorder, display)
                return recorder.end()

    def _perform(self, session: Session, recorder: Recorder, display: Display | None) -> None:
        if self.why_nothing:
            reason = skipped(f"not testable here: {self.why_nothing}")
            recorder.check_all(lambda _check: reason, self.request.only)
            return
        with recorder.step("boot", "boot the image") as found:
            finished = run_job(self.lab, session, self.boot.job, display)
            found.update(run=finished.folder.name, state="done" if finished.ok else "failed")
        if finished.verdict["verdict"] == InterruptedRunError.fault:
            raise InterruptedRunError(str(finished.verdict["cause"]))
        session.signals.heed()  # a boot that has ended leaves them unheard
        try:
            self._ask(session, recorder, finished)
        finally:
            session.signals.ignore()

    def _ask(self, session: Session, recorder: Recorder, finished: Finished) -> None:
        build, _ = build_of(folders_of(self.request.images))
        with (
            at_console(self.board, recorder.emit) as console,
            closing(ConsoleWire(console, session.clock, recorder.folder.path / CONSOLE)) as wire,
        ):
            scene = VmScene(Vms(wire), self.expected, booted(finished, self.engine), self._believed(), build)
            recorder.check_all(lambda check: probe(check.probe)(scene, check), self.request.only)

    def _believed(self) -> dict[str, tuple[Candidate, ...]]:
        cards = [card.bdf for vm in self.expected for card in vm.cards]
        # A twin's own pins are QEMU's: what counts are those of the board that it stands for.
        return believed_pins(self.board.name, compared_profile(self.lab, self.board, None), cards)

    def _steps(self) -> list[PlannedStep]:
        boot = PlannedStep("boot", "boot the image", _BOOT_S, _LONGEST_S)
        return [boot, *(PlannedStep(c.id, c.purpose, _CHECK_S, _LONGEST_S) for c in self.checks)]

    def _facts(self) -> dict[str, Any]:
        limits = self.boot.request.twin.chosen.engine.limits if self.board.twin else ""
        return {"image": dict(self.boot.plan.image), **({"unproven": limits} if limits else {})}


def with_play(append: str) -> str:
    """Return a command line of the stand-in that plays VMs; raises UsageError where it plays something else.

    Else VMs that nobody plays would be called dead.
    """
    from bringup.twin.scripted.vms.world import CASES

    play = next((word for word in append.split() if word.startswith("play=")), None)
    if play is None:
        return f"{append} {PLAY}".strip()
    word, _, case = play.partition(":")
    if word != PLAY:
        raise UsageError(
            f"{play} plays no VMs", hint=f"{PLAY}, or {PLAY}:CASE with one of {', '.join(CASES)}"
        )
    if case and case not in CASES:
        near = nearest(case, CASES)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(CASES)}"
        raise UsageError(f"there is no case {case} of played VMs", hint=hint)
    return append


def booted(finished: Finished, engine: str) -> Booted:
    """Return how a boot ended, as the probes need it: one that has no login yet may have VMs all the same."""
    reached = finished.verdict.get("stage")
    runs = finished.ok or reached in _STARTED
    cause = finished.verdict.get("cause")
    told = f"reached {reached or 'nothing'}" + (f": {cause}" if cause else "")
    no_cards = f"Bochs: {BOCHS.limits}" if engine == BOCHS.name else ""
    return Booted(runs, f"{told} (run {finished.folder.name})", no_cards)


def _expected(plan: VerifyPlan, config: Path | None) -> tuple[ExpectedVm, ...]:
    """Return what the VMs shall have: by the configuration where one is named, else by the plan."""
    if config is None:
        return plan.vm
    from bringup.camkes.app.load import load_application
    from bringup.camkes.assign.in_use import vms_of

    return of_configuration(plan.vm, vms_of(load_application(config, allow_missing=True)))
