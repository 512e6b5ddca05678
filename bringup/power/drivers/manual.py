"""Power by a person: who is told what to do, and says when it is done.

`power = "manual"` is for a board that nothing else switches. What the person last said is what is known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.errors import LabError
from bringup.base.events import Emit, Event
from bringup.power.base import Drivers, Person, Power, PowerState
from bringup.power.settings import NoSettings, power_settings

if TYPE_CHECKING:
    from bringup.lab.inventory import Board


def open_drivers(board: Board, emit: Emit, person: Person | None) -> Drivers:
    """Return power by hand, without a boot override; nobody is asked before the first call on it."""
    power_settings(board, NoSettings)
    return Drivers(ManualPower(board.name, person, emit))


class ManualPower(Power):
    """One board's power by the hands of a person.

    The state is what they last confirmed. Before that they are asked for it, once. Every call raises LabError
    where there is no person.
    """

    def __init__(self, board: str, person: Person | None, emit: Emit) -> None:
        self._board = board
        self._somebody = person
        self._emit = emit
        self._confirmed = PowerState.UNKNOWN

    def describe(self) -> str:
        """Return who switches."""
        return f"the person at {self._board}"

    def state(self) -> PowerState:
        """Return what the person last confirmed; the first time they are asked."""
        if self._confirmed is PowerState.UNKNOWN:
            question = f"Is {self._board} on or off? Its power LED tells."
            self._confirmed = PowerState(self._person(question).choose(question, ("on", "off")))
        return self._confirmed

    def on(self) -> None:
        """Ask for power on; the first text on its console is as good as the person's word."""
        self._ask(f"Switch {self._board} on", PowerState.ON, or_console=True)

    def off(self) -> None:
        """Ask for power off."""
        self._ask(f"Switch {self._board} off", PowerState.OFF)

    def reset(self) -> None:
        """Ask for a press of the reset button; a console that goes on talking is no sign of it."""
        self._ask(f"Press the reset button of {self._board}", PowerState.ON)

    def soft(self) -> None:
        """Ask for a shutdown by the operating system's own means."""
        self._ask(f"Shut down {self._board} from its system and wait until its LED is off", PowerState.OFF)

    def _ask(self, question: str, then: PowerState, *, or_console: bool = False) -> None:
        # Until they say that it is done, it may be either.
        self._confirmed = PowerState.UNKNOWN
        self._person(question).ask(question, or_console=or_console)
        self._confirmed = then

    def _person(self, question: str) -> Person:
        """Return who is asked, and tell that they are."""
        if self._somebody is None:
            raise LabError(
                f"{self._board} is switched by hand, and nobody can be asked here: {question}",
                hint="run it in a terminal, or give the board a power driver that needs nobody",
            )
        self._emit(Event("power", "power.ask", question))
        return self._somebody
