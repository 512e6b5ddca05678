"""Boot flags as bytes: boot option parameter 5 (IPMI 2.0 28.13, table 28-14) and what vendors make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from bringup.power.base import BootOverride, Device

_VALID, _PERSISTENT, _EFI = 0x80, 0x40, 0x20
_SELECTOR_MASK = 0x3C

# Device selector: bits 5:2 of the second byte.
_SELECTORS: dict[Device, int] = {
    "network": 0x04,
    "disk": 0x08,
    "diagnostic": 0x10,
    "cdrom": 0x14,
    "setup": 0x18,
    "floppy": 0x3C,
}
_NO_OVERRIDE = bytes(5)


@dataclass(frozen=True, slots=True)
class BootQuirks:
    """What a board's BMC wants differently from the specification; the defaults are the specification's.

    `flags` gives the five bytes for single overrides. `uefi_disk_selector` is the second byte for the disk
    under UEFI (such as 0x24, "remote connected hard drive"). `stop_expiry` is the value of parameter
    3 that keeps the BMC from dropping the flags 60 s after they were set (IPMI 2.0 28.13, bit 3).
    """

    flags: Mapping[BootOverride, bytes] = field(default_factory=dict)
    uefi_disk_selector: int | None = None
    stop_expiry: int = 0x08


def encode(override: BootOverride, quirks: BootQuirks) -> bytes:
    """Return the five bytes that ask for `override`."""
    if override.device == "none":
        return _NO_OVERRIDE
    if override in quirks.flags:
        return quirks.flags[override]
    first = _VALID | (_PERSISTENT if override.persistent else 0) | (_EFI if override.uefi else 0)
    selector = _SELECTORS[override.device]
    if override.device == "disk" and override.uefi and quirks.uefi_disk_selector is not None:
        selector = quirks.uefi_disk_selector
    return bytes([first, selector, 0, 0, 0])


def decode(flags: bytes, quirks: BootQuirks) -> BootOverride:
    """Return what five bytes ask for; without the valid bit they ask for nothing."""
    if not flags[0] & _VALID:
        return BootOverride("none")
    selector = flags[1] & _SELECTOR_MASK
    if selector == 0:
        return BootOverride("none")
    device: Device = next((name for name, value in _SELECTORS.items() if value == selector), "other")
    if quirks.uefi_disk_selector is not None and selector == quirks.uefi_disk_selector & _SELECTOR_MASK:
        device = "disk"
    return BootOverride(device, persistent=bool(flags[0] & _PERSISTENT), uefi=bool(flags[0] & _EFI))


def unmarked(flags: bytes) -> bytes:
    """Return the five bytes without the mark that they are valid."""
    return bytes([flags[0] & ~_VALID, *flags[1:]])


class Kept(Enum):
    """What a BMC that was told to keep an override answers when it is asked for it."""

    HELD = "holds it"
    UNMARKED = "holds it and does not mark it valid"
    OTHER = "holds something else"


def kept(wanted: BootOverride, read: bytes, quirks: BootQuirks) -> Kept:
    """Return what five bytes say of an override that was set.

    Device, once or always, and EFI count; the rest (verbosity, locks, console redirection) is the BMC's own.
    Some BMCs never answer the valid bit (OpenIPMI's simulator): what they hold may be from before.
    """
    if wanted.device == "none":
        return Kept.OTHER if read[0] & _VALID and read[1] & _SELECTOR_MASK else Kept.HELD
    held = decode(bytes([read[0] | _VALID, *read[1:]]), quirks)
    if held != wanted:
        return Kept.OTHER
    return Kept.HELD if read[0] & _VALID else Kept.UNMARKED
