"""Disks in memory that keep their sectors, and what is written to them."""

from __future__ import annotations

import os
import random
import shutil
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from bringup.disk.commit import Action, Compare, Flush, Loader, Write, install
from bringup.disk.layout import LETTERS, MIB, Layout, make_layout
from bringup.disk.manifest import Manifest
from bringup.disk.slot_image import SlotImage, make_slot_image
from bringup.disk.slots import DiskSlots, read_slots
from bringup.image.folder import find_image


def tool(name: str) -> str:
    """Return the path of a program of the distribution, also of those that only root's PATH has."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is not installed: make test installs it"
    return found


LOADER = Loader(b"\xeb\x63\x90 boot code".ljust(440, b"."), b"core" * 2000, b"MZ" + b"efi" * 3000)
SMALL = make_layout(71 * MIB, slot_bytes=MIB)


@dataclass
class MemoryDisk:
    """A disk of `size` bytes; sectors nobody wrote are zero, those in `bad` cannot be read."""

    size: int
    sector: int = 512
    sectors: dict[int, bytes] = field(default_factory=dict)
    bad: set[int] = field(default_factory=set)

    def read(self, offset: int, length: int) -> bytes:
        length = max(min(length, self.size - offset), 0)
        first, last = offset // self.sector, -(-(offset + length) // self.sector)
        if not self.bad.isdisjoint(range(first, last)):
            raise OSError("Input/output error")
        zero = bytes(self.sector)
        data = b"".join(self.sectors.get(number, zero) for number in range(first, last))
        return data[offset - first * self.sector :][:length]

    def write(self, offset: int, data: bytes) -> None:
        first, lead = divmod(offset, self.sector)
        tail = -(lead + len(data)) % self.sector
        data = (
            self.read(first * self.sector, lead)
            + data
            + (self.read(offset + len(data), tail) if tail else b"")
        )
        for number, at in enumerate(range(0, len(data), self.sector), first):
            self.sectors[number] = data[at : at + self.sector]

    def flip(self, offset: int, bit: int = 0) -> None:
        (byte,) = self.read(offset, 1)
        self.write(offset, bytes([byte ^ (1 << bit)]))

    def copy(self) -> MemoryDisk:
        return MemoryDisk(self.size, self.sector, dict(self.sectors), set(self.bad))

    def perform(self, actions: Iterable[Action]) -> None:
        for action in actions:
            if isinstance(action, Write):
                self.write(action.offset, action.content.read(0, action.content.size))
            elif isinstance(action, Compare):
                data = self.read(action.offset, action.length)
                assert sha256(data).hexdigest() == action.sha256, action.what

    def slots(self, layout: Layout = SMALL, *, check: bool = True) -> DiskSlots:
        return read_slots(self.read, layout, check=LETTERS if check else ())


@dataclass(frozen=True)
class Logged:
    """One write as a drive gets it; None as data is a flush."""

    offset: int
    data: bytes | None


def write_log(actions: Iterable[Action], at_most: int = 32 << 10) -> list[Logged]:
    """Return the writes and flushes of a list of actions as a drive would log them."""
    log: list[Logged] = []
    for action in actions:
        if isinstance(action, Flush):
            log.append(Logged(0, None))
        elif isinstance(action, Write):
            data = action.content.read(0, action.content.size)
            log += [
                Logged(action.offset + at, data[at : at + at_most]) for at in range(0, len(data), at_most)
            ]
    return log


def after(disk: MemoryDisk, log: Sequence[Logged]) -> MemoryDisk:
    """Return a disk after all of these writes."""
    copy = disk.copy()
    for entry in log:
        if entry.data is not None:
            copy.write(entry.offset, entry.data)
    return copy


def torn_page(disk: MemoryDisk, entry: Logged) -> MemoryDisk:
    """Return a disk whose power went while the first page of a write was under way: nobody can read that.

    Drives with sectors of 4096 bytes that show 512 rewrite a page for each sector.
    """
    copy = disk.copy()
    copy.write(entry.offset // 4096 * 4096, b"\xde\xad" * 2048)
    return copy


def power_cuts(disk: MemoryDisk, log: Sequence[Logged], count: int, seed: int) -> Iterator[MemoryDisk]:
    """Yield disks after cuts at random moments: of what was written since the last flush any part may be
    there, in any order, and writes torn between sectors.
    """
    rng = random.Random(seed)
    for _ in range(count):
        cut = rng.randrange(len(log) + 1)
        flushed = max((at for at in range(cut) if log[at].data is None), default=-1) + 1
        copy = after(disk, log[:flushed])
        waiting = [entry for entry in log[flushed:cut] if entry.data is not None]
        for entry in rng.sample(waiting, rng.randint(0, len(waiting))):
            data = entry.data or b""
            sectors = range(0, len(data), copy.sector)
            kept = sectors if rng.random() < 0.5 else rng.sample(sectors, rng.randint(0, len(sectors)))
            for at in kept:
                copy.write(entry.offset + at, data[at : at + copy.sector])
        yield copy


def multiboot_kernel(text: bytes = b"") -> bytes:
    """Return the smallest file with both multiboot headers that a loader looks for."""
    magic2, length = 0xE85250D6, 24
    header2 = struct.pack("<IIIIHHI", magic2, 0, length, -(magic2 + length) & 0xFFFFFFFF, 0, 0, 8)
    header1 = struct.pack("<III", 0x1BADB002, 0, -0x1BADB002 & 0xFFFFFFFF)
    return b"\x7fELF".ljust(64, b"\0") + header2 + header1 + text


def slot_image(
    folder: Path, name: str, *, size: int = 20_000, slot_bytes: int = MIB, sector_bytes: int = 512
) -> SlotImage:
    """Return the image of a slot whose kernel and module are made for the test; `name` tells them apart."""
    kernel, module = folder / f"kernel-{name}", folder / f"module-{name}"
    kernel.write_bytes(multiboot_kernel(name.encode()))
    module.write_bytes(random.Random(name).randbytes(size))
    image = find_image([kernel, module]).with_serial(0x2F8)
    manifest = Manifest.of(image, written_at="2026-11-28T19:00:00Z", written_by="a test", capture="c0ffee")
    return make_slot_image(image, manifest, slot_bytes, sector_bytes)


def installed(folder: Path, layout: Layout = SMALL, name: str = "old") -> MemoryDisk:
    """Return a disk with `name` in slot A."""
    disk = MemoryDisk(layout.disk_bytes, layout.sector_bytes)
    slot_bytes = layout.slot("A").size
    slot = slot_image(folder, name, slot_bytes=slot_bytes, sector_bytes=layout.sector_bytes)
    disk.perform(install(layout, LOADER, slot))
    return disk
