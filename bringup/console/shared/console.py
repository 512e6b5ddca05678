"""A console that is shared: had by one process of this host, read by any, typed on by one.

listen   read it where somebody has it; else have it, until somebody needs it for work on the board
work     have it; a listener who has it hands it over, and goes on listening
beside   type on it beside somebody's work, who is told
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum

from bringup.base.errors import ConsoleHeldError, ConsoleLostError
from bringup.base.events import Emit, Event
from bringup.console.base import Console
from bringup.console.shared.door import TakenError
from bringup.console.shared.hub import Hub
from bringup.console.shared.joined import JoinedConsole
from bringup.lab.holder import Holder

_HAND_OVER_S = 5.0
_RACE_PAUSE_S = 0.05


class Role(Enum):
    """What for somebody opens a console; the value is what is asked of who has it."""

    LISTEN = "read"
    WORK = "have"
    BESIDE = "type"


class Way:
    """The way to a console: itself, where nobody on this host has it, else by way of who has it.

    `name` says which console it is to every process of this host. To be wrapped by whatever opens a console
    again when it is lost; `emit` hears of who has it, and who types.
    """

    def __init__(self, console: Console, name: str, role: Role, who: Holder, emit: Emit) -> None:
        self._console = console
        self._name = name
        self._role = role
        self._who = who
        self._emit = emit
        self._joined: JoinedConsole | None = None
        self._parted_s = 0.0
        self.hub: Hub | None = None

    @property
    def alive_s(self) -> float:
        """When the console last showed a sign of life; who has it tells others when it does not."""
        return time.monotonic() if self._joined is not None else max(self._parted_s, self._console.alive_s)

    def describe(self) -> str:
        """Return which console this is."""
        return self._console.describe()

    def open(self, timeout_s: float) -> bool | None:
        """Have the console, or share it; raises what opening it raises."""
        if self.hub is not None:
            return self._console.open(timeout_s)
        deadline_s = time.monotonic() + _HAND_OVER_S
        while time.monotonic() < deadline_s:
            try:
                self._begin_to_serve()
                break
            except TakenError:
                if self._join(timeout_s):
                    return False
            except OSError:  # no sharing here
                break
            time.sleep(_RACE_PAUSE_S)
        return self._open_own(timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what came; a listener hands the console over to who needs it, which is a loss."""
        if self._joined is not None:
            try:
                return self._joined.read(timeout_s)
            except ConsoleLostError:
                self._part()
                raise
        if self.hub is not None and self.hub.wanted_by is not None:
            taker = self.hub.wanted_by
            self._console.close()
            self._stop_serving(f"the console was handed over to {taker}")
            raise ConsoleLostError(f"the console was handed over to {taker}")
        return self._console.read(timeout_s)

    def write(self, data: bytes) -> None:
        """Send characters."""
        (self._joined or self._console).write(data)

    def send_break(self) -> None:
        """Send a break."""
        (self._joined or self._console).send_break()

    def close(self) -> None:
        """Part from it, or detach; who shared it is told."""
        self._part()
        self._console.close()
        self._stop_serving(f"{self._who} left the console")

    def _begin_to_serve(self) -> None:
        listens = self._role is Role.LISTEN
        typing = self._role is not Role.LISTEN and self._who.purpose == "console"
        self.hub = Hub(self._name, self._who, self._console, self._emit, yields=listens, typing=typing)

    def _open_own(self, timeout_s: float) -> bool | None:
        try:
            return self._console.open(timeout_s)
        except BaseException:
            self._stop_serving("the console could not be opened")
            raise

    def _join(self, timeout_s: float) -> bool:
        """Share the console; False where who has it just left, hands it over, or is another person."""
        try:
            joined = JoinedConsole(self._name, self._role.value, self._who, self._emit, timeout_s)
        except ConsoleHeldError as held:
            raise ConsoleHeldError(
                f"{self._console.describe()} is held by {held.message}",
                hint="read it beside them: bringup console BOARD --listen",
            ) from None
        except (OSError, ConsoleLostError):
            return False
        if self._role is Role.WORK:
            joined.wait_for_end(_HAND_OVER_S)
            joined.close()
            return False
        self._joined = joined
        text = f"shared with {joined.holder}; what it showed last comes first"
        self._emit(Event("console", "console.shared", text, {"who": joined.holder.who}))
        return True

    def _part(self) -> None:
        joined, self._joined = self._joined, None
        if joined is not None:
            joined.close()
            self._parted_s = time.monotonic()

    def _stop_serving(self, reason: str) -> None:
        hub, self.hub = self.hub, None
        if hub is not None:
            hub.close(reason)


class SharedConsole:
    """A console that came by `way`; what it shows and what happens to it goes to all who share it.

    `wrap` makes of the way and an emit a console that comes back after a loss.
    """

    def __init__(self, way: Way, wrap: Callable[[Console, Emit], Console], emit: Emit) -> None:
        self._way = way
        self._emit = emit
        self._console = wrap(way, self._tell)

    @property
    def alive_s(self) -> float:
        """When the console last showed a sign of life."""
        return self._console.alive_s

    def describe(self) -> str:
        """Return which console this is."""
        return self._console.describe()

    def open(self, timeout_s: float) -> bool | None:
        """Attach."""
        return self._console.open(timeout_s)

    def read(self, timeout_s: float) -> bytes:
        """Return what came in."""
        data = self._console.read(timeout_s)
        hub = self._way.hub
        if hub is not None:
            hub.show(data)
        return data

    def write(self, data: bytes) -> None:
        """Send characters."""
        self._console.write(data)

    def send_break(self) -> None:
        """Send a break."""
        self._console.send_break()

    def close(self) -> None:
        """Detach."""
        self._console.close()

    def _tell(self, event: Event) -> None:
        hub = self._way.hub
        if hub is not None:
            hub.tell(event)
        self._emit(event)
