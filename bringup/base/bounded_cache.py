"""A folder of large files that can be made again: whole or absent, and bounded by least recent use.

Files are named after what they are made of, so whoever finds a name there may use it. Any number of processes
may share a folder: two that make the same file make the same bytes, and what one of them uses (`in_use`) no
other takes away. Within a process one thread makes a file, and the others wait for it: the boards of a batch
ask for the same ones at the same time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bringup.base.errors import LabError, reason_of
from bringup.base.whole_file import whole_file

# Of files that a killed process left half made: none takes that long.
_ABANDONED_S = 600.0
_one_maker = threading.RLock()


class BoundedCache:
    """The files of one `folder`, which together take at most `limit` bytes, those in use apart."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit

    def get(self, name: str, make: Callable[[Path], None]) -> Path:
        """Return the file called `name`, which `make` writes at the path it is given when it is not there.

        Raises LabError when it cannot be kept, and what `make` raises.
        """
        target = self._folder / name
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _one_maker:
                if not _touched(target):
                    with whole_file(target, first_stays=True) as part:
                        make(Path(part.name))
                    self._prune(target)
        except OSError as error:
            raise LabError(
                f"cannot keep a file in {self._folder}: {reason_of(error)}",
                hint="free some space there, or set BRINGUP_HOME to a folder elsewhere",
            ) from None
        return target

    def _prune(self, newest: Path) -> None:
        """Remove those that were used longest ago until the rest fits; never `newest`, nor one in use."""
        kept = 0
        for path, found in self._by_use():
            if path.name.startswith("."):
                if time.time() - found.st_mtime > _ABANDONED_S:
                    path.unlink(missing_ok=True)
                continue
            kept += found.st_size
            if kept > self._limit and path != newest and _remove_unused(path):
                kept -= found.st_size

    def _by_use(self) -> list[tuple[Path, os.stat_result]]:
        """Return the files and what is known of them, last used first."""
        files = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                files.append((path, path.stat()))
        return sorted(files, key=lambda each: each[1].st_mtime_ns, reverse=True)


@contextlib.contextmanager
def in_use(path: Path) -> Iterator[None]:
    """Keep a cache's file for as long as the context lasts; raises LabError when it is gone already."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(path.open("rb"))
            fcntl.flock(file, fcntl.LOCK_SH)
            if not path.samefile(f"/proc/self/fd/{file.fileno()}"):
                raise FileNotFoundError
        except FileNotFoundError:
            raise LabError(
                f"{path.name} was taken away from the cache", hint="start the boot again"
            ) from None
        yield  # outside of the `try`: what is missing to whoever uses the file is no matter of the cache


def _touched(path: Path) -> bool:
    """Note that a file is used now; returns whether it is there."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _remove_unused(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
        return True
    return False
