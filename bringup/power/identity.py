"""Before anything is switched: is what answers the board that is meant?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.errors import AuthenticationError, BmcTimeoutError, LabError
from bringup.base.events import Emit, Event
from bringup.lab.identity import check_identity
from bringup.power.base import Drivers

if TYPE_CHECKING:
    from bringup.lab.inventory import Board


def check_board(board: Board, drivers: Drivers, emit: Emit) -> None:
    """Compare what the board's BMC calls itself with what it did at first; raises WrongBoardError.

    A twin is its own, and a BMC that has no name, or cannot tell it just now, cannot be compared: unknown is
    told, and is no stranger.
    """
    if board.twin or drivers.identified is None:
        return
    who = drivers.power.describe()
    try:
        says = drivers.identified.identity()
    except (AuthenticationError, BmcTimeoutError):
        raise
    except LabError as error:
        emit(Event("power", "board.unknown", f"{who} could not tell which board it is: {error.message}"))
        return
    if says is None:
        emit(Event("power", "board.unknown", f"{who} does not tell which board it is"))
    elif check_identity(board, says, who):
        emit(Event("power", "board.known", f"{says}, as before", {"identity": says}))
    else:
        emit(Event("power", "board.met", f"{says}, remembered from now on", {"identity": says}))
