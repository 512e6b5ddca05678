"""Writes a stick or disc image to a device of this host, and reads all of it back.

The device is opened so that the kernel refuses when anything on it is mounted or held (open(2), O_EXCL), and
stays so until the comparison is done; its first MiB is written last, so that half a stick does not boot.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bringup.base.errors import InterruptedRunError, LabError, UsageError, reason_of
from bringup.base.hashed_file import HashedFile
from bringup.base.size import mib_text
from bringup.disk.commit import Write
from bringup.disk.layout import MIB
from bringup.disk.media import table_for
from bringup.disk.pieces import FileSpan, Pieces, Zeros
from bringup.disk.removable import BlockDevice, device_to_write
from bringup.jobs.block_devices import block_devices

_HEAD_BYTES = 64 << 10


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
    """A device and what will be written to it, in order."""

    image: Path
    device: BlockDevice
    writes: tuple[Write, ...]

    @property
    def size(self) -> int:
        """How many bytes are written."""
        return sum(write.content.size for write in self.writes)

    def run(self, report: Report = lambda _progress: None) -> None:
        """Write all and read it back; raises LabError, ImageError, and InterruptedRunError on Ctrl-C."""
        left = "is half written and does not boot"
        try:
            with _held(self.device) as descriptor:
                _write_all(descriptor, self, report)
                left = "is written, and not all of it was read back"
                _forget_cached(descriptor)
                _compare_all(descriptor, self, report)
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"{self.device.node} {left}", hint="the same command again writes and compares all of it"
            ) from None


def plan_media(
    image: Path, device: str, *, listing: Callable[[], Sequence[BlockDevice]] = block_devices
) -> PlannedMedia:
    """Return what will be written where; nothing is touched. `listing` tells this host's disks.

    Raises UsageError and LabError for a device that must not be written, or an image that cannot be read.
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
    chosen = device_to_write(device, listing(), found.st_size)
    whole = FileSpan(image, found.st_size, hashed=HashedFile(None, found.st_ctime_ns))
    return PlannedMedia(image, chosen, tuple(_writes(whole, head, chosen.size_bytes)))


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


@contextlib.contextmanager
def _held(device: BlockDevice) -> Iterator[int]:
    """Yield the device, held so that nobody can mount it; raises LabError when it is not as it was listed."""
    try:
        descriptor = os.open(device.node, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        hint = "sudo, or the group `disk`" if isinstance(error, PermissionError) else None
        reason = "it is in use" if error.errno == errno.EBUSY else reason_of(error)
        raise LabError(f"{device.node} cannot be opened: {reason}", hint=hint) from None
    try:
        found = (os.fstat(descriptor).st_rdev, os.lseek(descriptor, 0, os.SEEK_END))
        if found != (device.number, device.size_bytes):
            raise LabError(f"{device.node} is another device now", hint="look again, and start again")
        yield descriptor
    finally:
        os.close(descriptor)


def _write_all(descriptor: int, planned: PlannedMedia, report: Report) -> None:
    done, begun = 0, time.monotonic()
    for write in planned.writes:
        at = write.offset
        for block in write.content.blocks():
            _write_block(descriptor, planned.device, at, block)
            at += len(block)
            done += len(block)
            report(Progress("writing", done, planned.size, time.monotonic() - begun))
        # What follows may not be on the stick before this is.
        with _told(planned.device, at):
            os.fsync(descriptor)


def _write_block(descriptor: int, device: BlockDevice, at: int, block: bytes) -> None:
    with _told(device, at):
        while block:
            written = os.pwrite(descriptor, block, at)
            block, at = block[written:], at + written


def _forget_cached(descriptor: int) -> None:
    # Or the comparison would read this host's memory.
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _compare_all(descriptor: int, planned: PlannedMedia, report: Report) -> None:
    done, begun = 0, time.monotonic()
    for number, write in enumerate(planned.writes):
        at = write.offset
        for block in write.content.blocks():
            with _told(planned.device, at, "reading"):
                found = os.pread(descriptor, len(block), at)
            if found != _as_left(block, at, planned.writes[number + 1 :]):
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


@contextlib.contextmanager
def _told(device: BlockDevice, at: int, doing: str = "writing") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LabError(
            f"{doing} {device.node} at {mib_text(at)} failed: {reason_of(error)}",
            hint="the stick does not boot as it is; another stick, or another port",
        ) from None
