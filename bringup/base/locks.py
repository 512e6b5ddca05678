"""Locks on parts of a file that belong to whoever has it open, and end with the last process that has.

Open file description locks of Linux (fcntl(2)): two opens of one process exclude each other, whoever inherits
the descriptor shares the lock, and whether somebody else has one can be asked without taking it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import time

# struct flock on 64 bits: type, whence, start, length (0: to the end), process (0).
_FLOCK = "@hhqqi0q"
_PAUSE_S = 0.005


def take(descriptor: int, start: int = 0, length: int = 0) -> bool:
    """Lock a part of a file that is open for writing; return False where somebody else has it.

    Raises OSError where the file system has no locks.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(fcntl.F_WRLCK, start, length))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def take_within(descriptor: int, seconds: float, start: int = 0, length: int = 0) -> bool:
    """Lock a part of a file, waiting for whoever has it; return False where it was not had in time."""
    deadline_s = time.monotonic() + seconds
    while not take(descriptor, start, length):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(_PAUSE_S)
    return True


def drop(descriptor: int, start: int = 0, length: int = 0) -> None:
    """Unlock a part of a file."""
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _flock(fcntl.F_UNLCK, start, length))


def is_taken(descriptor: int, start: int = 0, length: int = 0) -> bool:
    """Return whether somebody else has a lock there; nothing is locked for it."""
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _flock(fcntl.F_WRLCK, start, length))
    return bool(struct.unpack(_FLOCK, answer)[0] != fcntl.F_UNLCK)


def _flock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)
