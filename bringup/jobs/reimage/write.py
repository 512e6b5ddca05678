"""What is written to the chosen disk: decided from what is on it, agreed by a person, carried out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bringup.base.errors import LabError
from bringup.base.firmware import Firmware
from bringup.base.size import rough_size
from bringup.boot.plan import PlannedStep
from bringup.boot.preflight import Prepared
from bringup.boot.step import Step
from bringup.disk.choose import Disk, choose, wish_for
from bringup.disk.commit import Action, bytes_written, install, update
from bringup.disk.layout import Letter, least_disk_bytes, make_layout
from bringup.disk.manifest import Manifest
from bringup.disk.slot_image import SlotImage, make_slot_image
from bringup.disk.slots import DiskSlots
from bringup.disk.state import other
from bringup.jobs.reimage.carry_out import CarryOut
from bringup.jobs.reimage.ramdisk import Act, Room, progress_teller, tell_rivals
from bringup.jobs.reimage.request import ReimageRequest
from bringup.jobs.reimage.survey import ensure_same, slots_to_update
from bringup.lab.who import person as who_works_here

if TYPE_CHECKING:
    from bringup.boot.engine import Run

NOT_ERASED = "overwritten, not erased"


@dataclass(slots=True)
class Outcome:
    """What one re-image came to, filled in step by step.

    `came_up` is whether the image was seen to come up from the disk; `kept` is None where the key was pressed
    that keeps it, and nobody saw what that did.
    """

    disk: Disk | None = None
    action: str | None = None
    slot: Letter | None = None
    image_id: str | None = None
    before_id: str | None = None
    begun: bool = False
    written: bool = False
    seconds: float | None = None
    bytes_sent: int = 0
    bytes_there: int = 0
    came_up: bool = False
    kept: bool | None = False
    careful: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data."""
        return {
            "disk": None if self.disk is None else self.disk.to_dict(),
            "action": self.action,
            "slot": self.slot,
            "image_id": self.image_id,
            "before_id": self.before_id,
            "begun": self.begun,
            "written": self.written,
            "write_s": self.seconds,
            "bytes_sent": self.bytes_sent,
            "bytes_there": self.bytes_there,
            "came_up": self.came_up,
            "kept": self.kept,
            "careful": self.careful,
        }


class WriteImage:
    """The steps that choose a disk, ask, and write the image; `outcome` is what came of it."""

    def __init__(
        self,
        room: Room,
        prepared: Prepared,
        request: ReimageRequest,
        outcome: Outcome,
        capture: str | None = None,
    ) -> None:
        self._room = room
        self._prepared = prepared
        self._request = request
        self._outcome = outcome
        self._capture = capture
        self._actions: tuple[Action, ...] = ()
        self._loss = self._question = ""

    def steps(self) -> tuple[Step, ...]:
        """Return them in order."""
        who = "asked by nobody: --yes" if self._request.yes else "a person says yes"
        return (
            Act(PlannedStep("choose", "choose the disk, and what is written to it", 1.0, 60.0), self._choose),
            Act(PlannedStep("consent", f"say what is {NOT_ERASED}; {who}", 0.0, 600.0), self._agree),
            Act(PlannedStep("write", "write, flush, read back and compare", 30.0, 7200.0), self._write),
        )

    def _choose(self, run: Run) -> None:
        request, prepared, outcome = self._request, self._prepared, self._outcome
        bios = prepared.watch.firmware is Firmware.BIOS
        board = prepared.board
        wish = wish_for(
            prepared.profile.disk,
            least_disk_bytes(request.slot_size(prepared.profile.disk)),
            named=board.disk if request.disk is None else request.disk,
            standing=request.disk is None,
            bios=bios,
            other_boards=board.neighbour_disks,
        )
        disk = outcome.disk = choose(self._room.disks, wish)
        slots = None
        if disk.contents.is_ours and not request.relayout:
            slots = slots_to_update(self._room.ramdisk, disk)
        if slots is None or slots.good is None:
            self._plan_install(disk)
        else:
            _tell_damage(run, slots)
            self._plan_update(disk, slots)
        text = f"{disk}: {outcome.action}, slot {outcome.slot}, {rough_size(bytes_written(self._actions))}"
        outcome.careful = tell_rivals(run, self._room.disks, disk)
        run.emit("disk", "disk.chosen", text, **outcome.to_dict())

    def _plan_install(self, disk: Disk) -> None:
        from bringup.disk.grub import Console, make_loader

        storage = self._prepared.profile.disk
        slot_bytes = self._request.slot_size(storage)
        active = storage.active_mbr is not None and storage.active_mbr.value
        layout = make_layout(disk.size_bytes, disk.sector_bytes, slot_bytes, bootable=active)
        console = Console(self._prepared.board.kernel_port, self._prepared.board.line_rate)
        slot = self._slot_image(slot_bytes, disk.sector_bytes)
        self._actions = install(layout, make_loader(layout, console), slot)
        outcome = self._outcome
        outcome.action, outcome.slot, outcome.image_id = "install", "A", slot.manifest.image_id
        self._loss = (
            f"{disk} {_holds(disk)}; all of it is {NOT_ERASED}, and until this ends nothing boots "
            "from this disk"
        )
        self._question = self._ask_for(slot)

    def _plan_update(self, disk: Disk, slots: DiskSlots) -> None:
        good = slots.good
        assert good is not None  # noqa: S101
        idle = other(good)
        slot = self._slot_image(slots.layout.slot(idle).size, disk.sector_bytes)
        self._actions = update(slots, slot)
        outcome, kept = self._outcome, slots.slot(good).manifest
        outcome.action, outcome.slot, outcome.image_id = "update", idle, slot.manifest.image_id
        outcome.before_id = kept.image_id if kept else None
        good_has = f"{kept.title} ({kept.image_id})" if kept else "what it has"
        before = slots.slot(idle).manifest
        holds = f"holds {before.title} ({before.image_id})" if before else "holds no image"
        self._loss = (
            f"Slot {idle} of {disk} {holds} and is {NOT_ERASED}; slot {good} keeps {good_has} and stays good"
        )
        self._question = self._ask_for(slot)

    def _ask_for(self, slot: SlotImage) -> str:
        image, board = slot.manifest, self._prepared.board.name
        return f"{self._loss}. Write {image.title} ({image.image_id}) to the disk of {board}?"

    def _slot_image(self, slot_bytes: int, sector_bytes: int) -> SlotImage:
        image = self._prepared.image
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        manifest = Manifest.of(image, written_at=now, written_by=who_works_here(), capture=self._capture)
        return make_slot_image(image, manifest, slot_bytes, sector_bytes)

    def _agree(self, run: Run) -> None:
        if self._request.yes:
            run.emit("disk", "disk.consent", f"--yes: {self._loss}")
            return
        person = run.equipment.person
        refusal = LabError(
            f"nobody said yes, and nothing was written to {self._outcome.disk}",
            hint="start it again and answer at the terminal; a script says --yes",
        )
        if person is None:
            raise refusal
        run.emit("disk", "disk.ask", self._question)
        try:
            answer = person.choose(self._question, ("yes", "no"))
        except LabError:
            raise refusal from None
        if answer != "yes":
            raise LabError(f"answered no: nothing was written to {self._outcome.disk}")
        run.emit("disk", "disk.consent", "yes: it is written")

    def _write(self, run: Run) -> None:
        outcome = self._outcome
        disk = outcome.disk
        assert disk is not None  # noqa: S101
        # A person may have taken minutes to say yes, with a hand on the drives.
        ensure_same(self._room.ramdisk, disk)
        outcome.begun = True
        run.standing.disk = self._while_writing()
        began_s = time.monotonic()
        work = CarryOut(self._room.ramdisk, disk.handle, disk.sector_bytes, progress_teller(run))
        try:
            work.all(self._actions)
        finally:
            outcome.bytes_sent, outcome.bytes_there = work.sent_bytes, work.skipped_bytes
        outcome.written, outcome.seconds = True, round(time.monotonic() - began_s, 1)
        run.standing.disk = f"its disk is written: {outcome.image_id} in slot {outcome.slot}"
        size = rough_size(bytes_written(self._actions))
        text = f"{size} written, read back and compared in {outcome.seconds} s ({NOT_ERASED})"
        run.emit("disk", "disk.written", text, **outcome.to_dict())

    def _while_writing(self) -> str:
        again = "the same command goes on where this ended"
        if self._outcome.action == "install":
            return f"its disk boots nothing until an installation has ended; {again}"
        before = self._outcome.before_id or "the image before"
        return f"its disk still starts {before}, which was not touched; {again}"


def _tell_damage(run: Run, slots: DiskSlots) -> None:
    """Tell where the slot that should start does not: what starts instead is kept."""
    named = None if slots.state is None else slots.slot(slots.state.good)
    if named is not None and named.letter != slots.good:
        why = named.problem or "it is empty"
        text = f"slot {named.letter} should start and cannot: {why}; slot {slots.good} is kept"
        run.emit("disk", "disk.damaged", text, slot=named.letter)


def _holds(disk: Disk) -> str:
    return "is empty" if disk.contents.is_empty else f"holds {disk.contents}"
