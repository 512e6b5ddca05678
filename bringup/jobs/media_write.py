"""Writes a stick or disc image to a device of this host, and reads all of it back.

The device is held until the comparison is done; its first MiB is written last, so that half a stick does not
boot.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bringup.base.errors import DiskError, InterruptedRunError, LabError, UsageError, reason_of
from bringup.base.hashed_file import HashedFile
from bringup.base.size import mib_text
from bringup.disk.commit import Write
from bringup.disk.contents import Contents, Found, Kind, contents_of
from bringup.disk.layout import MIB
from bringup.disk.media import table_for
from bringup.disk.pieces import FileSpan, Pieces, Zeros
from bringup.disk.removable import BlockDevice, device_to_write
from bringup.jobs.block_devices import block_devices
from bringup.jobs.held_device import HeldDevice, held_device

_HEAD_BYTES = 64 << 10
_SYNC_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it came: `stage` in words, bytes done of all, and seconds since the stage began."""

    stage: str
    done: int
    total: int
    seconds: float


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class PlannedMedia:
    """A device, what is on it, and what will be written to it, in order."""

    image: Path
    device: BlockDevice
    contents: Contents
    writes: tuple[Write, ...]

    @property
    def size(self) -> int:
        """How many bytes are written."""
        return sum(write.content.size for write in self.writes)

    def run(self, report: Report = lambda _progress: None) -> None:
        """Write all and read it back; raises LabError, ImageError, and InterruptedRunError on Ctrl-C."""
        left = "is half written and does not boot"
        try:
            with held_device(self.device) as held:
                _write_all(held, self, report)
                left = "is written, and not all of it was read back"
                _compare_all(held, self, report)
                held.show_partitions()
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"{self.device.node} {left}", hint="the same command again writes and compares all of it"
            ) from None


def plan_media(
    image: Path, device: str, *, listing: Callable[[], Sequence[BlockDevice]] = block_devices
) -> PlannedMedia:
    """Return what will be written where, over what; nothing is touched. `listing` tells this host's disks.

    Any path that leads to a disk names it. Raises UsageError and LabError for a device that must not be
    written, or cannot be opened now, or an image that cannot be read.
    """
    try:
        found = image.stat()
        is_image = stat.S_ISREG(found.st_mode) and found.st_size >= MIB
        # Not before it is known: opening a pipe waits for somebody to write.
        head = _first_bytes(image) if is_image else b""
    except OSError as error:
        raise UsageError(f"{image} cannot be read: {reason_of(error)}") from None
    if not is_image:
        raise UsageError(f"{image} is no image of a stick or disc", hint="bringup media build makes one")
    chosen = device_to_write(os.path.realpath(device), listing(), found.st_size)
    whole = FileSpan(image, found.st_size, hashed=HashedFile(None, found.st_ctime_ns))
    writes = tuple(_writes(whole, head, chosen.size_bytes))
    return PlannedMedia(image, chosen, _looked_at(chosen), writes)


def _looked_at(device: BlockDevice) -> Contents:
    with held_device(device, to_write=False) as held:
        try:
            return contents_of(held.read, device.size_bytes, device.sector_bytes)
        except DiskError:
            return Contents((Found(Kind.UNKNOWN, "it cannot be read"),))


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD_BYTES)


def _writes(image: FileSpan, head: bytes, device_bytes: int) -> Iterator[Write]:
    size = image.size
    yield Write(0, Pieces.of(Zeros(MIB)), "clearing")
    if device_bytes >= size + MIB:
        # A second partition table of before would still be found there.
        yield Write(device_bytes - MIB, Pieces.of(Zeros(MIB)), "clearing")
    tables = table_for(head, size, device_bytes)
    # The last MiB of a stick image holds its table, and the device gets its own.
    end = size if tables is None else size - MIB
    yield Write(MIB, Pieces.of(replace(image, size=end - MIB, start=MIB)), "files")
    yield from tables or (Write(0, Pieces.of(replace(image, size=MIB)), "first MiB"),)


def _write_all(held: HeldDevice, planned: PlannedMedia, report: Report) -> None:
    done, begun = 0, time.monotonic()
    for write in planned.writes:
        at, synced = write.offset, write.offset
        for block in write.content.blocks():
            held.write(at, block)
            at += len(block)
            done += len(block)
            # Or all of it would be "written" to this host's memory at once, and then nothing would be told.
            if at - synced >= _SYNC_BYTES:
                held.sync(at)
                synced = at
            report(Progress("writing", done, planned.size, time.monotonic() - begun))
        # What follows may not be on the stick before this is.
        held.sync(at)


def _compare_all(held: HeldDevice, planned: PlannedMedia, report: Report) -> None:
    held.forget_cached()
    done, begun = 0, time.monotonic()
    for number, write in enumerate(planned.writes):
        at = write.offset
        for block in write.content.blocks():
            if held.read(at, len(block)) != _as_left(block, at, planned.writes[number + 1 :]):
                raise LabError(
                    f"{planned.device.node} does not hold what was written to it at {mib_text(at)}",
                    hint="another stick: this one loses data",
                )
            at += len(block)
            done += len(block)
            report(Progress("reading back", done, planned.size, time.monotonic() - begun))


def _as_left(block: bytes, at: int, later: Sequence[Write]) -> bytes:
    """Return a block as it is after later writes over it."""
    for write in later:
        first, last = max(at, write.offset), min(at + len(block), write.offset + write.content.size)
        if first < last:
            over = write.content.read(first - write.offset, last - first)
            block = block[: first - at] + over + block[last - at :]
    return block
