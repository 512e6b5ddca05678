"""Writes what the command line asked for to a file, a pipe or standard output."""

from __future__ import annotations

from pathlib import Path

from bringup.base.errors import UsageError
from bringup.base.whole_file import write_whole
from bringup.report.output import emit

STANDARD_OUTPUT = Path("-")


def write_named(path: Path, text: str) -> None:
    """Write `text` to `path`: a file whole or not at all; `-` is standard output.

    What is no file, as a pipe or /dev/stdout, is written to and stays what it is. Raises UsageError when it
    cannot be written.
    """
    if path == STANDARD_OUTPUT:
        emit(text)
    elif path.exists() and not path.is_file():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None
    else:
        write_whole(path, text.encode())
