"""Files that may be anything: a pipe, a device or gigabytes are refused, never waited for."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO


def open_plain(path: Path) -> IO[bytes]:
    """Open a file to read; raises OSError, and ValueError for what is no file."""
    file = open(path, "rb", opener=_not_blocking)  # noqa: SIM115  # the caller closes it
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError(f"{path} is no file")
    return file


def read_plain(path: Path, limit: int) -> bytes:
    """Return what a file holds; raises OSError, and ValueError for what is no file or longer than `limit`."""
    with open_plain(path) as file:
        # Asked before, too: a file with holes is read into memory as it looks.
        data = b"" if os.fstat(file.fileno()).st_size > limit else file.read(limit + 1)
        if len(data) > limit or os.fstat(file.fileno()).st_size > limit:
            raise ValueError(f"{path} holds more than {limit} bytes")
    return data


def _not_blocking(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
