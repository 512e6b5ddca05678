"""Console: read by anybody, typed on by whoever holds the board."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from bringup.base.events import Emit, Event
from bringup.boot.place import BoardPlace
from bringup.boot.session import Session
from bringup.console.base import Console
from bringup.lab.inventory import Board

ATTACH_TIMEOUT_S = 15.0


@contextmanager
def attached_console(
    board: Board, emit: Emit, *, listen: bool = False, steal: bool = False, force: bool = False
) -> Iterator[Console]:
    """Give a board's console, attached; a SOL session that is not closed would keep the next person out.

    To `listen` disturbs nobody. To type needs the board: raises BmcBusyError naming the holder when somebody
    else works on it, unless `force`. `steal` takes SOL from another session. `emit` hears of losses and gaps.
    """
    with nullcontext() if listen else Session(board, "console", force=force) as session:
        if session is not None and session.passed_over is not None:
            text = f"{session.passed_over} works on this board, and is told"
            emit(Event("run", "run.passed_over", text))
        console = BoardPlace(board).console(emit, steal=steal)
        try:
            console.open(ATTACH_TIMEOUT_S)
            yield console
        finally:
            console.close()
