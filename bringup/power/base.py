"""What drives a board's power, what sets where it boots from, and the person who may have to help.

A driver is a module with one function, `open_drivers(board, emit, person) -> Drivers`; docs/extending.md
shows one being written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol

from bringup.base.errors import NotOfferedError
from bringup.base.events import Emit, Event

if TYPE_CHECKING:
    from concurrent.futures import Future

    from bringup.lab.inventory import Board

OverridePolicy = Literal["verified", "unverified", "none"]
"""Whether a boot needs the override read back, goes on without that, or sets none."""

Device = Literal["none", "network", "disk", "cdrom", "floppy", "setup", "diagnostic", "other"]


class PowerState(Enum):
    """What is known of the power; UNKNOWN is not off."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class BootOverride:
    """What the firmware is told to boot from; `none` leaves it its own order.

    `persistent` holds for every boot rather than the next one, `uefi` asks for an EFI boot.
    """

    device: Device
    persistent: bool = False
    uefi: bool = False

    def __str__(self) -> str:
        if self.device == "none":
            return "none"
        return f"{self.device} {'always' if self.persistent else 'once'}, UEFI {'on' if self.uefi else 'off'}"


class Power(Protocol):
    """One board's power. Every call may raise LabError; the switching ones return before the board follows.

    A driver that subclasses this has to write the first four; what a plain switch cannot do is refused in
    words. Sequences that confirm what they did are in bringup.power.actions.
    """

    def describe(self) -> str:
        """Return who switches, for people: `the BMC at 10.0.0.17 port 623`."""
        ...

    def state(self) -> PowerState:
        """Read the power state once: what is known now, never what was last asked for."""
        ...

    def on(self) -> None:
        """Ask for power on."""
        ...

    def off(self) -> None:
        """Ask for power off, at once and without asking the operating system."""
        ...

    def reset(self) -> None:
        """Ask for a hard reset of a board that is on; raises NotOfferedError where only power is switched."""
        raise NotOfferedError(
            f"{self.describe()} has no reset", hint="switch off and on instead: bringup power BOARD cycle"
        )

    def soft(self) -> None:
        """Ask the operating system to shut down (an ACPI power button press); raises NotOfferedError."""
        raise NotOfferedError(
            f"{self.describe()} cannot ask the operating system to shut down",
            hint="shut it down from its console, then: bringup power BOARD off",
        )

    def trouble(self) -> str | None:
        """Return what keeps the board off, as far as the last `state` told it; nothing is asked."""
        return None

    def close(self) -> None:
        """End the connection; a later call opens it again."""
        return


class Override(Protocol):
    """What a board boots from next; a driver whose switch knows nothing of the board has none."""

    def describe(self) -> str:
        """Return who keeps it, for people."""
        ...

    def set(self, override: BootOverride) -> bool:
        """Set what boots next, read it back, and return whether what was read is certain.

        Raises OverrideError where it did not take or cannot be read back, OverrideRefusedError for a refusal.
        """
        ...

    def clear(self) -> None:
        """Leave the board its own order; raises LabError where that is refused."""
        ...

    def read(self) -> BootOverride:
        """Return what boots next."""
        ...


@dataclass(frozen=True, slots=True)
class MediaSlot:
    """A drive that a BMC shows to its board; `kinds` are Redfish's (CD, DVD, USBStick), `image` is in it."""

    name: str
    kinds: tuple[str, ...]
    image: str | None


class Media(Protocol):
    """Virtual media: images that the BMC fetches and shows to the board as a drive."""

    def slots(self) -> tuple[MediaSlot, ...]:
        """Return the drives there are; none where the BMC offers none."""
        ...

    def insert(self, url: str) -> MediaSlot:
        """Put the image at `url` into a free drive for discs and return that; raises LabError."""
        ...

    def eject(self) -> tuple[MediaSlot, ...]:
        """Take out whatever is in and return the drives that held it."""
        ...


class ReadAhead(Protocol):
    """A power state that can be asked for without waiting for it, of many boards together."""

    def ask_ahead(self) -> Future[PowerState]:
        """Ask once and return at once; UNKNOWN where `Power.state`, asked afterwards, has to tell why.

        May raise LabError, and look up a password first.
        """
        ...


class Identified(Protocol):
    """Something that can say which board it is, and says the same for ever."""

    def identity(self) -> str | None:
        """Return what it calls itself, such as `GUID 03000200-…`, None where it has no name of its own."""
        ...


@dataclass(frozen=True, slots=True)
class Logged:
    """What a board's own log says befell it; `kind` is a word of `bringup.ipmi.sel.Kind`, or another's."""

    kind: str
    text: str


class BoardLog(Protocol):
    """A log that the board's BMC keeps. Reading it is a favour: it is never worth a wait."""

    def mark(self) -> None:
        """Remember where the log ends now."""
        ...

    def since_mark(self) -> tuple[Logged, ...] | None:
        """Return what was added and explains a fault, None where that cannot be told just now."""
        ...


@dataclass(frozen=True, slots=True)
class Drivers:
    """What a power driver gives for one board; without `override` the board's own boot order holds.

    `identified` says whose BMC the power is asked of; a switch that knows no board has none, and no `media`
    and no `log`. `ahead` is None for what can only be asked and waited for.
    """

    power: Power
    override: Override | None = None
    identified: Identified | None = None
    media: Media | None = None
    log: BoardLog | None = None
    ahead: ReadAhead | None = None

    def close(self) -> None:
        """End the connection; a later call on either opens it again."""
        self.power.close()


class Person(Protocol):
    """Somebody beside the board. Waiting for them is bounded; raises LabError when nobody answers."""

    def hear(self, event: Event) -> None:
        """Take note of an event of the run, from any thread: console text is the board's own answer."""
        ...

    def ask(self, question: str, *, or_console: bool = False) -> None:
        """Show what to do and return when the person says that it is done.

        With `or_console` the board may answer for them: the first thing its console says counts, too.
        """
        ...

    def choose(self, question: str, answers: Sequence[str]) -> str:
        """Show a question and return which of `answers` the person gave."""
        ...


OpenDrivers = Callable[["Board", Emit, Person | None], Drivers]
