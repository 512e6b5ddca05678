"""What is written to a disk, in which order, with which barriers: pure, so that every prefix can be judged.

The order is what makes an update safe against a power cut at any moment: nothing names a slot while it is
written, nothing names it before it was flushed and read back, and of the two state files one is always whole
and right. Drives that say they flushed and did not are outside of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bringup.base.errors import LabError
from bringup.disk.fat.make import FatFile, FatImage, FatShape, make_fat
from bringup.disk.layout import (
    BIOS,
    ESP,
    MIB,
    STATE,
    Layout,
    Letter,
    backup_table,
    primary_table,
    protective_mbr,
    unfinished_sector,
)
from bringup.disk.pieces import Pieces, Zeros
from bringup.disk.slot_image import SlotImage
from bringup.disk.slots import DiskSlots
from bringup.disk.state import STATE_FILES, State, other

CHUNK_BYTES = 16 << 20
"""How much is sent and written at a time."""


@dataclass(frozen=True, slots=True)
class Write:
    """Write `content` at byte `offset` of the disk; `what` is what it is called to people."""

    offset: int
    content: Pieces
    what: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Make the drive keep all that was written: nothing that follows may reach it before."""


@dataclass(frozen=True, slots=True)
class Compare:
    """Read `length` bytes at `offset` back from the drive and compare; what differs ends the job."""

    offset: int
    length: int
    sha256: str
    what: str


Action = Write | Flush | Compare


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a `Write` that is sent at once: at most `CHUNK_BYTES`, with its SHA-256."""

    offset: int
    length: int
    sha256: str
    write: Write

    def blocks(self) -> Iterator[bytes]:
        """Yield its bytes, at most a MiB at a time; raises ImageError when a file has changed."""
        return self.write.content.blocks(self.offset - self.write.offset, self.length)


@dataclass(frozen=True, slots=True)
class Loader:
    """The boot loader's bytes: for sector 0 (at most 440), the core image for BIOS, the program for UEFI.

    `boot_code` and `core` are empty for a disk that is started by UEFI only.
    """

    boot_code: bytes
    core: bytes
    efi: bytes


def chunks(write: Write, size: int = CHUNK_BYTES) -> Iterator[Chunk]:
    """Yield a write in parts of at most `size` bytes, hashing each as it is asked for; raises ImageError."""
    for at in range(0, write.content.size, size):
        length = min(size, write.content.size - at)
        yield Chunk(write.offset + at, length, write.content.sha256(at, length), write)


def install(layout: Layout, loader: Loader, slot: SlotImage) -> tuple[Action, ...]:
    """Return how a disk is written from nothing: slot A good, slot B empty.

    Until this ends nothing boots from the disk: the first sector of all is written last. Until then it says
    that an installation began here, so that whoever looks knows what the rest is.
    """
    sector = layout.sector_bytes
    end = layout.disk_bytes // sector * sector
    backup_at, backup = backup_table(layout)
    part_a, part_b = layout.slot("A"), layout.slot("B")
    states = state_volume(layout, State(good="A"))
    esp = esp_volume(layout, loader)
    begin = (Write(0, Pieces.of(unfinished_sector(layout)), "first sector"),)
    clear = (
        Write(sector, Pieces.of(Zeros(MIB - sector)), "clearing the disk's begin"),
        Write(end - MIB, Pieces.of(Zeros(MIB)), "clearing the disk's end"),
    )
    contents = (
        Write(part_a.start, slot.content, "slot A"),
        # What lies there from before must not pass for a slot.
        Write(part_b.start, Pieces.of(Zeros(MIB)), "clearing slot B"),
        Write(layout.part(ESP).start, esp.used, "loader for UEFI"),
        *([Write(layout.part(BIOS).start, Pieces.of(loader.core), "loader for BIOS")] if loader.core else []),
        Write(layout.part(STATE).start, states.used, "state"),
    )
    tables = (
        Write(backup_at, Pieces.of(backup), "second partition table"),
        Write(sector, Pieces.of(primary_table(layout)), "partition table"),
    )
    first = (Write(0, Pieces.of(protective_mbr(layout, loader.boot_code)), "first sector"),)
    return tuple(action for group in (begin, clear, contents, tables, first) for action in _settled(*group))


def update(disk: DiskSlots, slot: SlotImage) -> tuple[Action, ...]:
    """Return how the idle slot gets a new image, which is then on trial.

    Raises LabError when no slot is good: then there is nothing to go back to, and the disk is installed anew.
    """
    state = _known_state(disk)
    idle = other(state.good)
    part = disk.layout.slot(idle)
    actions = list(_agreed(disk, state))
    if idle in (state.trial, state.tried):
        state = state.settled(state.good)
        actions += _states(disk, state)
    actions += _settled(Write(part.start, slot.content, f"slot {idle}"))
    return (*actions, *_states(disk, state.with_trial(idle, slot.manifest.image_id)))


def confirm(disk: DiskSlots, image_id: str) -> tuple[Letter, tuple[Action, ...]]:
    """Return the slot of the image that was tried, and how it becomes the good one.

    Raises LabError when nothing was tried, another image than the one with `image_id` was or lies there now,
    or it is known to be damaged.
    """
    state = disk.state
    if state is None:
        raise LabError("both state files of this disk are damaged, and so nothing tells what was tried")
    if state.tried is None:
        raise _nothing_tried(disk, state, image_id)
    if state.image_id != image_id:
        raise LabError(f"the image that was tried is {state.image_id or 'without id'}, not {image_id}")
    slot = disk.slot(state.tried)
    if slot.intact is False or slot.manifest is None:
        raise LabError(
            f"slot {slot.letter} was tried and is damaged: {slot.problem or 'it is empty'}",
            hint="bringup reimage BOARD IMAGE",
        )
    if slot.manifest.image_id != image_id:
        raise LabError(f"slot {slot.letter} was tried and holds {slot.manifest.image_id} now, not {image_id}")
    return slot.letter, (*_agreed(disk, state), *_states(disk, state.settled(slot.letter)))


def _nothing_tried(disk: DiskSlots, state: State, image_id: str) -> LabError:
    if state.trial is not None:
        return LabError(
            f"image {state.image_id or 'without id'} is on trial and was not started yet: nothing was tried",
            hint="start the board once from its disk, and see the image come up",
        )
    if is_kept(disk, state.good, image_id):
        return LabError(f"nothing is on trial: {image_id} in slot {state.good} is the good one already")
    return LabError("no image was tried on this disk since the last one was confirmed")


def is_kept(disk: DiskSlots, letter: Letter, image_id: str) -> bool:
    """Return whether a slot is the good one with that image in it, and nothing is on trial or tried."""
    state, manifest = disk.state, disk.slot(letter).manifest
    settled = state is not None and disk.good == letter == state.good and not (state.trial or state.tried)
    return settled and manifest is not None and manifest.image_id == image_id


def rollback(disk: DiskSlots) -> tuple[Letter, tuple[Action, ...]]:
    """Return the slot that is started from now on, and how: the one before the last change.

    An image on trial or tried is given up, and the good one stays; else the other slot becomes the good one.
    Raises LabError when there is none or it is known to be damaged.
    """
    state = disk.state or _known_state(disk)
    target = state.good if state.trial or state.tried else other(state.good)
    slot = disk.slot(target)
    if not slot.has_image:
        why = slot.problem or "nothing was written to it"
        raise LabError(f"slot {target} has no image to go back to: {why}", hint="bringup reimage BOARD IMAGE")
    return target, (*_agreed(disk, state), *_states(disk, state.settled(target)))


def _known_state(disk: DiskSlots) -> State:
    """Return the state that counts; where both files are bad, or name what starts nothing, what GRUB does."""
    if disk.good is None:
        raise LabError(
            "neither slot of this disk has an image that can be started",
            hint="bringup reimage BOARD IMAGE --relayout",
        )
    if disk.state is None:
        return State(good=disk.good, n=0)
    return disk.state if disk.state.good == disk.good else disk.state.settled(disk.good)


def _agreed(disk: DiskSlots, state: State) -> Iterator[Action]:
    """Yield what makes both files say what counts already, so that the first one may then be torn."""
    for copy, at, name in zip(disk.copies, disk.places, STATE_FILES, strict=True):
        if copy != state:
            yield from _settled(Write(at, Pieces.of(state.page()), name))


def _states(disk: DiskSlots, state: State) -> Iterator[Action]:
    for at, name in zip(disk.places, STATE_FILES, strict=True):
        yield from _settled(Write(at, Pieces.of(state.page()), name))


def _settled(*writes: Write) -> Iterator[Action]:
    """Yield writes, a barrier, and that all of it is read back."""
    yield from writes
    yield Flush()
    for write in writes:
        yield Compare(write.offset, write.content.size, write.content.sha256(), write.what)


def state_volume(layout: Layout, state: State) -> FatImage:
    """Return the file system with the two state files, each in a page of its own."""
    part = layout.part(STATE)
    block = Pieces.of(state.block())
    shape = FatShape(part.size, layout.sector_bytes, 4096, root_entries=128, label="STATE")
    return make_fat([FatFile(name, block) for name in STATE_FILES], shape)


def esp_volume(layout: Layout, loader: Loader) -> FatImage:
    """Return the EFI system partition: one program where firmware looks for it without being told."""
    part = layout.part(ESP)
    cluster = max(layout.sector_bytes, 512)
    shape = FatShape(part.size, layout.sector_bytes, cluster, label="ESP")
    return make_fat([FatFile("EFI/BOOT/BOOTX64.EFI", Pieces.of(loader.efi))], shape)


def bytes_written(actions: tuple[Action, ...]) -> int:
    """Return how many bytes a list of actions writes."""
    return sum(action.content.size for action in actions if isinstance(action, Write))
