"""Console text that somebody recorded: read in pieces from a file, a pipe or a run's folder, in bounds."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from bringup.base.errors import UsageError
from bringup.base.regular_file import is_folder
from bringup.base.size import rough_size
from bringup.console.log import log_path

TEXT_MAX = 1_000_000_000
"""The most that is read, in bytes: a console at 115200 baud says no more in a day."""

STDIN = Path("-")
_PIECE = 65536
_PATIENCE_S = 60.0
_LONGEST_S = 3600.0


def recorded_pieces(
    source: Path, *, limit: int = TEXT_MAX, patience_s: float = _PATIENCE_S, longest_s: float = _LONGEST_S
) -> Iterator[bytes]:
    """Yield the text of a file, a pipe, standard input (`-`) or a run's folder in pieces.

    Raises UsageError when it cannot be read, is no recording, is more than `limit` bytes, or does not end: a
    pipe may pause for `patience_s` and take `longest_s` in all.
    """
    if source == STDIN and not _has_descriptor(sys.stdin):
        yield from iter(lambda: sys.stdin.buffer.read(_PIECE), b"")  # of a program that gave us text: it ends
        return
    name, path = ("standard input", source) if source == STDIN else (str(source), _log_of(source))
    total, deadline_s = 0, time.monotonic() + longest_s
    with _opened(path, name) as descriptor:
        _check_kind(descriptor, name, limit)
        while True:
            if time.monotonic() > deadline_s:
                raise _endless(name, f"still goes on after {longest_s:.0f} s")
            if not select.select([descriptor], [], [], patience_s)[0]:
                raise _endless(name, f"said nothing for {patience_s:.0f} s and did not end")
            piece = os.read(descriptor, _PIECE)
            if not piece:
                return
            total += len(piece)
            if total > limit:
                raise _too_much(name, limit)
            yield piece


def _has_descriptor(stream: TextIO) -> bool:
    try:
        stream.fileno()
    except OSError:
        return False
    return True


def _log_of(source: Path) -> Path:
    if not is_folder(source):
        return source
    log = log_path(source)
    if not log.exists():
        raise UsageError(
            f"{source} holds no {log.name}: it is not the folder of a run",
            hint="name the file with the console's text, or a folder that `bringup runs` shows",
        )
    return log


@contextmanager
def _opened(path: Path, name: str) -> Iterator[int]:
    if path == STDIN:
        yield sys.stdin.fileno()
        return
    try:
        # Without waiting: a pipe that nobody writes to would not even open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise UsageError(
            f"cannot read {name}: {os.strerror(error.errno or errno.EIO)}", hint="name a recorded console"
        ) from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_kind(descriptor: int, name: str, limit: int) -> None:
    state = os.fstat(descriptor)
    if stat.S_ISCHR(state.st_mode) or stat.S_ISBLK(state.st_mode):
        if os.isatty(descriptor) and name == "standard input":
            return
        raise UsageError(
            f"{name} is a device, not a recording",
            hint="record it first, or watch a board's console live: bringup console BOARD",
        )
    if stat.S_ISREG(state.st_mode) and state.st_size > limit:
        raise _too_much(name, limit)


def _too_much(name: str, limit: int) -> UsageError:
    return UsageError(
        f"{name} is more than {rough_size(limit)}, which no console says in a day",
        hint="give the part with the boot in question: tail -c 100M FILE | bringup explain -",
    )


def _endless(name: str, how: str) -> UsageError:
    return UsageError(f"{name} {how}", hint="record to a file first, then explain the file")
