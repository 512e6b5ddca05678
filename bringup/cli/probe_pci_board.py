"""`bringup probe-pci BOARD`: the capture that is made on the board itself."""

from __future__ import annotations

from pathlib import Path

from bringup.errors import LabError
from bringup.firmware import Firmware
from bringup.lab import Lab


def capture_on_board(
    lab: Lab,
    board_name: str,
    *,
    as_json: bool,
    keep_twin: bool = False,
    firmware: Firmware | None = None,
    restart: bool = False,
    steal: bool = False,
) -> Path:
    """Boot the probe ramdisk on a board and return its capture, kept among the board's captures.

    The board is left as it was found: power state, boot override, disks. One that is on is restarted, and a
    real one only with `restart`. Shows its progress on stderr unless `as_json`. Raises BringupError.
    """
    board = lab.board(board_name)
    raise LabError(f"{board.name} cannot be probed yet", hint="bringup probe-pci --local, or --from CAPTURE")
