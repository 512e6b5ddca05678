"""Whether boards are on: asked for by anybody, whoever works on them.

Many are asked together. What can be asked without waiting (a BMC over IPMI) is asked so, twice; a board whose
two reads do not agree at once, or that cannot be asked so, is read by a thread of its own, as one that is
about to be switched.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress

from bringup.base.errors import BringupError
from bringup.base.events import Emit
from bringup.lab.inventory import Board
from bringup.power.actions import confirmed_state
from bringup.power.base import Drivers, Person, PowerState
from bringup.power.open import open_drivers

_TOGETHER_S = 1.0
"""How long a board is waited for together with the others: to be asked, and for each of its answers."""


def power_state(
    board: Board, person: Person | None = None, *, listener: Emit | None = None
) -> tuple[PowerState, str]:
    """Return whether a board is on, as two reads in succession agree, and who says so; raises LabError.

    `listener` hears why it takes longer, where it does.
    """
    look = _Look(board, person, listener)
    look.begin()
    _read_twice([look])
    return look.result()


def power_states(
    boards: Sequence[Board], *, at_once: int = 64
) -> list[tuple[Board, PowerState | None, str | BringupError]]:
    """Return whether each board is on and who says so; None and the error where that could not be learnt.

    `at_once` boards are asked together, and then the next ones.
    """
    at_once = max(1, at_once)
    groups = (boards[first : first + at_once] for first in range(0, len(boards), at_once))
    return [told for group in groups for told in _asked_together(group)]


def _asked_together(boards: Sequence[Board]) -> list[tuple[Board, PowerState | None, str | BringupError]]:
    looks = [_Look(board) for board in boards]

    def tell(look: _Look, beginning: Future[None]) -> tuple[Board, PowerState | None, str | BringupError]:
        try:
            beginning.result()
            return (look.board, *look.result())
        except BringupError as error:
            return look.board, None, error

    with ThreadPoolExecutor(max_workers=len(boards)) as pool:
        # In threads: a password may have to be asked for, and a name be looked up.
        beginnings = {look: pool.submit(look.begin) for look in looks}
        begun, _ = wait(beginnings.values(), _TOGETHER_S)
        _read_twice([look for look in looks if beginnings[look] in begun])
        later = {look: pool.submit(tell, look, beginnings[look]) for look in looks if look.agreed is None}
        return [later[look].result() if look in later else tell(look, beginnings[look]) for look in looks]


class _Look:
    """A look at one board's power, by reads that nobody waits for where there are such."""

    def __init__(self, board: Board, person: Person | None = None, listener: Emit | None = None) -> None:
        self.board = board
        self._listener = listener
        self.reads: list[Future[PowerState]] = []
        self._person = person
        self._drivers: Drivers | None = None

    def begin(self) -> None:
        """Reach for the board and begin to read; raises BringupError."""
        self._drivers = open_drivers(self.board, person=self._person)
        self.read()

    def read(self) -> None:
        """Begin a read, where that can be done without waiting for it."""
        if self._drivers is not None and self._drivers.ahead is not None:
            self.reads.append(self._drivers.ahead.ask_ahead())

    @property
    def last(self) -> PowerState:
        """What the last read says, UNKNOWN while it is under way."""
        return self.reads[-1].result() if self.reads and self.reads[-1].done() else PowerState.UNKNOWN

    @property
    def agreed(self) -> PowerState | None:
        """What two reads in succession say, None where they do not agree, or tell nothing."""
        if len(self.reads) < 2 or self.last is PowerState.UNKNOWN:
            return None
        return self.last if self.reads[-2].result() is self.last else None

    def result(self) -> tuple[PowerState, str]:
        """Return the state and who says so, read once more where it is not agreed; raises BringupError."""
        assert self._drivers is not None, "it has begun"  # noqa: S101
        with closing(self._drivers) as drivers:
            state = self.agreed or confirmed_state(drivers.power, emit=self._listener)
            return state, drivers.power.describe()


def _read_twice(looks: Collection[_Look]) -> None:
    """Let what can be read without waiting be read, and those that told something once more."""
    wait([look.reads[-1] for look in looks if look.reads], _TOGETHER_S)
    again = [look for look in looks if look.last is not PowerState.UNKNOWN]
    for look in again:
        with suppress(BringupError):  # the one that reads it again will tell
            look.read()
    wait([look.reads[-1] for look in again], _TOGETHER_S)
