"""The boot override: set before power and read back, cleared afterwards where no firmware took it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.errors import BringupError, LabError, OverrideError, OverrideRefusedError
from bringup.base.firmware import Firmware
from bringup.base.stage import Stage
from bringup.boot.plan import PlannedStep
from bringup.boot.step import Step
from bringup.power.base import BootOverride, Device, Override, OverridePolicy

if TYPE_CHECKING:
    from bringup.boot.engine import Run

GO_ON = (
    "--override unverified goes on all the same, and the board's first DHCP packet proves it; --override "
    "none leaves the board its own boot order; for good: `boot_override` under [bmc] of its profile"
)


class ArmOverride(Step):
    """Tells the firmware to boot from the network, or from `device`, once.

    With `policy` "unverified" the boot goes on where the override is refused or cannot be read back.
    """

    leaving = PlannedStep("disarm", "clear a boot override that was not taken", 0.3, 15.0)

    def __init__(
        self, firmware: Firmware, *, policy: OverridePolicy = "verified", device: Device = "network"
    ) -> None:
        self._wanted = BootOverride(device, persistent=False, uefi=firmware is Firmware.UEFI)
        self._proof = "first DHCP packet" if device == "network" else "console"
        verified = policy == "verified"
        title = f"boot override: {device}, once, {firmware.upper()}; "
        title += "read back" if verified else f"the board's {self._proof} proves it"
        detail = {"device": device, "persistent": False, "uefi": self._wanted.uefi, "verified": verified}
        self.planned = PlannedStep("override", title, 0.2, 30.0, detail)
        self._verified = verified
        self._armed: Override | None = None
        self._unproven = False

    def enter(self, run: Run) -> None:
        """Set it and read it back."""
        override = run.drivers.override
        assert override is not None, "planned for a board whose driver has an override"  # noqa: S101
        run.standing.override = "its boot override may still be set"
        self._armed = override
        try:
            self._unproven = not override.set(self._wanted)
        except OverrideError as error:
            self._unproven = True
            refused = isinstance(error, OverrideRefusedError)
            if refused:
                self._armed = None
                run.standing.override = "no boot override was set"
            if self._verified:
                raise OverrideError(error.message, hint=GO_ON) from None
            if refused:
                text = f"{error.message}: going on, the board's own boot order decides"
                run.emit("power", "override.absent", text)
                return
            text = f"{error.message}: going on, the board's {self._proof} will tell"
            run.emit("power", "override.unsure", text, device=self._wanted.device)

    def check_again(self, run: Run) -> None:
        """See that it still holds, after its BMC may have restarted; a forgotten one is set again.

        A board that has done what it says has taken it.
        """
        override = self._armed
        if override is None or self._taken(run):
            return
        try:
            if not self._unproven and override.read() == self._wanted:
                run.emit("power", "override.read", f"{self._wanted}, still set", device=self._wanted.device)
            else:
                override.set(self._wanted)
        except LabError as error:
            text = f"whether it still holds is not known: {error.message}"
            run.emit("power", "override.unsure", text)

    def _taken(self, run: Run) -> bool:
        return _came_to(run, Stage.DHCP if self._wanted.device == "network" else Stage.LOADER)

    def leave(self, run: Run) -> None:
        """Clear it: a once-override that no firmware took would surprise whoever boots the board next."""
        if self._armed is None:
            return
        if self._unproven and self._taken(run):
            what = (
                "asked the network"
                if self._wanted.device == "network"
                else f"booted its {self._wanted.device}"
            )
            run.emit("power", "override.proven", f"the board {what}: it was taken")
        try:
            if self._unproven or self._armed.read().device != "none":
                self._armed.clear()
            run.standing.override = "no boot override is set"
        except BringupError as error:
            text = f"could not clear the boot override: {error.message}"
            run.emit("power", "override.left", text)


class NoOverride(Step):
    """Stands for the override where none is set, because `why`."""

    def __init__(self, why: str = "no boot override can be set", device: Device = "network") -> None:
        proof = "first DHCP packet" if device == "network" else "console"
        title = (
            f"{why}: the board's own boot order has to try the {device} first, and its {proof} "
            "shows whether it does"
        )
        self.planned = PlannedStep("override", title, 0.0, 0.0)

    def check_again(self, run: Run) -> None:
        """Have nothing to check."""

    def enter(self, run: Run) -> None:
        """Tell it."""
        run.standing.override = "no boot override was set"
        run.emit("power", "override.absent", "none: the board's own boot order decides")


def _came_to(run: Run, stage: Stage) -> bool:
    return any(reached.stage >= stage for reached in run.progress.stages)
