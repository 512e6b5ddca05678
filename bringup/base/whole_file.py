"""Files that appear whole or not at all: made beside their place, then moved there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bringup.base.errors import UsageError, reason_of

# The command line's umask keeps runs private; what a person asked for by name is theirs to share.
_NEW_MODE = 0o644


@contextlib.contextmanager
def whole_file(
    target: Path, *, mode: int = 0o600, lasting: bool = True, first_stays: bool = False
) -> Iterator[IO[bytes]]:
    """Yield a file that gets the name `target` at the end of the context, and vanishes on any error.

    Whoever has the old file open keeps it. Its `name` is where it lies meanwhile, for a program that writes
    it by path. `lasting`: it is on the disk before it has its name, so that a power cut leaves the old file
    or the new one. `first_stays`: one that somebody else made meanwhile stays, as it has the same bytes and
    may be in use. Raises OSError.
    """
    prefix = f".{target.name[:64]}."
    with tempfile.NamedTemporaryFile(dir=target.parent, prefix=prefix, suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            if lasting:
                os.fsync(file.fileno())
            _give_name(part, target, first_stays=first_stays)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def _give_name(part: Path, target: Path, *, first_stays: bool) -> None:
    if not first_stays:
        part.replace(target)
        return
    with _alone_in(target.parent):
        if target.exists():
            part.unlink()
        else:
            # Not by a second name whose first is then taken away: that changes the file (its st_ctime) after
            # somebody may have found and hashed it.
            part.replace(target)


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Let one after the other name its file; where folders cannot be locked (NFS), all at once."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def write_whole(target: Path, data: bytes) -> None:
    """Make `data` the content of a file that a person named: with the mode it has, through a link.

    What is no file, as a pipe or /dev/null, is written to and stays what it is. Raises UsageError when that
    cannot be; then a file is what it was.
    """
    real = Path(os.path.realpath(target))  # `resolve` raises for a link that leads to itself
    try:
        if target.exists() and not target.is_file():
            target.write_bytes(data)
            return
        mode = real.stat().st_mode & 0o7777 if real.exists() else _NEW_MODE
        with whole_file(real, mode=mode) as file:
            file.write(data)
    except OSError as error:
        raise unwritable(target, error) from None


def make_folder(folder: Path) -> None:
    """Make a folder that a person named, and those above it; raises UsageError when it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(path: Path, error: OSError) -> UsageError:
    """Return the sentence on a file that cannot be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return UsageError(
        f"cannot write {path}: {reason_of(error)}",
        hint="free some space there, or write elsewhere"
        if full
        else "name a file in a folder that you may write to",
    )
