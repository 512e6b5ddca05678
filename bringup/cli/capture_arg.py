"""A capture as people name it: a file or folder, or a board, which stands for its latest capture."""

from __future__ import annotations

from pathlib import Path

from bringup.base.errors import UsageError
from bringup.cli.context import Context
from bringup.lab.captures import latest_capture


def find_capture(context: Context, text: str) -> Path:
    """Return the file or folder that `text` names; a board's name goes first (`./e300` is always a path).

    `-` is standard input.

    Raises UsageError when it is neither, or a board that has not been probed yet.
    """
    path = Path(text)
    if "/" in text or text == "-":
        return path
    board = context.lab().boards.get(text)
    if board is not None:
        found = latest_capture(board.name)
        if found is not None:
            return found
        if not path.exists():
            raise UsageError(
                f"there is no capture of {board.name} yet", hint=f"make one: bringup probe-pci {board.name}"
            )
    if not path.exists():
        raise UsageError(
            f"{text} is neither a file nor a board of this lab",
            hint=f"boards: {', '.join(context.lab().boards)}; a capture is a folder, a tar or a listing",
        )
    return path
