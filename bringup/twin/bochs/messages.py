"""What Bochs says of itself: its standard output is the only monitor it has. Pure.

The texts are those of Bochs 2.7: `bx_pc_system_c::Reset` (pc_system.cc), `ACPI control: soft power
off` (iodev/acpi.cc), `Bochs is exiting with the following message` (gui/siminterface, logio.cc).
"""

from __future__ import annotations

from typing import Literal

Meaning = Literal["reset", "off", "fault"]

_RESET = b"bx_pc_system_c::Reset(HARDWARE) called"
_SOFT_OFF = b"soft power off"
_EXITING = b"Bochs is exiting with the following message"
_LINE_MAX = 500


class Messages:
    """Reads the output line by line: nearly all of it is of no interest (1.7 MB in the boot of a VM)."""

    def __init__(self) -> None:
        self._resets = 0
        self._exiting = False
        self._is_off = False

    def read(self, line: bytes) -> tuple[Meaning, str] | None:
        """Return what a line means and its text, None when nothing of interest.

        The first reset is the power-on. A fault is any end but the guest's own power-off.
        """
        text = line[:_LINE_MAX].decode("utf-8", "replace").strip()
        if _RESET in line:
            self._resets += 1
            return ("reset", text) if self._resets > 1 else None
        if _SOFT_OFF in line:
            told, self._is_off = self._is_off, True
            return None if told else ("off", text)
        if _EXITING in line:
            self._exiting = not self._is_off
            return None
        if self._exiting and text and not text.startswith("="):
            self._exiting = False
            return "fault", text
        return None
