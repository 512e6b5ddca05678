"""From a board of the lab to its console."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from bringup.base.events import Emit, Event
from bringup.base.paths import runtime_dir
from bringup.console.base import Console
from bringup.console.reconnect import ReconnectingConsole
from bringup.console.shared.console import Role, SharedConsole, Way
from bringup.lab.holder import Holder, myself
from bringup.lab.lease import known_as, lease_file, read_holder

if TYPE_CHECKING:
    from bringup.lab.inventory import Board

_LEAST_PROBE_INTERVAL_S = 1.0
_LINE = "the serial line"


def open_console(
    board: Board, emit: Emit | None = None, *, steal: bool = False, role: Role = Role.WORK
) -> Console:
    """Return the board's console, SOL or serial line, not attached yet: call `open` on it.

    It comes back after a loss and tells `emit` of it (`console.lost`, `console.gap`). Processes of this host
    share it, by their `role`. `steal` takes SOL from another session, once.
    """
    tell = emit or _ignore
    who = _who(board)
    console, name, word = _own_console(board, who, tell, steal=steal)
    way = Way(console, name, role, who, tell)
    return SharedConsole(way, lambda own, told: ReconnectingConsole(own, told, name=word), tell)


def _own_console(board: Board, who: Holder, emit: Emit, *, steal: bool) -> tuple[Console, str, str]:
    """Return the console itself, what tells it from all others of this host, and what people call it."""
    if board.serial != "sol":
        from bringup.console.serial import SerialConsole

        return SerialConsole(board.serial, baud=board.line_rate), board.serial, _LINE
    from bringup.console.sol.console import SolConsole
    from bringup.console.sol.own import OwnSessions
    from bringup.ipmi.client import IpmiClient
    from bringup.power.bmc_address import bmc_address

    bmc = bmc_address(board)
    name = f"{bmc.address}:{bmc.port}"
    memory = runtime_dir() / f"sol-{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"
    sol = SolConsole(
        IpmiClient(bmc),
        steal=steal,
        # The BMC's own limit on how often it may be asked holds for the question whether it lives, too.
        probe_after_s=max(_LEAST_PROBE_INTERVAL_S, board.profile.bmc.spacing_s),
        own=lambda: OwnSessions(memory, who),
        emit=emit,
    )
    return sol, name, "SOL"


def _who(board: Board) -> Holder:
    """Return this process with what it does on the board, as its lease says; else it sits at the console."""
    holder = read_holder(lease_file(board.name, known_as(board)))
    return holder if holder is not None and holder.pid == os.getpid() else myself("console")


def open_line(board: Board, url: str, emit: Emit) -> Console:
    """Return a serial line of the board, at its console's rate, not open yet; it comes back as SOL does."""
    from bringup.console.serial import SerialConsole

    line = SerialConsole(url, baud=board.line_rate)
    return ReconnectingConsole(line, emit, name=_LINE)


def _ignore(_event: Event) -> None:
    return
