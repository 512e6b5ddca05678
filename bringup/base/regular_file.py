"""Files that somebody else chose the place of: a pipe or device in a file's place holds nobody up."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


def is_folder(path: Path) -> bool:
    """Return whether a folder stands there, as far as this user may look (`Path.is_dir` raises beyond)."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Return whether a file stands there, as far as this user may look (`Path.is_file` raises beyond)."""
    return os.path.isfile(path)  # noqa: PTH113


def open_regular(path: Path) -> IO[bytes]:
    """Open a file to read; raises OSError, and ValueError for what is no file."""
    file = open(path, "rb", opener=_not_blocking)  # noqa: SIM115  # the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path} is no file")
    return file


def read_whole(path: Path, limit: int) -> bytes:
    """Return what a file holds; raises OSError, and ValueError for what is no file or longer than `limit`."""
    with open_regular(path) as file:
        # Asked before it is read: a file with holes takes as much memory as it looks.
        data = b"" if os.fstat(file.fileno()).st_size > limit else file.read(limit + 1)
        if len(data) > limit or os.fstat(file.fileno()).st_size > limit:
            raise ValueError(f"{path} holds more than {limit} bytes")
    return data


def read_regular(path: Path, limit: int) -> bytes | None:
    """Return the first `limit` bytes of a file; None where something else stands there, or nothing."""
    try:
        with open_regular(path) as file:
            return file.read(limit)
    except (OSError, ValueError):
        return None


def _not_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
