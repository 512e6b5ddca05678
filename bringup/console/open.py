"""From a board of the lab to its console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.events import Emit, Event
from bringup.console.base import Console
from bringup.console.reconnect import ReconnectingConsole

if TYPE_CHECKING:
    from bringup.lab.inventory import Board

_LEAST_PROBE_INTERVAL_S = 1.0


def open_console(board: Board, emit: Emit | None = None, *, steal: bool = False) -> Console:
    """Return the board's console, SOL or serial line, not attached yet: call `open` on it.

    It comes back after a loss and tells `emit` of it (`console.lost`, `console.gap`). `steal` takes SOL from
    another session, once.
    """
    if board.serial != "sol":
        return open_line(board, board.serial, emit or _ignore)
    from bringup.console.sol.console import SolConsole
    from bringup.ipmi.client import IpmiClient
    from bringup.power.bmc_address import bmc_address

    # The BMC's own limit on how often it may be asked holds for the question whether it lives, too.
    spacing_s = board.profile.bmc.spacing_s
    sol = SolConsole(
        IpmiClient(bmc_address(board)), steal=steal, probe_after_s=max(_LEAST_PROBE_INTERVAL_S, spacing_s)
    )
    return ReconnectingConsole(sol, emit or _ignore)


def open_line(board: Board, url: str, emit: Emit) -> Console:
    """Return a serial line of the board, at its console's rate, not open yet; it comes back as SOL does."""
    from bringup.console.serial import SerialConsole

    line = SerialConsole(url, baud=board.line_rate)
    return ReconnectingConsole(line, emit, name="the serial line")


def _ignore(_event: Event) -> None:
    return
