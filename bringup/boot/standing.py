"""How a board stands now, from what was seen: for whoever interrupts us. Nothing here is assumed."""

from __future__ import annotations

from bringup.base.events import Event
from bringup.power.base import PowerState


class Standing:
    """Listens to a run's events. `power` is None until it was read or touched."""

    def __init__(self, board: str) -> None:
        self._board = board
        self.power: str | None = None
        self.found: PowerState | None = None
        """The state before anything was done, where that was asked: on is confirmed, off was read once."""
        self.override = "the boot override was not touched"
        self.ends_twin = False
        self.disk: str | None = None
        """What is true of the board's disk, where this run writes one."""
        self.booting = False
        """Whether the console shows the boot; before that it shows what the board ran when it was found."""

    def note(self, event: Event) -> None:
        """Take one event."""
        if event.kind == "power.action":
            self.power = f"being switched ({event.data['action']})"
            self.booting = event.data["action"] != "off"
        elif event.kind in ("power.state", "power.left") and "state" in event.data:
            self.power = str(event.data["state"])
        elif event.kind == "twin.up":
            self.ends_twin = bool(event.data.get("tied"))

    def sentence(self) -> str:
        """Say how the board is left."""
        if self.ends_twin:
            disk = f"; {self.disk}" if self.disk else ""
            return f"the twin that this boot started is ended, and its board with it{disk}"
        power = f"{self._board} is {self.power}" if self.power else "its power was not touched"
        disk = f"; {self.disk}" if self.disk else ""
        return f"{power}, {self.override}, nothing is served any more{disk}"
