"""Boot: from power-off to a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bringup.base.errors import UsageError
from bringup.base.events import Emit
from bringup.base.stage import Stage
from bringup.boot.folders import EVENTS, last_test_of, runs_folder, usual_duration_s
from bringup.boot.job import Finished, Job
from bringup.boot.needs import check_needs, needs_vtx
from bringup.boot.plan import Plan
from bringup.boot.preflight import Prepared, prepare
from bringup.boot.request import BootRequest, with_defaults
from bringup.boot.session import Session
from bringup.boot.step import Step
from bringup.boot.steps.console import AttachConsole, MakeReader, RecordPort
from bringup.boot.steps.meet import KnowBoard, MayRestart
from bringup.boot.steps.override import ArmOverride, NoOverride
from bringup.boot.steps.power import SwitchOn
from bringup.boot.steps.serve import MakeFiles, ServeImage
from bringup.boot.steps.twin import StartTwin
from bringup.boot.steps.watch import Watch
from bringup.boot.stop import Stop
from bringup.boot.which_twin import not_a_twin, settle_twin
from bringup.image.folder import find_image, folders_of
from bringup.image.model import Image
from bringup.image.profile import read_image_profile
from bringup.lab.inventory import Board, Lab
from bringup.power.base import Device, Person
from bringup.power.open import has_override
from bringup.transcript.vms import VmNames, find_vm_names
from bringup.twin.info import load as load_twin

if TYPE_CHECKING:
    from bringup.camkes.app.build import Build

_MIB = 1 << 20


class Display(Protocol):
    """Shows a run while it goes on."""

    def __call__(self, plan: Plan, usual_s: float | None) -> AbstractContextManager[Emit]:
        """Return what listens to the events of this plan's run; `usual_s` is how long it took before."""
        ...


@dataclass(frozen=True)
class PlannedBoot:
    """A boot that may begin; `notes` is what a person should know of this image on this board before."""

    lab: Lab
    board: Board
    job: Job
    request: BootRequest
    notes: tuple[str, ...]

    @property
    def plan(self) -> Plan:
        """What it will do."""
        return self.job.plan

    @property
    def usual_s(self) -> float | None:
        """The usual time to the wanted stage, from this board's last good runs of this image."""
        return usual_time_s(self.lab, self.plan)

    def run(
        self, display: Display | None = None, person: Person | None = None, stop: Stop | None = None
    ) -> Finished:
        """Boot the board; raises BmcBusyError when somebody holds it. How the boot ends is no exception.

        `person` is whom a power driver may ask to lend a hand, `stop` ends a boot that runs in a thread.
        """
        keep_twin = self.request.keep_twin
        with Session(
            self.board, "boot", keep_twin=keep_twin, twin=self.request.twin, person=person, stop=stop
        ) as session:
            return run_job(self.lab, session, self.job, display, self.request.twin.faults)


def run_job(
    lab: Lab, session: Session, job: Job, display: Display | None, faults: Sequence[str] = ()
) -> Finished:
    """Run one job in a folder of its own; `faults` of this host are played there."""
    usual_s = usual_time_s(lab, job.plan)
    folder = session.run_folder(lab)
    if faults:
        from bringup.twin.faults.choice import choose_all
        from bringup.twin.faults.host import fill_disk

        fill_disk(folder.path / EVENTS, choose_all(faults))
    with display(job.plan, usual_s) if display else nullcontext() as listener:
        listeners = [*([session.person.hear] if session.person else []), *([listener] if listener else [])]
        run = job.start(session, folder, listeners)
        return Finished(folder.path, run.verdict_dict(run.execute()))


def usual_time_s(lab: Lab, plan: Plan) -> float | None:
    """Return the usual seconds to a plan's wanted stage, None where no run of this board tells."""
    key = str(plan.image["key"])
    return usual_duration_s(runs_folder(lab), plan.board, plan.until, key, plan.firmware, plan.aim)


def plan_boot(
    lab: Lab,
    board_name: str,
    paths: Sequence[Path] = (),
    request: BootRequest | None = None,
    *,
    append: str = "",
    module_mib: int = 1,
    config: Path | None = None,
    pins: Sequence[str] = (),
    allow_drift: bool = False,
    twin_stays: bool = False,
) -> PlannedBoot:
    """Return a boot that may begin; raises what forbids it: usage, image, profile or configuration.

    `paths` are a build's folder or the files of an image, none for the twin's stand-in image with a module of
    `module_mib` MiB. `config` is the .camkes file the image was built from; where the board has drifted from
    what it was made for, the boot is refused unless `allow_drift`; `pins` are those that a person states.
    `twin_stays`: what follows in the same session works on the twin that was booted. What the request and
    `append` leave open, a `bringup.toml` beside the image may say. Nothing is touched
    and no packet sent; cpp is started for a `config` written by hand.
    """
    boot = prepare_boot(
        lab,
        board_name,
        paths,
        request,
        append=append,
        module_mib=module_mib,
        config=config,
        pins=pins,
        allow_drift=allow_drift,
    )
    prepared, board, request = boot.prepared, boot.prepared.board, boot.prepared.request
    before = [] if board.twin or request.restart else [MayRestart()]
    twin = StartTwin(keep=True, setup=request.twin, stays=lambda _run: True) if twin_stays else None
    steps = boot_steps(prepared, prepared.spec, overridden=has_override(board), twin=twin, before=before)
    return PlannedBoot(lab, board, Job.of(prepared, steps, notes=boot.notes), request, boot.notes)


@dataclass(frozen=True)
class Judged:
    """An image that may run on a board, as it would be booted; `notes` is what a person should know."""

    prepared: Prepared
    notes: tuple[str, ...]


def prepare_boot(
    lab: Lab,
    board_name: str,
    paths: Sequence[Path] = (),
    request: BootRequest | None = None,
    *,
    append: str = "",
    module_mib: int = 1,
    config: Path | None = None,
    pins: Sequence[str] = (),
    allow_drift: bool = False,
) -> Judged:
    """Judge an image for a board, as `plan_boot` does; raises what it raises."""
    board = lab.board(board_name)
    folders = folders_of(paths)
    said = read_image_profile(folders)
    request = with_defaults(request or BootRequest(), said, twin=board.twin)
    if request.twin.faults and not board.twin:
        raise UsageError(
            f"{board.name} is a real board: {' and '.join(request.twin.faults)} is played by a twin only",
            hint="leave out --fault, or name a twin",
        )
    if request.twin.asks and not board.twin:
        raise not_a_twin(board.name)
    played = "" if paths else " ".join(f"play={word}" for word in _plays(board, request))
    image = _image(board, paths, append or said.append or played, module_mib)
    build, unread = build_of(folders)
    vtx = board.twin and needs_vtx(image, build)
    board, setup = settle_twin(board, request.twin, vtx=vtx, stand_in=not paths)
    request = replace(request, twin=setup)
    prepared = prepare(board, image, request, vm_names=_vm_names(paths, build))
    prepared = replace(prepared, watch=replace(prepared.watch, last_test=_last_test(lab, prepared, build)))
    needs = check_needs(board, prepared.image, request, build)
    drift = _drift(board, paths, config, pins, allow_drift)
    return Judged(prepared, (*needs, *unread, *drift))


def _plays(board: Board, request: BootRequest) -> tuple[str, ...]:
    """Return what the stand-in has to do for the faults that are asked for, or of the twin that is up."""
    up = None if request.twin.faults or not board.twin else load_twin(board.name)
    faults = up.faults if up is not None and up.alive() else request.twin.faults
    if not faults:
        return ()
    from bringup.twin.faults.choice import choose_all, plays

    return plays(choose_all(faults))


def build_of(folders: Sequence[Path]) -> tuple[Build | None, tuple[str, ...]]:
    """Return the build that the image is from, None where none is found; and why one was not read."""
    if not folders:
        return None, ()  # the stand-in image
    from bringup.camkes.app.build import find_build

    try:
        return find_build(folders), ()
    except UsageError as error:
        return None, (f"{error.message}: what the image was configured with is not known",)


def _last_test(lab: Lab, prepared: Prepared, build: Build | None) -> int | None:
    """Return the number of a suite's last test: of the last run, else by the table of tests in the image.

    A build that leaves tests out by their names does so when it runs, and the table does not tell.
    """
    chosen = build.text("LibSel4TestPrinterRegex") if build is not None else None
    inferred = prepared.image.last_test if chosen in (None, ".*") else None
    return last_test_of(runs_folder(lab), prepared.image.key) or inferred


def _vm_names(paths: Sequence[Path], build: Build | None) -> VmNames | None:
    """Return the VMs as the build names them; files of an image that lie anywhere have no build."""
    folder = build.folder if build is not None else next((path for path in paths[:1] if path.is_dir()), None)
    return None if folder is None else find_vm_names(folder)


def boot_steps(
    prepared: Prepared,
    make_files: MakeFiles,
    *,
    overridden: bool,
    readers: Sequence[MakeReader] = (),
    twin: StartTwin | None = None,
    before: Sequence[Step] = (),
    until: str | None = None,
) -> tuple[Step, ...]:
    """Return the steps of a network boot; `before` come between the twin and the console."""
    board, request, watch = prepared.board, prepared.request, prepared.watch
    override = override_step(prepared, overridden=overridden)
    return (
        *([twin or StartTwin(keep=request.keep_twin, setup=request.twin)] if board.twin else []),
        *([] if board.twin else [KnowBoard(board)]),
        *before,
        AttachConsole(prepared.console_detail, steal=request.steal, readers=readers),
        *(
            [RecordPort(board.second_port, board.console2 or "the twin's own")]
            if prepared.has_second_port
            else []
        ),
        ServeImage(prepared.route, prepared.segment, make_files),
        override,
        SwitchOn(prepared.limit(Stage.POWER), back=override.check_again),
        Watch(
            watch.aim,
            prepared.limits,
            vms=watch.vms,
            spacing_s=prepared.profile.bmc.spacing_s,
            back=override.check_again,
        ),
    )


def override_step(
    prepared: Prepared, *, overridden: bool, device: Device = "network"
) -> ArmOverride | NoOverride:
    """Return what sets the board's boot override, or says why none is set."""
    if not overridden:
        return NoOverride(device=device)
    known = prepared.profile.bmc.boot_override
    policy = prepared.request.override or ("verified" if known is None else known.value)
    if policy == "none":
        return NoOverride("no boot override is wanted", device)
    return ArmOverride(prepared.watch.firmware, policy=policy, device=device)


def _image(board: Board, paths: Sequence[Path], append: str, module_mib: int) -> Image:
    if paths:
        return find_image(paths, append=append)
    if not board.twin:
        raise UsageError(
            f"no image named for {board.name}, which is a real board",
            hint=f"bringup boot {board.name} BUILD_FOLDER, or KERNEL MODULE",
        )
    from bringup.image.standin import standin_kernel, standin_module

    return find_image([standin_kernel(), standin_module(module_mib * _MIB)], append=append)


def _drift(
    board: Board, paths: Sequence[Path], config: Path | None, pins: Sequence[str], allow: bool
) -> tuple[str, ...]:
    if config is None and not paths:
        return ()  # the stand-in image: it was made for no machine
    from bringup.boot.drift import check_drift

    return check_drift(board, paths, config=config, pins=pins, allow=allow)
