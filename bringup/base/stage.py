"""The stages of a boot, in order: how far a boot came is the furthest of these with evidence.

`CAPTURE` and `MAINTENANCE` are stages of one boot each: what the probe was asked for has come; the
maintenance ramdisk asks what to do.
"""

from __future__ import annotations

from enum import Enum


class Stage(Enum):
    """A stage of a boot; compares by order, prints as its name."""

    POWER = "power"
    FIRMWARE = "firmware"
    DHCP = "dhcp"
    LOADER = "loader"
    KERNEL_IMAGE = "kernel-image"
    MODULES = "modules"
    KERNEL = "kernel"
    USER_SPACE = "user-space"
    CAPTURE = "capture"
    MAINTENANCE = "maintenance"
    VMM = "vmm"
    GUEST = "guest"
    LOGIN = "login"

    def __init__(self, _name: str) -> None:
        self.order = len(type(self).__members__)
        """Position in the boot, 0 for power."""

    def __lt__(self, other: Stage) -> bool:
        return self.order < other.order

    def __le__(self, other: Stage) -> bool:
        return self.order <= other.order

    def __str__(self) -> str:
        return self.value


BOOT_STAGES = tuple(stage for stage in Stage if stage not in (Stage.CAPTURE, Stage.MAINTENANCE))
"""What a person's own image goes through."""
