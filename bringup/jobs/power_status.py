"""Whether boards are on: asked for by anybody, whoever works on them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from bringup.base.errors import BringupError
from bringup.lab.inventory import Board
from bringup.power.actions import confirmed_state
from bringup.power.base import Person, PowerState
from bringup.power.open import open_drivers


def power_state(board: Board, person: Person | None = None) -> tuple[PowerState, str]:
    """Return whether a board is on, as two reads in succession agree, and who says so; raises LabError."""
    with closing(open_drivers(board, person=person)) as drivers:
        return confirmed_state(drivers.power), drivers.power.describe()


def power_states(
    boards: Sequence[Board], *, at_once: int = 64
) -> list[tuple[Board, PowerState | None, str | BringupError]]:
    """Return whether each board is on and who says so; None and the error where that could not be learnt."""

    def ask(board: Board) -> tuple[Board, PowerState | None, str | BringupError]:
        try:
            return (board, *power_state(board))
        except BringupError as error:
            return board, None, error

    with ThreadPoolExecutor(max_workers=max(1, min(at_once, len(boards)))) as pool:
        return list(pool.map(ask, boards))
