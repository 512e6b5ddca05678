"""Power, changed by whoever holds the board."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from bringup.base.errors import InterruptedRunError
from bringup.base.events import Emit, Event
from bringup.boot.place import BoardPlace
from bringup.boot.session import Session
from bringup.boot.standing import Standing
from bringup.boot.stop import Stop
from bringup.lab.holder import Holder
from bringup.lab.inventory import Board
from bringup.power import actions
from bringup.power.actions import Pace, PowerResult
from bringup.power.base import Person, Power
from bringup.power.identity import check_board

PowerAction = Literal["on", "off", "soft", "cycle", "reset"]

_ACTS: dict[PowerAction, Callable[[Power, Emit, Pace], PowerResult]] = {
    "on": actions.ensure_on,
    "off": actions.ensure_off,
    "soft": actions.soft_off,
    "cycle": actions.cycle,
    "reset": actions.reset,
}


@dataclass(frozen=True, slots=True)
class Switched:
    """What was done; `passed_over` is who held the board meanwhile, None where nobody did."""

    result: PowerResult
    passed_over: Holder | None


def switch_power(
    board: Board,
    action: PowerAction,
    *,
    force: bool = False,
    person: Person | None = None,
    listener: Emit | None = None,
    stop: Stop | None = None,
) -> Switched:
    """Change a board's power and confirm it; `listener` hears what happens meanwhile.

    Raises BmcBusyError naming the holder when somebody else works on the board, unless `force`: then they are
    told. Raises WrongBoardError when the board's BMC is not the one it was, LabError when the power did not
    follow, and InterruptedRunError for a signal; both say how the board is left.
    """
    standing = Standing(board.name)

    def hear(event: Event) -> None:
        standing.note(event)
        if listener is not None:
            listener(event)

    with (
        Session(board, f"power {action}", force=force, stop=stop) as session,
        closing(BoardPlace(board, person=person).drivers(hear)) as drivers,
    ):
        check_board(board, drivers, hear)
        session.signals.heed()
        try:
            result = _ACTS[action](drivers.power, hear, session.pace)
        except KeyboardInterrupt:
            left = f"{board.name} is {standing.power}" if standing.power else "the power was not touched"
            hint = f"bringup power {board.name} status"
            raise InterruptedRunError(f"interrupted; {left}", hint=hint) from None
        return Switched(result, session.passed_over)


def switch_within(session: Session, action: PowerAction) -> PowerResult:
    """Change the power of the board that `session` holds and confirm it, as one of many things done there.

    Raises as `switch_power`, but for a busy board.
    """
    with closing(session.reach(_ignore).drivers(_ignore)) as drivers:
        check_board(session.board, drivers, _ignore)
        return _ACTS[action](drivers.power, _ignore, session.pace)


def _ignore(_event: Event) -> None:
    return
