"""The files of one boot by the name a board asks for: an exact table, so there is no path to walk out of.

Who prepares a boot opens its files and hands them over open (`hold`): the process that speaks to the network
opens no path, needs no right to read anything, and goes on with the very file that was announced.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from bringup.base.hashed_file import HashedFile
from bringup.netboot.spec import ServedFile

_PROGRESS_EVERY_S = 0.2
_PROGRESS_AT_LEAST_EVERY_S = 1.0
_PROGRESS_STEP = 0.05
_SHOWN_MAX = 200


class ChangedFileError(Exception):
    """The file is not any more what it was when the boot was prepared."""


class HostError(Exception):
    """This host could not read the file in this moment, which says nothing about the file."""


# What is there is no file that can be read; everything else is trouble of this host.
_FILE_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO)


class Descriptor:
    """An open file; closed when the last who reads it has let go, so that its number is nobody else's."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        os.close(self.number)


class Held:
    """A file of a boot that is held open, or why it could not be opened (`problem`)."""

    def __init__(self, file: ServedFile, descriptor: Descriptor | None, problem: str = "") -> None:
        self.file = file
        self.descriptor = descriptor
        self.problem = problem
        self.announced = HashedFile(file.sha256, file.changed_ns)


def hold(file: ServedFile) -> Held:
    """Open a file of the boot; raises HostError when this host cannot now (no descriptor left, bad disk)."""
    try:
        # O_NONBLOCK: a pipe put in the file's place must not hold up anybody.
        number = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in _FILE_GONE:
            raise HostError(f"this host cannot read {file.path} now: {error.strerror}") from None
        return Held(file, None, f"cannot be read: {error.strerror}")
    return Held(file, Descriptor(number))


class Catalog:
    """What may be fetched; everything else does not exist."""

    def __init__(self, files: Iterable[Held]) -> None:
        self._by_path = {held.file.url_path: held for held in files}

    def find(self, name: str) -> Held | None:
        """Return the file for a name with or without its first slash, None if it is not one of the boot's."""
        return self._by_path.get("/" + name.removeprefix("/"))


def shown(name: str) -> str:
    """Return a name that a client sent as it may appear in events: short, and without control characters."""
    return "".join(char if char.isprintable() else "?" for char in name[:_SHOWN_MAX])


def open_served(held: Held) -> BinaryIO:
    """Return a reader of a file of the boot; raises ChangedFileError when it is not what was announced.

    Reads all of it where only its bytes tell.
    """
    file, descriptor = held.file, held.descriptor
    if descriptor is None:
        raise ChangedFileError(held.problem)
    now = os.fstat(descriptor.number)
    if not stat.S_ISREG(now.st_mode) or now.st_size != file.size:
        raise ChangedFileError(f"changed since the boot was prepared: {now.st_size} bytes, not {file.size}")
    if not held.announced.is_same(descriptor.number):
        raise ChangedFileError(
            "changed since the boot was prepared: these are not the bytes that were hashed"
        )
    return io.BufferedReader(_Reader(descriptor))


class _Reader(io.RawIOBase):
    """Reads a descriptor that others read too, from a place of its own."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._descriptor = descriptor
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        data = os.pread(self._descriptor.number, len(buffer), self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = os.fstat(self._descriptor.number).st_size + offset if base is None else base + offset
        return self._at


@dataclass(slots=True)
class ProgressThrottle:
    """Decides which steps of a transfer are worth an event: about 5 per second, and not for less than 5 %.

    Made with the file's size and the time at which the transfer began, in seconds of any clock.
    """

    size: int
    told_s: float
    told_bytes: int = 0

    def due(self, sent: int, now_s: float) -> bool:
        """Return whether to tell that `sent` bytes are on their way at `now_s`."""
        waited_s = now_s - self.told_s
        step = sent - self.told_bytes
        enough = step >= _PROGRESS_STEP * self.size or (step > 0 and waited_s >= _PROGRESS_AT_LEAST_EVERY_S)
        if waited_s < _PROGRESS_EVERY_S or not enough:
            return False
        self.told_bytes, self.told_s = sent, now_s
        return True
