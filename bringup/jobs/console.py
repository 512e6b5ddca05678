"""Console: read by anybody, typed on by whoever holds the board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from bringup.base.events import Emit, Event
from bringup.boot.session import Session
from bringup.console.base import Console
from bringup.console.open import open_console
from bringup.console.shared.console import Role
from bringup.lab.inventory import Board

_ATTACH_TIMEOUT_S = 15.0


@contextmanager
def attached_console(
    board: Board, emit: Emit, *, listen: bool = False, steal: bool = False, force: bool = False
) -> Iterator[Console]:
    """Give a board's console, attached; a SOL session that is not closed would keep the next person out.

    To `listen` disturbs nobody: where a process of this host has the console, a boot say, it is read by way
    of that. To type needs the board: raises BmcBusyError naming the holder when somebody else works on it,
    unless `force`, and then types by way of them. `steal` takes SOL from another session. `emit` hears of
    losses, of gaps, of who has the console (`console.shared`) and who types on it (`console.writer`).
    """
    with nullcontext() if listen else Session(board, "console", force=force) as session:
        if session is not None and session.passed_over is not None:
            text = f"{session.passed_over} works on this board, and is told"
            emit(Event("run", "run.passed_over", text))
        beside = session is not None and session.passed_over is not None
        role = Role.LISTEN if listen else Role.BESIDE if beside else Role.WORK
        with at_console(board, emit, role, steal=steal) as console:
            yield console


@contextmanager
def at_console(board: Board, emit: Emit, role: Role = Role.WORK, *, steal: bool = False) -> Iterator[Console]:
    """Give a board's console, attached, to whoever may have it in this role; it is parted from afterwards."""
    console = open_console(board, emit, steal=steal, role=role)
    try:
        console.open(_ATTACH_TIMEOUT_S)
        yield console
    finally:
        console.close()
