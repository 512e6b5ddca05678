"""Both slots of a disk as they are: which is good, which is on trial, what is in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from bringup.base.errors import LabError
from bringup.disk.fat.volume import FatError, FatVolume, Reader
from bringup.disk.layout import LETTERS, STATE, Layout, Letter, Partition
from bringup.disk.manifest import Manifest, parse_manifest
from bringup.disk.slot_image import HASHES, MANIFEST
from bringup.disk.state import BLOCK_BYTES, PAGE_BYTES, STATE_FILES, State, other, parse_state

Digest = Callable[[FatVolume, str], str]
"""The SHA-256 of a file of a slot; raises FatError, and OSError where the disk does."""

_LINE = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9_.-]{1,12})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot: `manifest` is None where there is none, and `problem` says what is wrong with it.

    A slot that was never written has neither. `intact` is whether every file has its hash, None where nobody
    looked.
    """

    letter: Letter
    manifest: Manifest | None = None
    problem: str | None = None
    intact: bool | None = None

    @property
    def starts_nothing(self) -> bool:
        """Whether it is known that nothing in it can be started: it is empty or damaged."""
        return self.intact is False or (self.manifest is None and self.problem is None)

    @property
    def has_image(self) -> bool:
        """Whether it has what starts, as far as is known: also one that a newer version has described."""
        return self.intact is True or (self.intact is None and self.manifest is not None)


@dataclass(frozen=True, slots=True)
class DiskSlots:
    """The slots of one disk. `copies` are the two state files as they are, None for one that counts as bad.

    `places` are the bytes on the disk where the two files begin.
    """

    layout: Layout
    copies: tuple[State | None, State | None]
    places: tuple[int, int]
    slots: tuple[Slot, Slot]

    @property
    def state(self) -> State | None:
        """What counts: the first file, else the second; None where both are bad."""
        return self.copies[0] or self.copies[1]

    def slot(self, letter: Letter) -> Slot:
        """Return a slot."""
        return self.slots[LETTERS.index(letter)]

    @property
    def good(self) -> Letter | None:
        """The slot that is started when nothing is on trial, as GRUB decides it.

        It is the one that the state names, unless that is known to start nothing. Then, and without any
        state, it is the first that is known to be whole, None where none is: `read_slots` with `check`.
        """
        named = None if self.state is None else self.state.good
        if named is not None and not self.slot(named).starts_nothing:
            return named
        order = LETTERS if named is None else (named, other(named))
        return next((letter for letter in order if self.slot(letter).intact), None)

    def role(self, letter: Letter) -> str:
        """Return what a slot is in one word: good, trial, tried, old, damaged, empty."""
        state, slot = self.state, self.slot(letter)
        if not slot.has_image:
            return "damaged" if slot.problem else "empty"
        if state is not None and letter == state.trial:
            return "trial"
        if state is not None and letter == state.tried:
            return "tried"
        return "good" if letter == self.good else "old"

    def to_dict(self) -> dict[str, Any]:
        """Return the slots as plain JSON data."""
        return {
            "good": self.good,
            "states_valid": [copy is not None for copy in self.copies],
            "slots": {
                slot.letter: {
                    "role": self.role(slot.letter),
                    "intact": slot.intact,
                    "problem": slot.problem,
                    "manifest": slot.manifest and slot.manifest.to_dict(),
                }
                for slot in self.slots
            },
        }


def file_digest(volume: FatVolume, name: str) -> str:
    """Return the SHA-256 of a file, all of which is read here; a `Digest`."""
    found = hashlib.sha256()
    for block in volume.blocks(name):
        found.update(block)
    return found.hexdigest()


def read_slots(
    read: Reader, layout: Layout, *, check: Collection[Letter] = (), digest: Digest = file_digest
) -> DiskSlots:
    """Return what is in the slots of a disk with this layout. Any bytes are taken; bad sectors, too.

    The files of the slots in `check` are compared with their hashes. Raises LabError when the state files
    have no place: then it is not a disk of this tool's.
    """
    places = state_places(read, layout)
    copies = tuple(_state(read, at) for at in places)
    slots = tuple(_slot(read, layout, letter, digest if letter in check else None) for letter in LETTERS)
    return DiskSlots(layout, (copies[0], copies[1]), places, (slots[0], slots[1]))


def state_places(read: Reader, layout: Layout) -> tuple[int, int]:
    """Return the bytes on the disk where the two state files begin; raises LabError, see `read_slots`."""
    part = layout.part(STATE)
    try:
        volume = FatVolume(read, part.start)
        runs = [volume.runs(name) for name in STATE_FILES]
        if all(len(run) == 1 and run[0][1] == BLOCK_BYTES for run in runs):
            first, second = runs[0][0][0], runs[1][0][0]
            if _have_pages(part, first, second):
                return first, second
        problem = "they are not of one block each, in a page of its own"
    except (FatError, OSError) as error:
        problem = str(error)
    raise LabError(
        f"the state files of this disk cannot be found: {problem}",
        hint="bringup reimage writes the whole layout again with --relayout",
    )


def _have_pages(part: Partition, first: int, second: int) -> bool:
    """Return whether what is written to one state file reaches neither the other nor another partition."""
    inside = all(part.start <= at <= part.end - PAGE_BYTES and at % PAGE_BYTES == 0 for at in (first, second))
    return inside and first != second


def _state(read: Reader, at: int) -> State | None:
    try:
        return parse_state(read(at, BLOCK_BYTES))
    except OSError:
        return None


def _slot(read: Reader, layout: Layout, letter: Letter, digest: Digest | None) -> Slot:
    start = layout.slot(letter).start
    try:
        if not any(read(start, layout.sector_bytes)):
            return Slot(letter)
        volume = FatVolume(read, start)
    except (FatError, OSError) as error:
        return Slot(letter, None, str(error), None if digest is None else False)
    manifest, unread = _described(volume)
    if digest is None:
        return Slot(letter, manifest, unread)
    damaged = damage(volume, digest)
    return Slot(letter, manifest, damaged or unread, damaged is None)


def _described(volume: FatVolume) -> tuple[Manifest | None, str | None]:
    """Return a slot's manifest, or why there is none: GRUB starts what it does not describe, too."""
    try:
        manifest = parse_manifest(volume.file(MANIFEST))
    except (FatError, OSError) as error:
        return None, str(error)
    return manifest, None if manifest else f"{MANIFEST} cannot be read"


def damage(volume: FatVolume, digest: Digest = file_digest) -> str | None:
    """Return what is wrong with the files of a slot as GRUB checks them, None when all is right."""
    try:
        listed = list(_listed(volume.file(HASHES)))
        for expected, name in listed:
            if digest(volume, name) != expected:
                return f"{name} is not what was written"
    except (FatError, OSError) as error:
        return str(error)
    return None if listed else f"{HASHES} is empty"


def _listed(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("ascii", "replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None:
            raise FatError(f"{HASHES} is damaged")
        yield match[1], match[2]
