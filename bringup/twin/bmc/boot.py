"""System boot options of a BMC (IPMI 2.0 28.12-28.13): raw bytes, when they expire, when they are spent."""

from __future__ import annotations

from dataclasses import dataclass

FLAGS_LIFETIME_S = 60.0
_PARAMETER_VERSION = 0x01

_SET_IN_PROGRESS = 0
_VALID_BIT_CLEARING = 3
_INFO_ACKNOWLEDGE = 4
_BOOT_FLAGS = 5
_KEEP_WITHOUT_CHASSIS_CONTROL = 0x08
_LENGTHS = {0: 1, 1: 1, 2: 1, 3: 1, 4: 2, 5: 5, 6: 9, 7: 17}

# Device selector, boot flags byte 2 bits 5:2 (table 28-14). 9 is "remote connected hard drive", which this
# vendor takes for the local UEFI disk (selector byte 0x24).
_DEVICES = {
    0x1: "network",
    0x2: "disk",
    0x3: "disk",
    0x4: "diagnostic",
    0x5: "cdrom",
    0x6: "setup",
    0x7: "floppy",
    0x8: "cdrom",
    0x9: "disk",
    0xB: "disk",
    0xF: "floppy",
}


@dataclass(frozen=True, slots=True)
class BootFlags:
    """The five bytes of boot option parameter 5, kept as they were written."""

    raw: bytes = bytes(5)

    @property
    def valid(self) -> bool:
        """Whether firmware will obey them."""
        return bool(self.raw[0] & 0x80)

    @property
    def persistent(self) -> bool:
        """Whether they hold for every boot rather than the next one."""
        return bool(self.raw[0] & 0x40)

    @property
    def uefi(self) -> bool:
        """Whether they ask for an EFI boot."""
        return bool(self.raw[0] & 0x20)

    @property
    def device(self) -> str:
        """`network`, `disk`, `cdrom`, `setup`, `floppy`, `diagnostic`; `none` without a valid override."""
        return _DEVICES.get((self.raw[1] >> 2) & 0x0F, "none") if self.valid else "none"

    def invalidated(self) -> BootFlags:
        """Return the same bytes with the valid bit clear, as firmware leaves them behind."""
        return BootFlags(bytes([self.raw[0] & 0x7F]) + self.raw[1:])


class BootOptions:
    """All boot option parameters; times are seconds of one clock the caller keeps."""

    def __init__(self) -> None:
        self._values = {number: bytes(length) for number, length in _LENGTHS.items()}
        self.expires_at: float | None = None

    def get(self, parameter: int, now: float) -> bytes | None:
        """Return the answer of Get System Boot Options after its completion code; None: no such parameter."""
        self._expire(now)
        value = self._values.get(parameter)
        return None if value is None else bytes([_PARAMETER_VERSION, parameter]) + value

    def set(self, parameter: int, value: bytes, now: float) -> bool:
        """Store a known parameter; False when the value has the wrong length."""
        if len(value) != _LENGTHS[parameter]:
            return False
        if parameter == _INFO_ACKNOWLEDGE:
            mask, old = value[0], self._values[parameter][1]
            value = bytes([0, (old & ~mask & 0xFF) | (value[1] & mask)])
        self._values[parameter] = value
        if parameter in (_BOOT_FLAGS, _VALID_BIT_CLEARING):
            self._wind(now)
        return True

    @staticmethod
    def known(parameter: int) -> bool:
        """Return whether this BMC has the parameter."""
        return parameter in _LENGTHS

    def chassis_control(self, now: float) -> None:
        """Start the expiry countdown again, as every power command does (28.13, parameter 3, bit 3)."""
        self._expire(now)
        self._wind(now)

    def take(self, now: float) -> BootFlags:
        """Return the flags that hold for a boot starting now; flags that are not persistent are spent."""
        self._expire(now)
        flags = self.flags
        if flags.valid and not flags.persistent:
            self._values[_BOOT_FLAGS] = flags.invalidated().raw
        self.expires_at = None
        return flags

    @property
    def flags(self) -> BootFlags:
        """The flags as stored, without looking at the clock."""
        return BootFlags(self._values[_BOOT_FLAGS])

    def to_json(self) -> dict[str, object]:
        """Return what has to survive a restart of the BMC; "set in progress" does not."""
        kept = {str(n): value.hex() for n, value in self._values.items() if n != _SET_IN_PROGRESS}
        return {"parameters": kept, "expires_at": self.expires_at}

    def restore(self, parameters: dict[int, bytes], expires_at: float | None) -> None:
        """Take back what `to_json` gave; parameters of a wrong length are left alone."""
        for number, value in parameters.items():
            if len(value) == _LENGTHS.get(number):
                self._values[number] = value
        self.expires_at = expires_at

    def _wind(self, now: float) -> None:
        kept = self._values[_VALID_BIT_CLEARING][0] & _KEEP_WITHOUT_CHASSIS_CONTROL
        self.expires_at = None if kept or not self.flags.valid else now + FLAGS_LIFETIME_S

    def _expire(self, now: float) -> None:
        if self.expires_at is not None and now >= self.expires_at:
            self._values[_BOOT_FLAGS] = self.flags.invalidated().raw
            self.expires_at = None
