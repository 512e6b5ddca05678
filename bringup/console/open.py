"""From a board of the lab to its console."""

from __future__ import annotations

from bringup.console.base import Console
from bringup.console.serial import SerialConsole
from bringup.console.sol import ReconnectingConsole, SolConsole
from bringup.events import Emit
from bringup.lab import Board
from bringup.power.open import bmc_address


def open_console(board: Board, emit: Emit, *, steal: bool = False) -> Console:
    """Return the board's console, not yet attached; SOL comes back by itself after a loss."""
    if board.serial != "sol":
        return SerialConsole(board.serial, board.baud or board.profile.serial.baud.value)
    bmc = bmc_address(board)
    return ReconnectingConsole(lambda own: SolConsole(bmc, steal=steal or own), emit)
