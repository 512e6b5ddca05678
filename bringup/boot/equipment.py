"""What a run is given to work with; a session gives that of a board, a test its own doubles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from bringup.base.clock import Clock
from bringup.base.events import Emit
from bringup.boot.place import ReachedBoard
from bringup.boot.signals import Signals
from bringup.lab.holder import Holder
from bringup.power.actions import Pace
from bringup.power.base import Person


class Equipment(Protocol):
    """The board's place, a clock, a pace for its power, signals, and news of who passes over the lease."""

    @property
    def clock(self) -> Clock:
        """The clock that the run lives by."""
        ...

    @property
    def pace(self) -> Pace:
        """How long its power is given."""
        ...

    @property
    def signals(self) -> Signals:
        """What a person's interrupt does."""
        ...

    @property
    def person(self) -> Person | None:
        """Who may be asked, None where nobody is there."""
        ...

    def reach(self, emit: Emit) -> ReachedBoard:
        """Make the board reachable (a twin is started) and return its place; the same one when
        asked again.
        """
        ...

    def part(self) -> None:
        """End what `reach` started."""
        ...

    def notices(self) -> Iterable[Holder]:
        """Return who acted on the board in spite of our lease since the last call."""
        ...
