"""Re-image a board's disk: the ramdisk writes it, the board boots from it, what came up is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from bringup.base.errors import InterruptedRunError, LabError
from bringup.base.once import made_once
from bringup.base.stage import Stage
from bringup.boot.errand import Errand
from bringup.boot.folders import REIMAGE, RunFolder
from bringup.boot.job import Finished, Job
from bringup.boot.preflight import Prepared, prepare
from bringup.boot.request import BootRequest
from bringup.boot.session import Session
from bringup.boot.signals import Signals
from bringup.boot.step import Step
from bringup.boot.steps.console import AttachConsole, RecordPort
from bringup.boot.steps.meet import KnowBoard, MayRestart
from bringup.boot.steps.power import SwitchOn
from bringup.boot.steps.twin import StartTwin
from bringup.boot.steps.watch import Watch
from bringup.boot.stop import Stop
from bringup.disk.manifest import Manifest
from bringup.disk.slot_image import make_slot_image
from bringup.image.folder import find_image
from bringup.image.model import Image
from bringup.jobs.boot import Display, boot_steps, override_step, prepare_boot, run_job
from bringup.jobs.reimage.disk_boot import DiskReader, ResetAfterFailedTrial, SlotStarted, from_disk
from bringup.jobs.reimage.errand import MAINTENANCE
from bringup.jobs.reimage.ramdisk import GiveBack, ListenForRamdisk, Room, Survey, ramdisk_spec
from bringup.jobs.reimage.request import ReimageRequest
from bringup.jobs.reimage.settle import KeepByRamdisk
from bringup.jobs.reimage.write import Outcome, WriteImage
from bringup.lab.inventory import Board, Lab
from bringup.power.base import Person
from bringup.power.open import has_override
from bringup.twin.engines import TwinSetup

WORDS = "log_buf_len=1M"
"""The maintenance ramdisk's kernel words."""


@dataclass(frozen=True)
class Reimaged:
    """How a re-image ended: its runs in their order, and what came of it."""

    runs: tuple[Finished, ...]
    outcome: Outcome

    @property
    def last(self) -> Finished:
        """The run that decides."""
        return self.runs[-1]

    @property
    def ok(self) -> bool:
        """Whether the image is on the disk and came up from it."""
        return self.outcome.written and self.last.ok

    @property
    def exit_code(self) -> int:
        """The exit code that says whose fault it is, 0 for nobody's."""
        return self.last.exit_code

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        verdict = self.last.verdict
        return {**verdict, "runs": [run.verdict["run"] for run in self.runs], **self.outcome.to_dict()}

    def and_then(self, run: Finished) -> Reimaged:
        """Return it with one more run."""
        return replace(self, runs=(*self.runs, run))

    def keep(self) -> Reimaged:
        """Put what is known by now into the folder of each of its runs, and return it."""
        with suppress(LabError):  # a full disk keeps it from the folders, not from the person
            for run in self.runs:
                RunFolder(run.folder).write_json(REIMAGE, self.to_dict())
        return self


@dataclass(frozen=True)
class PlannedReimage:
    """A re-image that may begin; `notes` is what a person should know of this image on this board before.

    `capture` is the hash of the capture that the image's overlay was made for.
    """

    lab: Lab
    board: Board
    request: ReimageRequest
    maintenance: Prepared
    image: Prepared
    notes: tuple[str, ...]
    capture: str | None = None

    def jobs(self) -> tuple[Job, ...]:
        """Return the runs as far as they are known before the disk was looked at, for a dry run."""
        outcome = Outcome(slot="A")
        write = self._write_job(Room(), outcome)
        return write, self._disk_job(outcome, self._start(outcome))

    def run(
        self, display: Display | None = None, person: Person | None = None, stop: Stop | None = None
    ) -> Reimaged:
        """Do it; raises BmcBusyError when somebody holds the board. How it ends is no exception.

        `stop` ends a re-image that runs in a thread.
        """
        boot = self.request.boot
        twin = with_disk(self.board, boot)
        with Session(
            self.board, "reimage", keep_twin=boot.keep_twin, twin=twin, person=person, stop=stop
        ) as session:
            return self.run_in(partial(run_job, self.lab, session, display=display), person, session.signals)

    def run_in(
        self,
        run: Callable[[Job], Finished],
        person: Person | None = None,
        signals: Signals | None = None,
    ) -> Reimaged:
        """Do it with `run` for each job, on a board that is ours already; `signals` end a question, too."""
        outcome = Outcome()
        done = Reimaged((run(self._write_job(Room(), outcome)),), outcome).keep()
        if not done.last.ok:
            return done
        done = done.and_then(run(self._disk_job(outcome, self._start(outcome))))
        outcome.came_up = done.last.ok
        outcome.kept = done.last.ok and outcome.action == "install"
        done.keep()
        if done.last.ok and not outcome.kept and self._is_to_be_kept(outcome, person, signals or Signals()):
            done = self._keep_image(run, done).keep()
        return done

    def _keep_image(self, run: Callable[[Job], Finished], done: Reimaged) -> Reimaged:
        """Return a re-image whose image came up with the runs that keep it.

        The key at the loader is the first way. A console that lost a line does not tell whether it was heard:
        then the ramdisk looks, does what the key did not, and the board starts from its disk again.
        """
        outcome = done.outcome
        seen = self._start(outcome, keep=True)
        done = done.and_then(run(self._disk_job(outcome, seen)))
        outcome.kept = True if seen.kept else None if seen.pressed else False
        if seen.kept or _interrupted(done.last):
            return done
        done.keep()
        disk, slot, image_id = outcome.disk, outcome.slot, outcome.image_id
        assert disk is not None and slot is not None and image_id is not None  # noqa: S101
        room, work = Room(), KeepByRamdisk(disk, slot, image_id)
        boot = replace(self.request.boot, restart=True)  # whoever wanted it kept has said so
        by_ramdisk = maintenance_job(
            self.maintenance,
            room,
            boot,
            work.steps(room),
            taken_over=lambda: work.kept,
            purpose="reimage: keep by ramdisk",
        )
        done = done.and_then(run(by_ramdisk))
        if not work.kept:
            return done
        outcome.kept = True
        if _interrupted(done.last):
            return done
        done.keep()
        return done.and_then(run(self._disk_job(outcome, self._start(outcome, settled=True))))

    def _is_to_be_kept(self, outcome: Outcome, person: Person | None, signals: Signals) -> bool:
        if self.request.confirm != "ask" or person is None:
            return self.request.confirm == "auto"
        question = f"Slot {outcome.slot} came up with image {outcome.image_id}. Keep it?"
        try:
            with signals.heeded():
                return person.choose(question, ("yes", "no")) == "yes"
        except (LabError, KeyboardInterrupt):
            return False  # nobody answered: it stays on trial, and the next start has the image before

    def _write_job(self, room: Room, outcome: Outcome) -> Job:
        work = WriteImage(room, self.image, self.request, outcome, self.capture)
        return maintenance_job(
            self.maintenance,
            room,
            self.request.boot,
            work.steps(),
            notes=self.notes,
            taken_over=lambda: outcome.written,
            purpose="reimage: write",
        )

    def _start(self, outcome: Outcome, *, keep: bool = False, settled: bool = False) -> SlotStarted:
        assert outcome.slot is not None  # noqa: S101
        on_trial = outcome.action == "update" and not (keep or settled)
        by_itself = self.request.confirm == "auto"
        return SlotStarted(outcome.slot, keep=keep, on_trial=on_trial, kept_then=by_itself)

    def _disk_job(self, outcome: Outcome, seen: SlotStarted) -> Job:
        prepared, board, boot = from_disk(self.image), self.board, self.request.boot
        override = override_step(prepared, overridden=has_override(board), device="disk")
        image_id, other_id = outcome.image_id, outcome.before_id

        def reader(console: Any, run: Any) -> DiskReader:
            seen.readers.append(
                DiskReader(console, run, seen.wanted, image_id, other_id=other_id, keep=seen.keep)
            )
            return seen.readers[-1]

        steps: tuple[Step, ...] = (
            *([StartTwin(keep=boot.keep_twin, setup=boot.twin, stays=lambda _: True)] if board.twin else []),
            *([] if board.twin else [KnowBoard(board)]),
            AttachConsole(prepared.console_detail, steal=boot.steal, readers=[reader]),
            *(
                [RecordPort(board.second_port, board.console2 or "the twin's own")]
                if prepared.has_second_port
                else []
            ),
            override,
            *([ResetAfterFailedTrial()] if seen.on_trial else []),
            SwitchOn(prepared.limit(Stage.POWER), back=override.check_again),
            Watch(
                prepared.watch.aim,
                prepared.limits,
                vms=prepared.watch.vms,
                spacing_s=prepared.profile.bmc.spacing_s,
                back=override.check_again,
            ),
            seen,
        )
        return Job.of(prepared, steps, work=f"reimage: {seen.part}")


def _interrupted(run: Finished) -> bool:
    return run.exit_code == InterruptedRunError.exit_code


def maintenance_job(
    prepared: Prepared,
    room: Room,
    boot: BootRequest,
    work: Sequence[Step],
    *,
    notes: Sequence[str] = (),
    taken_over: Callable[[], bool] = lambda: False,
    purpose: str,
) -> Job:
    """Return the run that has the ramdisk on the board, looks at its disks and does `work`.

    The board is left as it was found unless another run takes it over.
    """
    board = prepared.board
    before: list[Step] = [] if board.twin or boot.restart else [MayRestart()]
    steps = boot_steps(
        prepared,
        partial(ramdisk_spec, room, prepared),
        overridden=has_override(board),
        twin=StartTwin(keep=boot.keep_twin, setup=boot.twin, stays=lambda _: True),
        before=[*before, GiveBack(taken_over), ListenForRamdisk(room)],
    )
    return Job.of(prepared, (*steps, Survey(room), *work), notes=notes, work=purpose)


def prepare_maintenance(
    board: Board, boot: BootRequest, image: Callable[[], Image] | None = None
) -> Prepared:
    """Return the boot of the ramdisk; raises what forbids it."""
    errand: Errand = MAINTENANCE
    request = BootRequest(
        firmware=boot.firmware,
        until=Stage.MAINTENANCE,
        steal=boot.steal,
        keep_twin=boot.keep_twin,
        override=boot.override,
        twin=boot.twin,
    )
    return prepare(board, (image or maintenance_image)(), request, errand)


def maintenance_image() -> Image:
    """Return the maintenance ramdisk as an image; raises BringupError where it cannot be made."""
    from bringup.probe.ramdisk import MAINTENANCE as RECIPE
    from bringup.probe.ramdisk import find_kernel, ramdisk

    kernel = find_kernel()
    made = ramdisk(kernel, recipe=RECIPE)
    return _maintenance_image(kernel.path, kernel.path.stat().st_mtime_ns, made)


@made_once(maxsize=1)
def _maintenance_image(kernel: Path, _changed_ns: int, ramdisk: Path) -> Image:
    return find_image([kernel, ramdisk], append=WORDS)


def plan_reimage(
    lab: Lab,
    board_name: str,
    paths: Sequence[Path] = (),
    request: ReimageRequest | None = None,
    *,
    append: str = "",
    module_mib: int = 1,
    config: Path | None = None,
    pins: Sequence[str] = (),
    allow_drift: bool = False,
    ramdisk: Callable[[], Image] | None = None,
) -> PlannedReimage:
    """Return a re-image that may begin; raises what forbids it, as `plan_boot` does, and nothing is touched.

    The image is judged as for a boot, the drift gate included. `ramdisk` returns what is booted to write it.
    """
    request = request or ReimageRequest()
    judged = prepare_boot(
        lab,
        board_name,
        paths,
        request.boot,
        append=append,
        module_mib=module_mib,
        config=config,
        pins=pins,
        allow_drift=allow_drift,
    )
    image = judged.prepared
    # What cannot be put into a slot is refused before the board is touched.
    manifest = Manifest.of(image.image, written_at="", written_by="")
    make_slot_image(image.image, manifest, request.slot_size(image.profile.disk))
    request = replace(request, boot=image.request)
    maintenance = prepare_maintenance(image.board, request.boot, ramdisk)
    capture = _capture(image.board, paths, config)
    return PlannedReimage(lab, image.board, request, maintenance, image, judged.notes, capture)


def _capture(board: Board, paths: Sequence[Path], config: Path | None) -> str | None:
    if not paths:
        return None  # the stand-in image: it was made for no machine
    from bringup.boot.drift import made_for_capture

    return made_for_capture(board, paths, config)


def with_disk(board: Board, boot: BootRequest) -> TwinSetup:
    """Return how a twin is started that needs a disk."""
    return replace(boot.twin, disk=True) if board.twin else boot.twin
