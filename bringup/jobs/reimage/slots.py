"""What is in a board's slots, going back to the image before, keeping the one that was tried: by the ramdisk.

No image is booted.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from bringup.base.errors import LabError, UsageError
from bringup.boot.folders import SLOTS, RunFolder
from bringup.boot.job import Finished, Job
from bringup.boot.plan import PlannedStep
from bringup.boot.preflight import Prepared
from bringup.boot.request import BootRequest
from bringup.boot.session import Session
from bringup.boot.step import Step
from bringup.boot.stop import Stop
from bringup.disk.choose import Disk, Wish, choose
from bringup.disk.commit import rollback
from bringup.disk.layout import LETTERS, Letter
from bringup.disk.slots import DiskSlots
from bringup.image.model import Image
from bringup.jobs.boot import Display, run_job
from bringup.jobs.reimage.job import maintenance_job, prepare_maintenance, with_disk
from bringup.jobs.reimage.ramdisk import Act, Room, tell_rivals
from bringup.jobs.reimage.settle import CONFIRM, LOOK, keep_tried, settle
from bringup.jobs.reimage.survey import slots_of
from bringup.lab.inventory import Board, Lab
from bringup.power.base import Person

if TYPE_CHECKING:
    from bringup.boot.engine import Run


@dataclass(slots=True)
class SlotsSeen:
    """The disks of a board, and the slots of the one that this tool wrote.

    `chosen` is the slot that starts from now on, where that was changed; `careful` is what to know of other
    disks.
    """

    disks: tuple[Disk, ...] = ()
    disk: Disk | None = None
    slots: DiskSlots | None = None
    chosen: Letter | None = None
    careful: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "disks": [disk.to_dict() for disk in self.disks],
            "disk": None if self.disk is None else self.disk.to_dict(),
            "chosen": self.chosen,
            "careful": self.careful,
            **({} if self.slots is None else self.slots.to_dict()),
        }


@dataclass(frozen=True)
class PlannedSlots:
    """Looking at a board's slots, and going back where `back`; `disk` names one of several disks.

    `confirm` is the id of the image that is kept, where it is the one that was tried; None keeps none.
    """

    lab: Lab
    board: Board
    boot: BootRequest
    prepared: Prepared
    disk: str | None
    back: bool
    confirm: str | None = None
    seen: SlotsSeen = field(default_factory=SlotsSeen)

    @property
    def job(self) -> Job:
        """The one run that this is."""
        room = Room()
        steps: list[Step] = [Act(LOOK, partial(self._look, room))]
        if self.back:
            title = "write both state files: the image before is the good one"
            steps.append(Act(PlannedStep("rollback", title, 1.0, 60.0), partial(self._go_back, room)))
        if self.confirm is not None:
            steps.append(Act(CONFIRM, partial(self._keep, room, self.confirm)))
        return maintenance_job(self.prepared, room, self.boot, steps, purpose=self.purpose)

    @property
    def purpose(self) -> str:
        """What it is for, as the command says it."""
        return "rollback" if self.back else "slots" if self.confirm is None else "slots --confirm"

    def run(
        self, display: Display | None = None, person: Person | None = None, stop: Stop | None = None
    ) -> Finished:
        """Do it; `seen` says afterwards what was found. `stop` ends what runs in a thread."""
        twin, keep = with_disk(self.board, self.boot), self.boot.keep_twin
        with Session(
            self.board, self.purpose, keep_twin=keep, twin=twin, person=person, stop=stop
        ) as session:
            return self.run_in(partial(run_job, self.lab, session, display=display))

    def run_in(self, run: Callable[[Job], Finished]) -> Finished:
        """Do it with `run`, on a board that is ours already; what was found is kept in the run's folder."""
        done = run(self.job)
        with suppress(LabError):  # a full disk keeps it from the folder, not from the person
            RunFolder(done.folder).write_json(SLOTS, self.told(done))
        return done

    def told(self, done: Finished) -> dict[str, Any]:
        """Return how it ended and what was found as plain JSON data."""
        return {**done.verdict, **self.seen.to_dict()}

    def _look(self, room: Room, run: Run) -> None:
        seen = self.seen
        seen.disks = room.disks
        seen.disk = self._ours(room.disks)
        seen.slots = slots_of(room.ramdisk, seen.disk, LETTERS)
        seen.careful = tell_rivals(run, room.disks, seen.disk)
        run.emit("disk", "disk.slots", f"{seen.disk}: slot {seen.slots.good} is good", **seen.slots.to_dict())

    def _ours(self, disks: tuple[Disk, ...]) -> Disk:
        named = self.board.disk if self.disk is None else self.disk
        if named is not None:
            return choose(disks, Wish(0, named=named, bios=False))
        ours = [disk for disk in disks if disk.contents.is_ours]
        if len(ours) == 1:
            return ours[0]
        if ours:
            listed = "; ".join(map(str, ours))
            hint = f"--disk {ours[0].serial or ours[0].path}"
            raise UsageError(f"{len(ours)} disks have slots: {listed}", hint=hint)
        listed = "; ".join(f"{disk}: {disk.contents}" for disk in disks) or "none"
        raise LabError(
            f"no disk of {self.board.name} was written by bringup; its disks: {listed}",
            hint=f"bringup reimage {self.board.name} IMAGE",
        )

    def _go_back(self, room: Room, run: Run) -> None:
        seen = self.seen
        assert seen.disk is not None and seen.slots is not None  # noqa: S101
        letter, actions = rollback(seen.slots)
        seen.slots = settle(run, room, seen.disk, seen.slots, letter, actions)
        seen.chosen = letter
        manifest = seen.slots.slot(letter).manifest
        what = f": {manifest.title} ({manifest.image_id})" if manifest else ""
        run.emit("disk", "disk.rolled_back", f"slot {letter} starts from now on{what}", slot=letter)

    def _keep(self, room: Room, image_id: str, run: Run) -> None:
        seen = self.seen
        assert seen.disk is not None and seen.slots is not None  # noqa: S101
        seen.chosen, seen.slots = keep_tried(run, room, seen.disk, seen.slots, image_id)
        manifest = seen.slots.slot(seen.chosen).manifest
        if manifest is not None and manifest.capture is not None:
            notes = (seen.careful, _drift_words(self.board, manifest.capture))
            seen.careful = "; ".join(filter(None, notes)) or None


def _drift_words(board: Board, capture: str) -> str | None:
    """Return what to know of an image that was made for another capture than the board's newest."""
    from bringup.boot.drift import is_latest_capture

    if is_latest_capture(board.name, capture) is not False:
        return None
    return f"it was made for an older capture of {board.name}: bringup pci diff tells what changed since"


def plan_slots(
    lab: Lab,
    board_name: str,
    boot: BootRequest | None = None,
    *,
    disk: str | None = None,
    back: bool = False,
    confirm: str | None = None,
    ramdisk: Callable[[], Image] | None = None,
) -> PlannedSlots:
    """Return a look at a board's slots that may begin, and with `back` the way back to the image before.

    With `confirm`, the id of an image, that one is kept which was tried and has it. Raises what forbids it.
    `ramdisk` returns what is booted.
    """
    board = lab.board(board_name)
    boot = boot or BootRequest()
    return PlannedSlots(lab, board, boot, prepare_maintenance(board, boot, ramdisk), disk, back, confirm)
