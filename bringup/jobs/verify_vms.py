"""Models III and IV: the image is booted by network, then each VM is asked over the board's one console."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bringup.base.errors import BringupError, InterruptedRunError, UsageError
from bringup.base.events import Emit, Event
from bringup.base.near import nearest
from bringup.base.stage import Stage
from bringup.boot.folders import EventLog, RunFolder
from bringup.boot.plan import PlannedStep
from bringup.boot.request import BootRequest
from bringup.boot.session import Session
from bringup.image.folder import folders_of
from bringup.jobs.boot import Display, PlannedBoot, build_of, plan_boot, run_job
from bringup.jobs.console import at_console
from bringup.jobs.first_contact import compared_profile
from bringup.jobs.verify import Verified
from bringup.jobs.verify_record import STATES, Record, verdict_of
from bringup.power.base import Person
from bringup.twin.engines import BOCHS, SCRIPTED
from bringup.verify.plan import Check, VerifyPlan, chosen
from bringup.verify.probes import probe
from bringup.verify.result import Result, skipped
from bringup.verify.runner import Checked, run_checks
from bringup.verify.vms.expected import Candidate, ExpectedVm, of_configuration
from bringup.verify.vms.scene import Booted, VmScene
from bringup.verify.vms.talk import Vms
from bringup.verify.vms.wire import ConsoleWire

if TYPE_CHECKING:
    from bringup.boot.job import Finished
    from bringup.lab.inventory import Lab
    from bringup.pci.model import Bdf, Machine
    from bringup.profile.model import Profile

PLAY = "play=vms"
CONSOLE = "console-vms.log"
_NO_VMS = (
    "the stand-in image has no VMs, and QEMU without KVM has no VT-x: name your image (--image BUILD, on "
    "Bochs or a board), or rehearse on played VMs (--engine scripted)"
)
_BOOT_S, _CHECK_S, _LONGEST_S = 120.0, 5.0, 1800.0
_STARTED = frozenset(map(str, (Stage.USER_SPACE, Stage.VMM, Stage.GUEST, Stage.LOGIN)))
_INTX = "ABCD"


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
        self._listeners = list(listeners)
        self.record = Record(self.board.name, plan, self.checks)

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
        with Session(self.board, "verify", twin=twin, person=person) as session:
            folder = session.run_folder(self.lab)
            folder.write_json("plan.json", self.record.plan_json(self._steps()))
            log = EventLog(folder, self.record.origin_s)
            self._listeners.insert(0, log)
            ended: list[Checked] = []
            try:
                self._tell("run.begin", f"{folder.run_id} on {self.board.name}", run=folder.run_id)
                self._perform(session, folder, ended, display)
                return self._judged(folder, ended)
            except KeyboardInterrupt:
                error = InterruptedRunError("interrupted; the board is left as it runs")
                self._told(folder, error.fault, error.exit_code, error.message)
                raise error from None
            except BringupError as error:
                self._told(folder, error.fault, error.exit_code, error.message)
                raise
            finally:
                log.close()

    def _perform(
        self, session: Session, folder: RunFolder, ended: list[Checked], display: Display | None
    ) -> None:
        if self.why_nothing:
            reason = skipped(f"not testable here: {self.why_nothing}")
            self._check_all(lambda _check: reason, ended)
            return
        self._tell("run.step", "boot the image", step="boot", state="begin")
        finished = run_job(self.lab, session, self.boot.job, display)
        state = "done" if finished.ok else "failed"
        self._tell("run.step", "boot the image", step="boot", state=state, run=finished.folder.name)
        if finished.verdict["verdict"] == InterruptedRunError.fault:
            raise InterruptedRunError(str(finished.verdict["cause"]))
        session.signals.heed()  # a boot that has ended leaves them unheard
        try:
            self._ask(session, folder, ended, finished)
        finally:
            session.signals.ignore()

    def _ask(self, session: Session, folder: RunFolder, ended: list[Checked], finished: Finished) -> None:
        build, _ = build_of(folders_of(self.request.images))
        with (
            at_console(self.board, self._emit) as console,
            closing(ConsoleWire(console, session.clock, folder.path / CONSOLE)) as wire,
        ):
            scene = VmScene(Vms(wire), self.expected, booted(finished, self.engine), self._believed(), build)
            self._check_all(lambda check: probe(check.probe)(scene, check), ended)

    def _check_all(self, make: Callable[[Check], Result], ended: list[Checked]) -> None:
        for each in run_checks(self.checks, make, named=self.request.only, begun=self._begun):
            ended.append(each)
            data = {"step": each.check.id, "state": STATES[each.result.status], **asdict(each.result)}
            self._tell("run.step", each.check.purpose, **data, seconds=round(each.seconds, 3))

    def _begun(self, check: Check) -> None:
        self._tell("run.step", check.purpose, step=check.id, state="begin")

    def _believed(self) -> dict[str, tuple[Candidate, ...]]:
        cards = [card.bdf for vm in self.expected for card in vm.cards]
        # A twin's own pins are QEMU's: what counts are those of the board that it stands for.
        return believed_pins(self.board.name, compared_profile(self.lab, self.board, None), cards)

    def _tell(self, event_kind: str, event_text: str, **data: Any) -> None:
        self._emit(Event("run", event_kind, event_text, data))

    def _emit(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def _steps(self) -> list[PlannedStep]:
        boot = PlannedStep("boot", "boot the image", _BOOT_S, _LONGEST_S)
        return [boot, *(PlannedStep(c.id, c.purpose, _CHECK_S, _LONGEST_S) for c in self.checks)]

    def _judged(self, folder: RunFolder, ended: Sequence[Checked]) -> Verified:
        kind, code, cause = verdict_of(ended)
        body = self._body(folder, ended)
        folder.write_json("verify.json", body)
        self._told(folder, kind, code, cause)
        return Verified(folder.path, body, code)

    def _told(self, folder: RunFolder, kind: str, code: int, cause: str | None) -> None:
        told = self.record.verdict_json(folder, kind, code, cause)
        self._tell("run.verdict", cause or "ok", **told)
        folder.write_json("verdict.json", told)

    def _body(self, folder: RunFolder, ended: Sequence[Checked]) -> dict[str, Any]:
        limits = self.boot.request.twin.chosen.engine.limits if self.board.twin else ""
        facts = {"unproven": limits} if limits else {}
        image = dict(self.boot.plan.image)
        return self.record.body_json(folder, ended, engine=self.engine, image=image, **facts)


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


def believed_pins(board: str, profile: Profile, functions: Sequence[str]) -> dict[str, tuple[Candidate, ...]]:
    """Return where each function's interrupt may arrive, best first.

    By the latest capture of `board`; without one by its profile: that port's pins, then the four lines that
    the board's rule names.
    """
    from bringup.lab.captures import latest_capture
    from bringup.pci.capture.open import open_capture

    capture = latest_capture(board)
    if capture is None:
        return {bdf: tuple(_by_profile(profile, bdf)) for bdf in functions}
    return _by_capture(profile, open_capture([capture]), functions)


def _by_capture(
    profile: Profile, machine: Machine, functions: Sequence[str]
) -> dict[str, tuple[Candidate, ...]]:
    from bringup.pci.pins.beliefs import pin_candidates

    beliefs = pin_candidates(machine, profile)
    by_name: Mapping[str, Bdf] = {bdf.short: bdf for bdf in beliefs}
    found = {}
    for name in functions:
        pins = beliefs[by_name[name]] if name in by_name else ()
        told = [Candidate(f"{pin.ioapic}/{pin.pin}", f"{pin.grade}, {pin.source}") for pin in pins]
        found[name] = (*told, *_by_profile(profile, name))
    return found


def _by_profile(profile: Profile, function: str) -> list[Candidate]:
    from bringup.pci.match.ports import seen_at

    ioapic = profile.interrupts.ioapic.value
    found = []
    for nic in profile.nics:
        here = any(bdf.short == function for bdf in seen_at(nic))
        for fact in (nic.ioapic_pin, nic.ioapic_pin_else) if here else ():
            if fact is not None:
                found.append(Candidate(f"{ioapic}/{fact.value}", f"the profile, {fact.grade}"))
    rule = profile.interrupts.root_port_rule
    if rule is not None:
        lines = range(rule.value, rule.value + len(_INTX))
        found += [Candidate(f"{ioapic}/{pin}", "the board's rule, untested") for pin in lines]
    return found
