"""Who has which board of a lab: read, and nothing made or locked for it."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bringup.base.errors import BringupError
from bringup.lab.holder import Holder, is_stopped
from bringup.lab.inventory import Board, Lab
from bringup.lab.lease import known_as, reservation, reservation_file, worker
from bringup.lab.reservation import ReservationFile


@dataclass(frozen=True, slots=True)
class Lease:
    """Who has a board: by a lease that they took, or by a command at work (`holder.until` None).

    `told`: who acted on the board in spite of it. `problem` stands for a file that is no lease.
    """

    board: str
    holder: Holder | None
    told: tuple[Holder, ...] = ()
    problem: str | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether the process that holds it was stopped and does nothing."""
        return self.holder is not None and is_stopped(self.holder.pid)


def leases(lab: Lab) -> list[Lease]:
    """Return who has which board of a lab; boards that nobody has are left out."""
    return [lease for board in lab.boards.values() for lease in leases_of(board)]


def leases_of(board: Board) -> list[Lease]:
    """Return the lease that somebody took of a board and the command that works on it, if there are."""
    found: list[Lease] = []
    try:
        if os.path.lexists(reservation_file(board.name, known_as(board))):  # looking makes none
            with reservation(board.name, known_as(board)) as file:
                taken = reserved(file)
                if taken is not None:
                    found.append(Lease(board.name, taken, tuple(file.notices())))
        at_work = worker(board.name, known_as(board))
    except BringupError as error:
        return [*found, Lease(board.name, None, problem=error.message)]
    return [*found, *([] if at_work is None else [Lease(board.name, at_work)])]


def reserved(file: ReservationFile) -> Holder | None:
    """Return who has taken the board whose file this is, None where nobody has."""
    current = file.current()
    return None if current is None else current.holder
