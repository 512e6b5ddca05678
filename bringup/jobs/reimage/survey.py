"""Looking at a board's disks through its ramdisk: which there are, what is on them and in their slots."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

from bringup.base.errors import DiskError, LabError
from bringup.disk.choose import Disk
from bringup.disk.contents import Contents, Found, Kind, contents_of
from bringup.disk.layout import LETTERS, Letter
from bringup.disk.slots import Digest, DiskSlots, file_digest, read_slots
from bringup.probe.disk_text import read_disks

if TYPE_CHECKING:
    from bringup.disk.fat.volume import FatVolume

_BLOCK_BYTES = 256 << 10
_BLOCKS_KEPT = 256


class Reading(Protocol):
    """What can be asked of disks."""

    def disks(self) -> str:
        """Return what is told of every disk."""
        ...

    def read(self, disk: str, offset: int, length: int) -> bytes:
        """Return bytes of a disk; raises DiskError."""
        ...

    def hashes(self, disk: str, ranges: Sequence[tuple[int, int]]) -> tuple[str, ...]:
        """Return the SHA-256 of ranges; raises DiskError."""
        ...


def survey(agent: Reading) -> tuple[Disk, ...]:
    """Return the board's disks with what is on them."""
    return tuple(replace(disk, contents=look(agent, disk)) for disk in read_disks(agent.disks()))


def look(agent: Reading, disk: Disk) -> Contents:
    """Return what is on a disk; where its ends are empty, the board hashes what lies between."""
    read, hashes = partial(agent.read, disk.handle), partial(agent.hashes, disk.handle)
    try:
        return contents_of(read, disk.size_bytes, disk.sector_bytes, hashes)
    except DiskError as error:
        if error.why != "read":
            raise
        return Contents((Found(Kind.UNKNOWN, "it cannot be read"),))


def ensure_same(agent: Reading, disk: Disk) -> None:
    """Return when the kernel's name of a disk that was looked at before still means that disk.

    Raises LabError otherwise: a disk that is pulled gives its name to the next one that is plugged in, and
    one that was pulled and plugged in again may have been written elsewhere.
    """
    now = next((each for each in read_disks(agent.disks()) if each.name == disk.name), None)
    if now is None or (now.handle, now.identity) != (disk.handle, disk.identity):
        there = f"; in its place is {now}" if now else ""
        raise LabError(
            f"{disk} is not there any more{there}", hint="nothing was written: look again, and start again"
        )


def slots_of(agent: Reading, disk: Disk, check: Collection[Letter] = ()) -> DiskSlots:
    """Return what is in the slots of a disk that this tool wrote; raises LabError for another.

    The files of the slots in `check` are hashed by the board; where both state files are damaged, those of
    both slots are: then the first that is whole is good.
    """
    layout = disk.contents.layout
    if layout is None or not disk.contents.is_ours:
        raise LabError(
            f"{disk} was not written by bringup: {disk.contents}", hint="bringup reimage BOARD IMAGE"
        )
    read, digest = _Blocks(agent, disk).read, _on_board(agent, disk)
    slots = read_slots(read, layout, check=check, digest=digest)
    # What GRUB then starts is what its hashes tell, and an update must not write there.
    return slots if slots.state is not None else read_slots(read, layout, check=LETTERS, digest=digest)


def slots_to_update(agent: Reading, disk: Disk) -> DiskSlots:
    """Return the slots of a disk whose idle one may be written: the good one is whole.

    Where the one that the state names is not, GRUB starts the other, and that must not be written to.
    """
    slots = slots_of(agent, disk)
    if slots.state is None:
        return slots
    named = slots.state.good
    slots = slots_of(agent, disk, (named,))
    return slots if slots.good == named else slots_of(agent, disk, LETTERS)


def _on_board(agent: Reading, disk: Disk) -> Digest:
    """Return what has a slot's files hashed where they are, instead of fetching them."""

    def digest(volume: FatVolume, name: str) -> str:
        runs = volume.runs(name)
        if len(runs) != 1 or sum(runs[0]) > disk.size_bytes:
            return file_digest(volume, name)
        try:
            (found,) = agent.hashes(disk.handle, runs)
        except DiskError as error:
            raise _as_the_disks(error) from None
        return found

    return digest


def _as_the_disks(error: DiskError) -> Exception:
    """Return an error as that of a reader where the disk could not be read, as it is where anything else."""
    return OSError(error.message) if error.why == "read" else error


class _Blocks:
    """Reads any bytes of a disk by blocks, each fetched once: a file system is read in many small pieces."""

    def __init__(self, agent: Reading, disk: Disk) -> None:
        self._agent = agent
        self._disk = disk
        self._known: dict[int, bytes] = {}

    def read(self, offset: int, length: int) -> bytes:
        """Return bytes, fewer at the end of the disk; raises OSError where the disk does."""
        first, last = offset // _BLOCK_BYTES, (offset + length - 1) // _BLOCK_BYTES
        data = b"".join(self._block(number) for number in range(first, last + 1))
        start = offset - first * _BLOCK_BYTES
        return data[start : start + length]

    def _block(self, number: int) -> bytes:
        if number not in self._known:
            at = number * _BLOCK_BYTES
            length = min(_BLOCK_BYTES, self._disk.size_bytes - at)
            if len(self._known) >= _BLOCKS_KEPT:
                self._known.clear()
            try:
                self._known[number] = self._agent.read(self._disk.handle, at, length) if length > 0 else b""
            except DiskError as error:
                raise _as_the_disks(error) from None
        return self._known[number]
