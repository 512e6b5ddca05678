"""Whose BMC a board's BMC was: what it called itself when it was first met, kept for ever.

    state/identities/BOARD-1a2b3c4d.json      per board of a lab file, whose path the digits stand for

An address in a lab file may be mistyped, or handed by DHCP to another BMC: before a board is switched off,
what answers there is compared with what answered at first.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bringup.base.errors import LabError, WrongBoardError
from bringup.base.paths import state_dir
from bringup.base.regular_file import read_regular
from bringup.base.whole_file import whole_file

if TYPE_CHECKING:
    from bringup.lab.inventory import Board

_FOLDER = "identities"
_FILE_MAX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Identity:
    """What a board's BMC called itself, such as `GUID 03000200-…`, and the day it was first met (UTC)."""

    board: str
    bmc: str
    since: str


def known_identity(board: Board) -> Identity | None:
    """Return what is remembered of the board's BMC, None where it was never met."""
    return _read(_path(board))


def check_identity(board: Board, says: str, who: str) -> bool:
    """Compare what the board's BMC `says` it is with what it said at first; `who` names it for people.

    Return whether it was known; one that was not is remembered. Raises WrongBoardError.
    """
    known = known_identity(board)
    if known is not None and known.bmc == says:
        return True
    other = next((each.board for each in _others(board) if each.bmc == says), None)
    if known is None and other is None:
        _remember(board, Identity(board.name, says, time.strftime("%Y-%m-%d", time.gmtime())))
        return False
    is_other = f", which is that of {other}" if other else ""
    was = f"; that of {board.name} said {known.bmc} on {known.since}" if known else ""
    raise WrongBoardError(
        f"{who} is not that of {board.name}: it says {says}{is_other}{was}; nothing was switched",
        hint=f"is the BMC's `address` in lab.toml right? where the hardware was changed: bringup boards "
        f"forget {other if known is None else board.name}",
    )


def forget_identity(board: Board) -> Identity | None:
    """Forget whose BMC it was and return that; the next time it is remembered anew. Raises LabError."""
    known = known_identity(board)
    try:
        _path(board).unlink(missing_ok=True)
    except OSError as error:
        raise LabError(f"cannot forget the BMC of {board.name}: {error.strerror}") from None
    return known


def _path(board: Board) -> Path:
    return state_dir() / _FOLDER / f"{board.name}-{_lab_of(board)}.json"


def _lab_of(board: Board) -> str:
    lab = "" if board.document is None else str(board.document.path.absolute())
    return hashlib.sha256(lab.encode()).hexdigest()[:8]


def _others(board: Board) -> Iterator[Identity]:
    """Yield what is remembered of the other boards of the same lab file."""
    for path in sorted((state_dir() / _FOLDER).glob(f"*-{_lab_of(board)}.json")):
        identity = _read(path)
        if identity is not None and identity.board != board.name:
            yield identity


def _read(path: Path) -> Identity | None:
    """Return what a file tells; one that is damaged tells nothing."""
    data = read_regular(path, _FILE_MAX_BYTES)
    try:
        identity = Identity(**json.loads(data or b""))
    except (ValueError, TypeError, RecursionError):
        return None
    return identity if all(isinstance(value, str) for value in asdict(identity).values()) else None


def _remember(board: Board, identity: Identity) -> None:
    path = _path(board)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with whole_file(path) as file:
            file.write(json.dumps(asdict(identity)).encode())
    except OSError as error:
        raise LabError(
            f"cannot remember the BMC of {board.name} in {path.parent}: {error.strerror}",
            hint="is its disk full? `df -h` tells",
        ) from None
