"""The one way to a board: whatever acts on one enters through a session.

    with Session(board, "boot") as session:
        folder = session.run_folder(lab)
        ...

What keeps a board safe is here and nowhere else: the lease, what signals do, the end of a twin that was
started.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import cached_property
from types import TracebackType

from bringup.base.clock import Clock
from bringup.base.events import Emit, Event
from bringup.boot.folders import RunFolder, runs_folder
from bringup.boot.place import BoardPlace, reach
from bringup.boot.signals import Signals
from bringup.boot.stop import Stop, StopClock, StopSignals
from bringup.lab.holder import Holder
from bringup.lab.inventory import Board, Lab
from bringup.lab.lease import Lease, known_as
from bringup.power.actions import Pace
from bringup.power.base import Person
from bringup.twin.engines import USUAL, TwinSetup


class Session:
    """A board that nobody else acts on while this is entered.

    Entering raises BmcBusyError naming the holder when somebody else does, unless `force`: then the holder is
    told, as an event of their run. `purpose` is what others are told of us. `twin` says how a twin is started
    that is not up, and `keep_twin` leaves it up afterwards. `person` is whom a power driver may ask to lend a
    hand. `stop` ends what is done in a thread.
    """

    def __init__(
        self,
        board: Board,
        purpose: str,
        *,
        force: bool | None = None,
        keep_twin: bool = False,
        twin: TwinSetup = USUAL,
        person: Person | None = None,
        stop: Stop | None = None,
    ) -> None:
        self.board = board
        self.clock: Clock = Clock()
        self.signals: Signals = Signals(outlives_terminal=True)
        if stop is not None:
            self.signals = signals = StopSignals(stop)
            self.clock = StopClock(signals)
        self._keep_twin = keep_twin
        self._twin = twin
        self.person = person
        self._lease = Lease(board.name, purpose, known_as=known_as(board), force=force)
        self._held = ExitStack()
        self._reached = ExitStack()
        self._place: BoardPlace | None = None

    def __enter__(self) -> Session:
        with ExitStack() as stack:
            stack.enter_context(self._lease)
            stack.enter_context(self.signals)
            stack.callback(self.part)
            self._held = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    @property
    def passed_over(self) -> Holder | None:
        """Who held the board when `force` passed over them."""
        return self._lease.passed_over

    @cached_property
    def pace(self) -> Pace:
        """How long the board's power is given; a virtual supply needs no rest between off and on."""
        clock = self.clock
        if self.board.twin:
            return Pace(poll_s=0.1, off_pause_s=0.1, now=clock.now_s, sleep=clock.sleep)
        return Pace(now=clock.now_s, sleep=clock.sleep)

    def run_folder(self, lab: Lab) -> RunFolder:
        """Make the folder of a run of this board; raises LabError."""
        return RunFolder.create(runs_folder(lab))

    def reach(self, emit: Emit) -> BoardPlace:
        """Make the board reachable; a twin is started where none is up, once in a session."""
        if self._place is None:
            context = reach(self.board, emit, keep_twin=self._keep_twin, setup=self._twin, person=self.person)
            self._place = self._reached.enter_context(context)
        elif self.board.twin:
            emit(Event("twin", "twin.up", "still up", {"tied": self._place.tied}))
        return self._place

    def part(self) -> None:
        """End a twin that this session started, unless it is kept."""
        self._place = None
        self._reached.close()

    def notices(self) -> Iterator[Holder]:
        """Yield who acted on the board in spite of this session since the last call."""
        return self._lease.notices()
