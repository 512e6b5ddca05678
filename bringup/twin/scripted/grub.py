"""GRUB on the disk of a scripted board, played: what it would choose of these bytes, in its own words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bringup.base.firmware import Firmware
from bringup.twin.scripted.disk import BoardDisk

if TYPE_CHECKING:
    from bringup.disk.grub_words import SlotLines

Say = Callable[[str], None]
KeyWithin = Callable[[str, float], Awaitable[str]]
"""Waits for one of some keys, so many seconds at most; "" without one."""


@dataclass(frozen=True, slots=True)
class Started:
    """What a disk starts: whether there is a loader at all, and what it loaded, None where no slot starts."""

    loader: bool
    loaded: SlotLines | None = None


async def start_disk(disk: BoardDisk, *, uefi: bool, say: Say, key_within: KeyWithin) -> Started:
    """Be firmware and GRUB until the kernel would start."""
    # Only a board that boots its disk needs to know of slots.
    from bringup.disk.fat.volume import FatVolume
    from bringup.disk.grub_choice import Machine, grub_begins, grub_choice
    from bringup.disk.grub_words import KEYS, key_s, menu_lines, read_slot_lines, start_lines
    from bringup.disk.slot_image import LINES

    machine = Machine(None, Firmware.UEFI if uefi else Firmware.BIOS, disk.sector_bytes)
    begun = await asyncio.to_thread(grub_begins, disk.read, disk.size, machine)
    if begun is None:
        return Started(loader=False)
    _say(say, menu_lines(begun.state))
    key = await key_within(KEYS, key_s(begun.state))
    choice = await asyncio.to_thread(grub_choice, disk.read, disk.size, replace(machine, key=key))
    for offset, data in choice.writes:
        disk.write(offset, data)
    _say(say, start_lines(choice))
    if choice.slot is None:
        return Started(loader=True)
    volume = FatVolume(disk.read, begun.layout.slot(choice.slot).start)
    lines = read_slot_lines(volume.file(LINES).decode("ascii", "replace"))
    _say(say, (*lines.said, "bringup: starting kernel"))
    return Started(loader=True, loaded=lines)


def _say(say: Say, lines: Iterable[str]) -> None:
    for line in lines:
        say(f"{line}\r\n")
