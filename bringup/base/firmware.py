"""The two ways this class of board starts: legacy BIOS and UEFI."""

from __future__ import annotations

from enum import StrEnum


class Firmware(StrEnum):
    """Which firmware route boots the board; decides loaders and what an image needs."""

    BIOS = "bios"
    UEFI = "uefi"
