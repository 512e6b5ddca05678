"""Faults of the host that serves a board: played where the boot runs, not in the twin."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bringup.twin.faults.choice import ChosenFault

_FULL = "/dev/full"  # full(4): every write fails with ENOSPC


def fill_disk(file: Path, faults: Iterable[ChosenFault]) -> None:
    """Let a file that will be written find its disk full, where a fault asks for it."""
    if any(one.name == "disk-full" for one in faults):
        file.symlink_to(_FULL)
