"""Which slot starts from now on: written into both state files by the ramdisk, and looked at again.

It is the second way to keep an image that came up; the first is a key at the loader (`disk_boot`), which a
console that lost a line has not heard or not asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bringup.base.errors import LabError
from bringup.boot.plan import PlannedStep
from bringup.boot.step import Step
from bringup.disk.choose import Disk
from bringup.disk.commit import Action, confirm, is_kept
from bringup.disk.layout import Letter
from bringup.disk.slots import DiskSlots
from bringup.jobs.reimage.carry_out import CarryOut
from bringup.jobs.reimage.ramdisk import Act, Room, progress_teller
from bringup.jobs.reimage.survey import ensure_same, slots_of

if TYPE_CHECKING:
    from bringup.boot.engine import Run

CONFIRM = PlannedStep(
    "confirm", "write both state files: the image that was tried is the good one; look again", 1.0, 60.0
)
LOOK = PlannedStep("slots", "read what is in its slots, and whether it is whole", 3.0, 300.0)


def settle(
    run: Run, room: Room, disk: Disk, slots: DiskSlots, letter: Letter, actions: Sequence[Action]
) -> DiskSlots:
    """Carry out what makes `letter` the good slot, and return the slots as they are read then."""
    ensure_same(room.ramdisk, disk)
    CarryOut(room.ramdisk, disk.handle, disk.sector_bytes, progress_teller(run)).all(actions)
    # The files of both are those that were just looked at.
    after = replace(slots_of(room.ramdisk, disk), slots=slots.slots)
    state = after.state
    if state is None or state.good != letter or state.trial or state.tried:
        raise LabError(
            "the state files read back as other than they were written",
            hint="the disk is not to be trusted: replace it",
        )
    return after


def keep_tried(run: Run, room: Room, disk: Disk, slots: DiskSlots, image_id: str) -> tuple[Letter, DiskSlots]:
    """Make the image that was tried the good one, if it is that one, and tell; return its slot, and both.

    Raises LabError for another image, and where none was tried.
    """
    letter, actions = confirm(slots, image_id)
    after = settle(run, room, disk, slots, letter, actions)
    _tell(run, after, letter, image_id, "starts from now on")
    return letter, after


def _tell(run: Run, slots: DiskSlots, letter: Letter, image_id: str, what: str) -> None:
    manifest = slots.slot(letter).manifest
    title = f": {manifest.title} ({image_id})" if manifest else ""
    run.emit("disk", "disk.confirmed", f"slot {letter} {what}{title}", slot=letter, image_id=image_id)


class KeepByRamdisk:
    """Keeps, on the disk that a re-image wrote, the image that came up; `kept` is whether it is.

    The key at the loader may have been heard although nothing of it was seen: then there is nothing to do.
    """

    def __init__(self, disk: Disk, letter: Letter, image_id: str) -> None:
        self._disk = disk
        self._letter = letter
        self._image_id = image_id
        self._slots: DiskSlots | None = None
        self.kept = False

    def steps(self, room: Room) -> tuple[Step, ...]:
        """Return them in order."""
        return (
            _Why(self._letter),
            Act(LOOK, partial(self._look, room)),
            Act(CONFIRM, partial(self._keep, room)),
        )

    def _look(self, room: Room, run: Run) -> None:
        # The kernel may give it another name in each boot.
        same = [disk for disk in room.disks if disk.identity == self._disk.identity]
        if len(same) != 1:
            raise LabError(
                f"{self._disk}, which was written, is not there any more", hint="bringup slots BOARD tells"
            )
        self._disk = same[0]
        slots = self._slots = slots_of(room.ramdisk, self._disk, (self._letter,))
        run.emit("disk", "disk.slots", f"{self._disk}: slot {slots.good} is good", **slots.to_dict())

    def _keep(self, room: Room, run: Run) -> None:
        slots = self._slots
        assert slots is not None  # noqa: S101
        if is_kept(slots, self._letter, self._image_id):
            _tell(run, slots, self._letter, self._image_id, "is the good one already, the key was heard")
        else:
            keep_tried(run, room, self._disk, slots, self._image_id)
        self.kept = True


class _Why(Step):
    """Says why a board that came up is booted into the ramdisk."""

    planned = PlannedStep("why", "the loader was not seen to keep the image: the ramdisk does", 0.0, 1.0)

    def __init__(self, letter: Letter) -> None:
        self._letter = letter

    def ahead(self, run: Run) -> None:
        """Tell, before the board is started."""
        text = f"slot {self._letter} came up, and the loader was not seen to keep it: the ramdisk does"
        run.emit("disk", "disk.next", text, slot=self._letter, kept_then=True)

    def enter(self, run: Run) -> None:
        """It was said."""
