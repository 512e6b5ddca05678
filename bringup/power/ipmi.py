"""Power and boot override over IPMI, by raw commands whose every bit is read back.

Chassis Control is IPMI 2.0 28.3, Get Chassis Status 28.2, System Boot Options 28.12 and 28.13. The boot flags
go out as raw bytes, because the tools' own words lose bits (ipmitool#163) and some BMCs void them after 60 s
unless parameter 3 says not to (ironic; kinvolk/racker#36).
"""

from __future__ import annotations

from bringup.errors import LabError
from bringup.ipmi import IpmiClient
from bringup.power.base import BootOverride, Device, PowerState

_CHASSIS = 0x00
_STATUS, _CONTROL, _SET_BOOT, _GET_BOOT = 0x01, 0x02, 0x08, 0x09
_OFF, _ON, _RESET = 0x00, 0x01, 0x03
_KEEP_FLAGS, _BOOT_FLAGS = 3, 5
_STOP_EXPIRY = 0x08
_VALID, _PERSISTENT, _UEFI = 0x80, 0x40, 0x20

# Boot device selector, byte 2 bits 5:2 (table 28-14), as the byte goes out.
_SELECTORS: dict[Device, int] = {"none": 0x00, "network": 0x04, "disk": 0x08, "cdrom": 0x14, "setup": 0x18}


class IpmiPower:
    """One board's power over its BMC. `uefi_disk_selector` is the vendor's byte for a UEFI boot from disk."""

    def __init__(self, client: IpmiClient, *, uefi_disk_selector: int = 0x08) -> None:
        self._client = client
        self._uefi_disk_selector = uefi_disk_selector

    def state(self) -> PowerState:
        """Return what Get Chassis Status says."""
        data = self._client.raw(_CHASSIS, _STATUS)
        if not data:
            return PowerState.UNKNOWN
        return PowerState.ON if data[0] & 1 else PowerState.OFF

    def on(self) -> None:
        """Ask for power."""
        self._client.raw(_CHASSIS, _CONTROL, bytes([_ON]))

    def off(self) -> None:
        """Pull the plug."""
        self._client.raw(_CHASSIS, _CONTROL, bytes([_OFF]))

    def reset(self) -> None:
        """Reset a running board."""
        self._client.raw(_CHASSIS, _CONTROL, bytes([_RESET]))

    def set_override(self, override: BootOverride) -> None:
        """Set what boots next, with the expiry stopped first; raises LabError when it does not read back."""
        wanted = self.flags(override)
        if override.device != "none":
            self._client.raw(_CHASSIS, _SET_BOOT, bytes([_KEEP_FLAGS, _STOP_EXPIRY]))
        self._client.raw(_CHASSIS, _SET_BOOT, bytes([_BOOT_FLAGS]) + wanted)
        got = self._read_flags()
        if override.device == "none":
            kept = not got[0] & _VALID
        else:
            kept = got[:2] == wanted[:2]
        if not kept:
            raise LabError(
                f"{self._client.bmc} did not keep the boot override: "
                f"sent {wanted.hex(' ')}, it has {got.hex(' ')}",
                hint="set the boot order in the BIOS instead, or update the BMC",
            )

    def read_override(self) -> BootOverride:
        """Return what parameter 5 holds now."""
        raw = self._read_flags()
        if not raw[0] & _VALID:
            return BootOverride("none")
        names = {code: name for name, code in _SELECTORS.items()} | {self._uefi_disk_selector: "disk"}
        device = names.get(raw[1] & 0x3C, "none")
        return BootOverride(device, bool(raw[0] & _PERSISTENT), bool(raw[0] & _UEFI))

    def flags(self, override: BootOverride) -> bytes:
        """Return the five bytes of parameter 5 (pure)."""
        if override.device == "none":
            return bytes(5)
        first = _VALID | (_PERSISTENT if override.persistent else 0) | (_UEFI if override.uefi else 0)
        selector = _SELECTORS[override.device]
        if override.device == "disk" and override.uefi:
            selector = self._uefi_disk_selector
        return bytes([first, selector, 0, 0, 0])

    def _read_flags(self) -> bytes:
        data = self._client.raw(_CHASSIS, _GET_BOOT, bytes([_BOOT_FLAGS, 0, 0]))
        if len(data) < 7:
            raise LabError(f"{self._client.bmc} gives boot flags of {len(data)} bytes, expected 7")
        return data[2:7]

    def close(self) -> None:
        """Log out."""
        self._client.close()
