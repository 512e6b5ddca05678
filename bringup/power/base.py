"""What drives a board's power: a protocol that IPMI implements today and other ways may later."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

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

    Sequences that confirm what they did are in bringup.power.actions.
    """

    def describe(self) -> str:
        """Return who switches, for people: `the BMC at 10.0.0.17 port 623`."""
        ...

    def state(self) -> PowerState:
        """Read the power state once."""
        ...

    def on(self) -> None:
        """Ask for power on."""
        ...

    def off(self) -> None:
        """Ask for power off, at once and without asking the operating system."""
        ...

    def reset(self) -> None:
        """Ask for a hard reset of a board that is on."""
        ...

    def soft(self) -> None:
        """Ask the operating system to shut down (an ACPI power button press)."""
        ...

    def set_override(self, override: BootOverride) -> None:
        """Set what boots next and read it back; raises LabError when it did not take."""
        ...

    def read_override(self) -> BootOverride:
        """Return what boots next."""
        ...

    def close(self) -> None:
        """End the connection; a later call opens it again."""
        ...
