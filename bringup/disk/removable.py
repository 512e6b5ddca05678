"""Which device of this host a stick image may be written to: pure, on a listing that somebody else made.

"Allowed" is a positive list, removable or on USB, and never "not known to be bad" (etcher#983).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bringup.base.errors import LabError, UsageError
from bringup.base.size import mib_text, rough_size


@dataclass(frozen=True, slots=True)
class BlockDevice:
    """A whole disk of this host as its kernel tells it now.

    `node` is its file in /dev, `number` the kernel's (st_rdev). `sequence` is another one for each disk that
    was ever plugged in and for each medium in a drive, None where the kernel does not count them (before
    5.15). `partitions` are the nodes of its partitions. `mounts` are where it or a partition is mounted or
    used as swap, `holders` what is built on it (LVM, RAID, dm). Sizes in bytes.
    """

    node: str
    number: int
    size_bytes: int
    removable: bool = False
    bus: str = ""
    model: str = ""
    serial: str = ""
    read_only: bool = False
    sector_bytes: int = 512
    partitions: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    sequence: int | None = None

    @property
    def is_allowed(self) -> bool:
        """Whether it is of the kind that may be written to at all."""
        return self.removable or self.bus == "usb"

    def __str__(self) -> str:
        """What people know it by."""
        serial = f"serial {self.serial}" if self.serial else ""
        names = (self.model, rough_size(self.size_bytes), serial, self.bus)
        return f"{self.node} ({', '.join(filter(None, names))})"

    def to_dict(self) -> dict[str, Any]:
        """Return the device as plain JSON data."""
        return {
            "node": self.node,
            "size_bytes": self.size_bytes,
            "removable": self.removable,
            "bus": self.bus,
            "model": self.model,
            "serial": self.serial,
        }


_SYSTEM = ("/", "/boot", "/boot/efi", "/usr", "/var", "/home", "swap")


def device_to_write(name: str, devices: Sequence[BlockDevice], need_bytes: int) -> BlockDevice:
    """Return the device whose node is `name` if an image of `need_bytes` may be written to it.

    Raises UsageError for what is no whole disk of this host, LabError for a disk that must not be written.
    """
    device = next((each for each in devices if name == each.node), None)
    if device is None:
        raise _no_disk(name, devices)
    hint = _hint(devices, need_bytes)
    if reason := _refusal(device, need_bytes):
        raise LabError(f"{device} is not written to: {reason}", hint=hint)
    return device


def _refusal(device: BlockDevice, need_bytes: int) -> str | None:
    """Return why a device must not be written, the worst first; None when it may."""
    system = [mount for mount in device.mounts if mount in _SYSTEM]
    if system:
        return f"the running system is on it ({', '.join(system)})"
    if device.mounts:
        return f"it is mounted at {', '.join(device.mounts)}; unmount it first, if that is what you want"
    if device.holders:
        return f"it is in use by {', '.join(device.holders)}"
    if not device.is_allowed:
        return "it is neither removable nor on USB"
    if device.size_bytes == 0:
        return "there is no medium in it"
    if device.read_only:
        return "it is write-protected"
    if device.size_bytes < need_bytes:
        return f"it has {mib_text(device.size_bytes)}, and {mib_text(need_bytes)} are needed"
    if device.sector_bytes != 512:
        return f"its sectors have {device.sector_bytes} bytes, and images of sticks are made for 512"
    return None


def _no_disk(name: str, devices: Sequence[BlockDevice]) -> UsageError:
    whole = next((each for each in devices if name in each.partitions), None)
    if whole is not None:
        return UsageError(f"{name} is a partition, and a stick is written as a whole", hint=whole.node)
    return UsageError(f"{name} is no disk of this host", hint=_hint(devices, 0))


def _hint(devices: Sequence[BlockDevice], need_bytes: int) -> str:
    able = [str(each) for each in devices if _refusal(each, need_bytes) is None]
    return f"it could be {'; or '.join(able)}" if able else "no stick that could be written to is plugged in"
