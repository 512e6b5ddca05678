"""The two ways this class of board starts, legacy BIOS and UEFI, and the loaders that lead on from there."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, get_args

LoaderName = Literal["ipxe", "grub", "efi", "efi-tftp"]
"""How a kernel is fetched and started; what each is: bringup/netboot/loaders.py."""

LOADER_CHOICES: tuple[str, ...] = ("auto", *get_args(LoaderName))


class Firmware(StrEnum):
    """Which firmware route boots the board; decides loaders and what an image needs."""

    BIOS = "bios"
    UEFI = "uefi"
