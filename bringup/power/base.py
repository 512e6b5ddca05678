"""What driving a board's power and boot override means, whatever does it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

Device = Literal["none", "network", "disk", "cdrom", "setup"]


class PowerState(StrEnum):
    """Unknown is a state of its own: it is neither off nor permission to act."""

    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class BootOverride:
    """What the firmware boots instead of its own order; `none` means its own order."""

    device: Device
    persistent: bool = False
    uefi: bool = False

    def __str__(self) -> str:
        if self.device == "none":
            return "none"
        how = "always" if self.persistent else "once"
        return f"{self.device} {how}, UEFI {'on' if self.uefi else 'off'}"


NO_OVERRIDE = BootOverride("none")


class Power(Protocol):
    """A board's power switch. Calls return when the command is accepted, not when the board has obeyed."""

    def state(self) -> PowerState:
        """Return what the BMC says now."""

    def on(self) -> None:
        """Ask for power."""

    def off(self) -> None:
        """Pull the plug."""

    def reset(self) -> None:
        """Reset a running board."""

    def set_override(self, override: BootOverride) -> None:
        """Set what boots next, and keep it from expiring; raises LabError when it does not read back."""

    def read_override(self) -> BootOverride:
        """Return what is set."""

    def close(self) -> None:
        """Log out."""
