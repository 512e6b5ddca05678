"""Starts, finds and ends the shelf from a command, and writes the lab file that names its boards."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bringup.base.child import Child
from bringup.base.errors import LabError, UsageError
from bringup.base.paths import home_runtime_dir
from bringup.base.whole_file import whole_file
from bringup.twin.client import StartedTwin, down, request_of
from bringup.twin.disks import DEFAULT_MIB, TwinDisk, first_disks
from bringup.twin.engines import TwinSetup
from bringup.twin.faults.choice import choose_all
from bringup.twin.info import TwinInfo, running

MOST = 128
TAG = "shelf"
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class PlannedBoard:
    """One board to be: its name, whether it is a full twin, the faults it plays, the size of its disk.

    `disk_mib` None leaves it the disk that it had the last time, 4 GiB the first time.
    """

    name: str
    full: bool
    faults: tuple[str, ...] = ()
    disk_mib: int | None = None

    @property
    def disks(self) -> tuple[TwinDisk, ...] | None:
        """What to ask for, so that it has a disk: None for those it had."""
        if self.disk_mib is None and first_disks(self.name) is None:
            return None
        return (TwinDisk("ahci", self.disk_mib or DEFAULT_MIB, serial=self.name.upper()),)


def plan_shelf(
    count: int,
    *,
    full: int | None = None,
    faults: Mapping[str, Sequence[str]] | None = None,
    disks_mib: Mapping[str, int] | None = None,
) -> tuple[PlannedBoard, ...]:
    """Return the boards of a shelf (pure but for the number of processors).

    `full` of them are full twins: None takes one per processor. `faults` and the sizes of disks are by board.
    Raises UsageError.
    """
    if not 1 <= count <= MOST:
        raise UsageError(f"a shelf holds 1 to {MOST} boards, not {count}", hint="bringup twin shelf 64")
    whole = min(count, os.cpu_count() or 1) if full is None else full
    if whole > count:
        raise UsageError(f"{whole} of {count} boards cannot be full twins", hint=f"--full {count}")
    names = [f"{TAG}-{number:02d}" for number in range(1, count + 1)]
    faults, disks_mib = faults or {}, disks_mib or {}
    strangers = sorted({*faults, *disks_mib} - set(names))
    if strangers:
        raise UsageError(f"no board {strangers[0]} on this shelf", hint=f"{names[0]} to {names[-1]}")
    for texts in faults.values():
        choose_all(texts)
    return tuple(
        PlannedBoard(name, number < whole, tuple(faults.get(name, ())), disks_mib.get(name))
        for number, name in enumerate(names)
    )


def shelf_lab_file() -> Path:
    """Return where the lab file of the shelf is."""
    return home_runtime_dir() / "shelf" / "lab.toml"


def start_shelf(boards: Sequence[PlannedBoard], seed: int = 0) -> Path:
    """Start all boards and leave them up; returns the lab file that names them.

    Raises LabError, NamespaceError or MissingProgramError; then none is left.
    """
    taken = [board.name for board in boards if running(board.name) is not None]
    if taken:
        raise LabError(f"{taken[0]} is up already", hint="bringup twin shelf --down")
    scripted = [board for board in boards if not board.full]
    try:
        for board in boards:
            if board.full:
                setup = TwinSetup(faults=board.faults, seed=seed)
                StartedTwin(request_of(setup, board.name, tied=False, disks=board.disks))
        if scripted:
            _start_scripted(scripted, seed)
        return _write_lab(boards)
    except BaseException:
        down_shelf()
        raise


def _start_scripted(boards: Sequence[PlannedBoard], seed: int) -> None:
    child = Child("bringup.twin.shelf.process", "the shelf")
    bodies = [
        {
            "name": board.name,
            "faults": list(board.faults),
            "disks": None if board.disks is None else [asdict(disk) for disk in board.disks],
        }
        for board in boards
    ]
    child.start({"boards": bodies, "seed": seed}, _START_S)
    child.release()


def _write_lab(boards: Sequence[PlannedBoard]) -> Path:
    path = shelf_lab_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    tables = (
        f'[boards.{board.name}]\ntwin = true\ntags = ["{TAG}", "{"full" if board.full else "scripted"}"]\n'
        for board in boards
    )
    with whole_file(path, lasting=False) as file:
        file.write(
            ("# Made by `bringup twin shelf`; the boards end with it.\n\n" + "\n".join(tables)).encode()
        )
    return path


def shelf_boards() -> tuple[TwinInfo, ...]:
    """Return the boards of the shelf that is up, by name; none where there is none."""
    names = sorted(path.name[len("twin-") :] for path in home_runtime_dir().glob(f"twin-{TAG}-[0-9]*[0-9]"))
    return tuple(found for name in names if (found := running(name)) is not None)


def down_shelf() -> int:
    """End all boards of the shelf; returns how many were up."""
    up = shelf_boards()
    for board in up:
        down(board.name)  # the first of the scripted ones takes their process along
    shelf_lab_file().unlink(missing_ok=True)
    return len(up)
