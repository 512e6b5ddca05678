"""The captures of each board: kept for ever, the newest one is the board's latest truth.

    state/captures/BOARD/2026-11-23T101502Z.tar.gz                what one probe saw
    state/captures/BOARD/2026-11-23T101502Z/firmware-probe.log    what two saw, one right after the other
                                            linux.tar.gz

A name is the moment at which the capture was added (UTC), so names sort by age; a second one in the same
second gets `-2`. A capture appears whole or not at all, and `pci.capture.open_capture` opens either kind.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bringup.base.errors import LabError
from bringup.base.paths import state_dir
from bringup.base.whole_file import whole_file
from bringup.lab.names import check_board_name

SUFFIX = ".tar.gz"
_NAME = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{6}Z)(?:-(\d{1,3}))?(" + re.escape(SUFFIX) + r")?", re.ASCII)
_SAME_SECOND_MAX = 100


def add(board: str, bundle: Path) -> Path:
    """Copy `bundle` among the captures of `board` and return the copy; raises LabError when it cannot be."""
    return _kept(board, lambda folder: _add_file(folder, bundle))


def add_together(board: str, files: Mapping[str, Path]) -> Path:
    """Copy several views of one machine, each under its name, and return their folder; raises LabError."""
    return _kept(board, lambda folder: _add_folder(folder, files))


def _kept(board: str, keep: Callable[[Path], Path]) -> Path:
    check_board_name(board)
    folder = _folder(board)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return keep(folder)
    except OSError as error:
        raise LabError(
            f"cannot keep the capture of {board} in {folder}: {error.strerror}",
            hint="is its disk full? `df -h` tells",
        ) from None


def _add_file(folder: Path, bundle: Path) -> Path:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as work:
        made = Path(work) / "capture"
        _copy(bundle, made)
        # A link is refused where the name is taken, so two captures of one second never overwrite each other.
        return _named(folder, SUFFIX, lambda target: target.hardlink_to(made))


def _add_folder(folder: Path, files: Mapping[str, Path]) -> Path:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as work:
        made = Path(work) / "capture"
        made.mkdir(mode=0o700)
        for name, path in files.items():
            _copy(path, made / name)
        # A folder with something in it is not replaced (rename(2)).
        return _named(folder, "", lambda target: os.rename(made, target))  # noqa: PTH104  # not `replace`


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as data, whole_file(target) as copy:
        shutil.copyfileobj(data, copy)


def _named(folder: Path, suffix: str, give: Callable[[Path], None]) -> Path:
    moment = time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())
    for number in range(1, _SAME_SECOND_MAX):
        name = f"{moment}{'' if number == 1 else f'-{number}'}"
        if any((folder / f"{name}{each}").exists() for each in ("", SUFFIX)):
            continue
        try:
            give(folder / f"{name}{suffix}")
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                continue
            raise
        return folder / f"{name}{suffix}"
    raise LabError(f"{_SAME_SECOND_MAX} captures within one second in {folder}")


def list_captures(board: str) -> tuple[Path, ...]:
    """Return the captures of `board`, oldest first; what is none is left out."""
    check_board_name(board)
    try:
        found = [(key, path) for path in _folder(board).iterdir() if (key := _age(path)) is not None]
    except OSError:
        return ()
    return tuple(path for _, path in sorted(found))


def latest_capture(board: str) -> Path | None:
    """Return the newest capture of `board`, None without any."""
    return next(reversed(list_captures(board)), None)


def _age(path: Path) -> tuple[str, int] | None:
    match = _NAME.fullmatch(path.name)
    # A pipe or a device of this name is none.
    if match is None or not (path.is_file() if match[3] else path.is_dir()):
        return None
    return match[1], int(match[2] or 1)


def _folder(board: str) -> Path:
    return state_dir() / "captures" / board
