"""A disk of this host while it is written: held so that nobody can mount it, and known to be still the same.

The kernel refuses to open it where anything on it is mounted or held (open(2), O_EXCL), also by what this
process cannot see, as another mount namespace, and refuses all of these until it is closed.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bringup.base.errors import DiskError, LabError, reason_of
from bringup.base.size import mib_text
from bringup.disk.removable import BlockDevice

_SEQUENCE_ASKED = 0x80081280
"""BLKGETDISKSEQ: include/uapi/linux/fs.h of Linux, since 5.15."""
_LOOK_AGAIN = 0x125F
"""BLKRRPART, ibid.; udev does it, too, where it runs."""
_AWAY = (errno.ENXIO, errno.ENODEV, errno.ENOMEDIUM, errno.ENOENT)
_REASONS = {errno.EBUSY: "it is in use", errno.EROFS: "it is write-protected"}


class HeldDevice:
    """A device that is open; all that goes wrong is a DiskError that says where."""

    def __init__(self, device: BlockDevice, descriptor: int) -> None:
        self._device = device
        self._descriptor = descriptor

    def write(self, at: int, data: bytes) -> None:
        """Write all of `data` to the byte `at`."""
        try:
            while data:
                written = os.pwrite(self._descriptor, data, at)
                data, at = data[written:], at + written
        except OSError as error:
            raise self._failed("writing", at, error) from None

    def sync(self, at: int) -> None:
        """Return when what was written is on the device; `at` is how far that is."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise self._failed("writing", at, error) from None

    def read(self, at: int, length: int) -> bytes:
        """Return `length` bytes from the byte `at` on."""
        data = b""
        try:
            while len(data) < length:
                block = os.pread(self._descriptor, length - len(data), at + len(data))
                if not block:
                    raise OSError(errno.EIO, "it ends there")
                data += block
        except OSError as error:
            raise self._failed("reading", at, error) from None
        return data

    def forget_cached(self) -> None:
        """Let this host forget what it has in memory of the device, or that would be read."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def show_partitions(self) -> None:
        """Let the kernel look which partitions there are now; a device that has none is left alone."""
        with suppress(OSError):
            fcntl.ioctl(self._descriptor, _LOOK_AGAIN)

    def is_there(self) -> bool:
        """Return whether it is the device that was listed, with its medium."""
        device = self._device
        try:
            size = os.lseek(self._descriptor, 0, os.SEEK_END)
            numbers = {os.fstat(self._descriptor).st_rdev, Path(device.node).stat().st_rdev}
        except OSError:
            return False
        same_medium = device.sequence in (None, _sequence(self._descriptor))
        return same_medium and (size, numbers) == (device.size_bytes, {device.number})

    def _failed(self, doing: str, at: int, error: OSError) -> DiskError:
        node, place = self._device.node, mib_text(at)
        if error.errno in _AWAY or not self.is_there():
            return DiskError(
                f"{node} went away while {doing} at {place}: it was pulled out, or lost its connection",
                hint="another port, without a hub between; then the same command again",
            )
        return DiskError(
            f"{doing} {node} at {place} failed: {reason_of(error)}",
            hint="another stick, or another port: this one is not to be trusted",
        )


@contextmanager
def held_device(device: BlockDevice, *, to_write: bool = True) -> Iterator[HeldDevice]:
    """Yield a device that was listed, held; raises LabError when that cannot be, or it is another one now."""
    try:
        way = os.O_RDWR if to_write else os.O_RDONLY
        descriptor = os.open(device.node, way | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        raise _not_opened(device, error) from None
    try:
        held = HeldDevice(device, descriptor)
        if not held.is_there():
            raise LabError(f"{device.node} is another device now", hint="look again, and start again")
        yield held
    finally:
        os.close(descriptor)


def _not_opened(device: BlockDevice, error: OSError) -> LabError:
    if error.errno in _AWAY:
        return LabError(f"{device.node} is not there any more", hint="plug it in again, and start again")
    hint = "sudo, or the group `disk`" if isinstance(error, PermissionError) else None
    if error.errno == errno.EBUSY:
        hint = f"`sudo fuser -vm {device.node}` may tell by whom; a mount in a container counts, too"
    reason = _REASONS.get(error.errno or 0) or reason_of(error)
    return LabError(f"{device.node} cannot be opened: {reason}", hint=hint)


def _sequence(descriptor: int) -> int | None:
    """Return the number that the kernel gave to this disk and medium, None where it counts none."""
    try:
        answer = fcntl.ioctl(descriptor, _SEQUENCE_ASKED, bytes(8))
    except OSError:
        return None
    return int(struct.unpack("=Q", answer)[0])
