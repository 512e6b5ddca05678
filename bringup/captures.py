"""The captures of each board: kept for ever, the newest one is the board's latest truth.

    state/captures/BOARD/2026-11-23T101502Z.tar.gz

A name is the moment at which the capture was added (UTC), so names sort by age; a second one in the same
second gets `-2`. A file appears whole or not at all.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from pathlib import Path

from bringup.errors import LabError
from bringup.lab import check_board_name
from bringup.paths import state_dir

SUFFIX = ".tar.gz"
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{6}Z)(?:-(\d{1,3}))?" + re.escape(SUFFIX), re.ASCII)
_SAME_SECOND_MAX = 100


def add(board: str, bundle: Path) -> Path:
    """Copy `bundle` among the captures of `board` and return the copy; raises LabError when it cannot be."""
    check_board_name(board)
    folder = _folder(board)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".new-") as copy, bundle.open("rb") as source:
            shutil.copyfileobj(source, copy)
            copy.flush()
            os.fsync(copy.fileno())
            return _link(Path(copy.name), folder)
    except OSError as error:
        raise LabError(
            f"cannot keep the capture of {board} in {folder}: {error.strerror}",
            hint="is its disk full? `df -h` tells",
        ) from None


def _link(copy: Path, folder: Path) -> Path:
    # A link is refused where the name is taken, so two captures of one second never overwrite each other.
    moment = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    for number in range(1, _SAME_SECOND_MAX):
        target = folder / f"{moment}{'' if number == 1 else f'-{number}'}{SUFFIX}"
        try:
            os.link(copy, target)
        except FileExistsError:
            continue
        return target
    raise LabError(f"{_SAME_SECOND_MAX} captures within one second in {folder}")


def list_captures(board: str) -> tuple[Path, ...]:
    """Return the captures of `board`, oldest first; files that are none are left out."""
    check_board_name(board)
    try:
        found = [(key, path) for path in _folder(board).iterdir() if (key := _age(path.name)) is not None]
    except OSError:
        return ()
    return tuple(path for _, path in sorted(found))


def latest(board: str) -> Path | None:
    """Return the newest capture of `board`, None without any."""
    return next(reversed(list_captures(board)), None)


def _age(name: str) -> tuple[str, int] | None:
    match = _NAME.fullmatch(name)
    return (match[1], int(match[2] or 1)) if match else None


def _folder(board: str) -> Path:
    return state_dir() / "captures" / board
