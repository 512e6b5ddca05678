"""Lets faults begin at their moment, and stands where they act: between BMC, board and console.

What the twin itself sees decides about the moment: power, the board's console before anything happens to it,
and what `seen` is told by others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from bringup.base.stage import Stage
from bringup.twin.bmc.boot import BootFlags
from bringup.twin.bmc.request import Request, WatchedBoard
from bringup.twin.bmc.server import VirtualBmc
from bringup.twin.faults.catalog import START
from bringup.twin.faults.choice import ChosenFault
from bringup.twin.faults.effects import Effect, Hands, effect_of

if TYPE_CHECKING:
    from bringup.transcript.stages import Sighting, StageReader

# Our loader scripts say what they have fetched (pxe/).
_FETCHED = {
    "bringup: loading module": Stage.KERNEL_IMAGE,
    "bringup: starting kernel": Stage.MODULES,
}


class Director:
    """The faults of one twin. `tell_wire` is told the name of a fault of the network that begins."""

    def __init__(
        self,
        chosen: Sequence[ChosenFault],
        seed: int,
        *,
        now: Callable[[], float],
        tell_wire: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._effects = [effect_of(one, seed) for one in chosen]
        self._waiting = list(self._effects)
        self._tell_wire = tell_wire
        self._now = now
        self._lock = threading.Lock()
        self._timers: list[threading.Timer] = []
        # Most twins play no fault that waits for a stage, and need nobody who reads their console.
        self._reader = _new_reader() if any(one.stage is not None for one in chosen) else None
        self._hands: Hands | None = None
        self._powered = False

    def start(self, bmc: VirtualBmc, board: WatchedBoard) -> None:
        """Let begin what is there from the start."""
        self._hands = Hands(bmc, board, self._later)
        self._begin(lambda chosen: chosen.at == START)

    def close(self) -> None:
        """Let nothing begin or end any more."""
        for timer in self._timers:
            timer.cancel()

    # What the BMC asks and orders.

    def answers(self, request: Request) -> int | None:
        """Return the completion code that a fault gives to a command, None where it is run."""
        codes = (effect.answers(request) for effect in self._acting())
        return next((code for code in codes if code is not None), None)

    def obeys(self, order: str) -> bool:
        """Return whether an order reaches the board."""
        return all(effect.obeys(order) for effect in self._acting())

    # What the board does.

    def boots(self, flags: BootFlags) -> BootFlags:
        """Return the boot flags that the firmware goes by."""
        for effect in self._acting():
            flags = effect.boots(flags)
        return flags

    def power(self, *, on: bool) -> None:
        """Hear of the board's power; seconds are counted from its first power-on."""
        if not on or self._powered:
            return
        self._powered = True
        self.seen(Stage.POWER)
        for effect in list(self._waiting):
            if isinstance(effect.chosen.at, float):
                self._later(effect.chosen.at, lambda effect=effect: self._let_begin(effect))  # type: ignore[misc]

    def console(self, data: bytes) -> bytes:
        """Take what the board prints; returns what of it reaches the BMC."""
        if self._reader is not None and self._waiting:
            for sighting in self._reader.feed(data, self._now()):
                stage = _stage_of(sighting)
                if stage is not None:
                    self.seen(stage)
        for effect in self._acting():
            data = effect.console(data)
        return data

    def seen(self, stage: Stage) -> None:
        """Hear that the boot reached a stage, and with it those before."""
        self._begin(lambda chosen: chosen.stage is not None and chosen.stage <= stage)

    def _acting(self) -> list[Effect]:
        return [effect for effect in self._effects if effect.active]

    def _begin(self, is_due: Callable[[ChosenFault], bool]) -> None:
        for effect in list(self._waiting):
            if is_due(effect.chosen):
                self._let_begin(effect)

    def _let_begin(self, effect: Effect) -> None:
        with self._lock:
            if effect not in self._waiting or self._hands is None:
                return
            self._waiting.remove(effect)
        effect.begin(self._hands)
        if effect.chosen.fault.acts == "network":
            self._tell_wire(effect.chosen.name)

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        timer = threading.Timer(seconds, call)
        timer.daemon = True
        self._timers.append(timer)
        timer.start()


def _new_reader() -> StageReader:
    from bringup.transcript.stages import StageReader

    return StageReader()


def _stage_of(sighting: Sighting) -> Stage | None:
    fetched = next((stage for text, stage in _FETCHED.items() if text in sighting.line_text), None)
    return fetched or (sighting.stage if sighting.kind == "stage" else None)


class DirectedBoard:
    """The board as the BMC sees it while faults act: some orders do not reach it."""

    def __init__(self, board: WatchedBoard, director: Director) -> None:
        self._board = board
        self._director = director

    def is_on(self) -> bool:
        """Return whether the board has power."""
        return self._board.is_on()

    def power_on(self) -> None:
        """Switch on, where the order reaches the board."""
        self._order("power_on")

    def power_off(self) -> None:
        """Switch off."""
        self._order("power_off")

    def power_cycle(self) -> None:
        """Switch off and on."""
        self._order("power_cycle")

    def reset(self) -> None:
        """Reset it."""
        self._order("reset")

    def soft_off(self) -> None:
        """Press the power button."""
        self._order("soft_off")

    def pulse_diag(self) -> None:
        """Send a diagnostic interrupt."""
        self._board.pulse_diag()

    def write_serial(self, data: bytes) -> None:
        """Type on the console."""
        self._board.write_serial(data)

    def send_break(self) -> None:
        """Send a serial break."""
        self._board.send_break()

    def _order(self, name: str) -> None:
        if self._director.obeys(name):
            getattr(self._board, name)()


class DirectedBmc:
    """The BMC as the board sees it while faults act: text is lost, boot flags are not looked at."""

    def __init__(self, bmc: VirtualBmc, director: Director) -> None:
        self._bmc = bmc
        self._director = director

    def take_boot_flags(self) -> BootFlags:
        """Return the flags that the firmware goes by."""
        return self._director.boots(self._bmc.take_boot_flags())

    def serial_output(self, data: bytes) -> bool:
        """Take what the board prints."""
        left = self._director.console(data)
        return self._bmc.serial_output(left) if left else False

    def attach_kcs(self, connection: Any) -> None:
        """Serve the board's own interface."""
        self._bmc.attach_kcs(connection)

    def log_power(self, on: bool) -> None:
        """Record a change of power."""
        self._bmc.log_power(on)
        self._director.power(on=on)
