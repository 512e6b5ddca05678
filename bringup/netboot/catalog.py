"""The files of one boot by the name a board asks for: an exact table, so there is no path to walk out of."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from bringup.netboot.spec import ServedFile

_PROGRESS_EVERY_S = 0.2
_PROGRESS_AT_LEAST_EVERY_S = 1.0
_PROGRESS_STEP = 0.05
_SHOWN_MAX = 200
_ARP_TABLE = Path("/proc/self/net/arp")
_ARP_COMPLETE = 0x2

IsStranger = Callable[[str], bool]


class ChangedFileError(Exception):
    """The file is not any more what it was when the boot was prepared."""


class HostError(Exception):
    """This host could not read the file in this moment, which says nothing about the file."""


# What is there is no file that can be read; everything else is trouble of this host.
_FILE_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM, errno.ENXIO)


class Catalog:
    """What may be fetched; everything else does not exist."""

    def __init__(self, files: Iterable[ServedFile]) -> None:
        self._by_path = {file.url_path: file for file in files}

    def find(self, name: str) -> ServedFile | None:
        """Return the file for a name with or without its first slash, None if it is not one of the boot's."""
        return self._by_path.get("/" + name.removeprefix("/"))


def shown(name: str) -> str:
    """Return a name that a client sent as it may appear in events: short, and without control characters."""
    return "".join(char if char.isprintable() else "?" for char in name[:_SHOWN_MAX])


def open_served(file: ServedFile) -> BinaryIO:
    """Open a file of the boot.

    Raises ChangedFileError when it is not the file that was announced, HostError when this host cannot read
    it now (no descriptor left, a disk that fails).
    """
    try:
        # O_NONBLOCK: a pipe put in the file's place must not hold up the server.
        descriptor = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        if error.errno not in _FILE_GONE:
            raise HostError(f"this host cannot read it now: {error.strerror}") from None
        raise ChangedFileError(f"cannot be read: {error.strerror}") from None
    now = os.fstat(descriptor)
    if not stat.S_ISREG(now.st_mode) or now.st_size != file.size:
        os.close(descriptor)
        raise ChangedFileError(f"changed since the boot was prepared: {now.st_size} bytes, not {file.size}")
    if file.changed_ns is not None and now.st_ctime_ns != file.changed_ns:
        os.close(descriptor)
        raise ChangedFileError(
            "changed since the boot was prepared: these are not the bytes that were hashed"
        )
    return os.fdopen(descriptor, "rb")


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


def is_stranger(table: str, address: str, macs: Iterable[str]) -> bool:
    """Return whether an ARP table in the format of proc_net_arp(5) gives `address` a MAC not in `macs`.

    An address the table does not know is no stranger: this host's own, or one the kernel has yet to ask for.
    """
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 4 and fields[0] == address and int(fields[2], 16) & _ARP_COMPLETE:
            return fields[3].lower() not in macs
    return False


def stranger_check(macs: tuple[str, ...]) -> IsStranger:
    """Return a check of client addresses against the kernel's ARP table of this network namespace."""

    def check(address: str) -> bool:
        try:
            return is_stranger(_ARP_TABLE.read_text(encoding="ascii"), address, macs)
        except (OSError, ValueError):
            return False

    return check
