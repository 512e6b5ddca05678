"""Writes what the command line asked for to a file, a pipe or standard output."""

from __future__ import annotations

from pathlib import Path

from bringup.base.whole_file import write_whole
from bringup.report.output import emit

STANDARD_OUTPUT = Path("-")


def write_named(path: Path, text: str) -> None:
    """Write `text` to `path`, as `write_whole` does; `-` is standard output. Raises UsageError."""
    if path == STANDARD_OUTPUT:
        emit(text)
    else:
        write_whole(path, text.encode())
