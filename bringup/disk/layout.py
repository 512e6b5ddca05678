"""Where everything lies on a disk that this tool writes: a GPT with five partitions.

    1  bringup-bios   1 MiB   GRUB's core image for BIOS
    2  bringup-state  2 MiB   FAT12 with the two state files
    3  bringup-esp    4 MiB   EFI system partition with GRUB for UEFI
    4  bringup-a     68 MiB   slot A
    5  bringup-b     next     slot B

Byte offsets are the same for sectors of 512 and of 4096 bytes. GUIDs are fresh for every installation:
firmware hides a disk that has those of another (clr-boot-manager#168). The table: UEFI specification 2.10,
chapter 5.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from bringup.base.errors import LabError, UsageError
from bringup.base.size import mib_text

Letter = Literal["A", "B"]
LETTERS: tuple[Letter, Letter] = ("A", "B")

MIB = 1 << 20
SLOT_BYTES = 1 << 30
"""The size of a slot where nobody says another."""
SECTOR_SIZES = (512, 4096)

STATE, ESP, BIOS = "bringup-state", "bringup-esp", "bringup-bios"
MEDIA = "bringup-media"
"""The one partition with files of a stick, which is an EFI system partition, too."""
SLOT_NAMES: Mapping[Letter, str] = {"A": "bringup-a", "B": "bringup-b"}

BIOS_BOOT_TYPE = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
LINUX_DATA_TYPE = uuid.UUID("0fc63daf-8483-4772-8e79-3d69d8477de4")
ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")

GPT_SIGNATURE = b"EFI PART"
MBR_SIGNATURE = b"\x55\xaa"
PROTECTIVE = 0xEE
"""The type of the MBR's one entry in front of a GPT."""
UNFINISHED = b"bringup: an installation began on this disk and has not ended\n"
"""What the first sector has until a disk is written: no firmware starts from it."""

# Both sizes leave 1 MiB for the second table.
_FIRST_SLOT = 68 * MIB
_TAIL_BYTES = MIB
_ENTRIES = 128
_ENTRY_BYTES = 128
_TABLE_BYTES = _ENTRIES * _ENTRY_BYTES
_ENTRIES_MAX = 1024
_HEADER = struct.Struct("<8sIIII QQQQ 16s QIII")
_ENTRY = struct.Struct("<16s16sQQQ72s")
_MBR_CODE_BYTES = 440
_MBR_ENTRY_AT = 446


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition; `start` and `size` in bytes, `number` as GRUB and Linux count, from 1."""

    number: int
    name: str
    start: int
    size: int
    type_guid: uuid.UUID
    guid: uuid.UUID

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.start + self.size


@dataclass(frozen=True, slots=True)
class Layout:
    """A partition table; sizes in bytes. `bootable` sets the flag that some BIOSes want in the MBR."""

    disk_bytes: int
    sector_bytes: int
    disk_guid: uuid.UUID
    partitions: tuple[Partition, ...]
    bootable: bool = False

    def part(self, name: str) -> Partition:
        """Return a partition by its name; raises KeyError."""
        for partition in self.partitions:
            if partition.name == name:
                return partition
        raise KeyError(name)

    def slot(self, letter: Letter) -> Partition:
        """Return the partition of a slot."""
        return self.part(SLOT_NAMES[letter])

    @property
    def is_media(self) -> bool:
        """Whether it is the table of a stick that this tool makes."""
        return [part.name for part in self.partitions] == [BIOS, MEDIA]

    @property
    def is_ours(self) -> bool:
        """Whether it is a table that this tool makes, whatever the size of its slots.

        One that somebody changed since is none: what is written to one slot must not reach the other.
        """
        names = [(part.number, part.name, part.type_guid) for part in self.partitions]
        ours = names == [(number, name, kind) for number, (name, kind) in enumerate(_PARTS, 1)]
        return ours and self._is_in_order

    @property
    def _is_in_order(self) -> bool:
        """Whether each partition begins at a whole MiB behind the one before, and all end on the disk."""
        ends = (MIB, *(part.end for part in self.partitions))
        starts = (*(part.start for part in self.partitions), self.disk_bytes or ends[-1])
        whole = all(part.start % MIB == 0 for part in self.partitions)
        return whole and all(end <= start for end, start in zip(ends, starts, strict=True))


_PARTS = (
    (BIOS, BIOS_BOOT_TYPE),
    (STATE, LINUX_DATA_TYPE),
    (ESP, ESP_TYPE),
    (SLOT_NAMES["A"], LINUX_DATA_TYPE),
    (SLOT_NAMES["B"], LINUX_DATA_TYPE),
)


def least_disk_bytes(slot_bytes: int = SLOT_BYTES) -> int:
    """Return the size of the smallest disk that has room for two slots of `slot_bytes`."""
    return _FIRST_SLOT + 2 * slot_bytes + _TAIL_BYTES


def make_layout(
    disk_bytes: int,
    sector_bytes: int = 512,
    slot_bytes: int = SLOT_BYTES,
    *,
    bootable: bool = False,
    new_guid: Callable[[], uuid.UUID] = uuid.uuid4,
) -> Layout:
    """Return the layout for a disk; sizes in bytes, `slot_bytes` a multiple of 1 MiB.

    Raises LabError when the disk is too small or has sectors of another size, UsageError for a size of slots
    that is no whole number of MiB.
    """
    if sector_bytes not in SECTOR_SIZES:
        raise LabError(f"the disk has sectors of {sector_bytes} bytes, and GRUB is laid out for 512 and 4096")
    if slot_bytes <= 0 or slot_bytes % MIB:
        raise UsageError(f"a slot of {slot_bytes} bytes is not a whole number of MiB")
    if disk_bytes < (least := least_disk_bytes(slot_bytes)):
        raise LabError(
            f"the disk has {mib_text(disk_bytes)}, and two slots of {mib_text(slot_bytes)} need "
            f"{mib_text(least)}",
            hint="a larger disk, or smaller slots",
        )
    starts = (MIB, 2 * MIB, 4 * MIB, _FIRST_SLOT, _FIRST_SLOT + slot_bytes, _FIRST_SLOT + 2 * slot_bytes)
    partitions = tuple(
        Partition(number, name, starts[number - 1], starts[number] - starts[number - 1], kind, new_guid())
        for number, (name, kind) in enumerate(_PARTS, 1)
    )
    return Layout(disk_bytes, sector_bytes, new_guid(), partitions, bootable)


def media_layout(
    disk_bytes: int, media_bytes: int, *, new_guid: Callable[[], uuid.UUID] = uuid.uuid4
) -> Layout:
    """Return the layout of a stick with a file system of `media_bytes` bytes on a disk of 512-byte sectors.

    Raises LabError when the disk is too small.
    """
    if disk_bytes < (least := 2 * MIB + media_bytes + _TAIL_BYTES):
        raise LabError(f"the stick has {mib_text(disk_bytes)}, and {mib_text(least)} are needed")
    partitions = (
        Partition(1, BIOS, MIB, MIB, BIOS_BOOT_TYPE, new_guid()),
        Partition(2, MEDIA, 2 * MIB, media_bytes, ESP_TYPE, new_guid()),
    )
    return Layout(disk_bytes, 512, new_guid(), partitions)


def protective_mbr(layout: Layout, boot_code: bytes = b"") -> bytes:
    """Return sector 0: `boot_code` (at most 440 bytes) and one entry over the whole disk (UEFI 5.2.3)."""
    if len(boot_code) > _MBR_CODE_BYTES:
        raise ValueError(f"boot code of {len(boot_code)} bytes, and a sector has {_MBR_CODE_BYTES} for it")
    sectors = layout.disk_bytes // layout.sector_bytes
    flag = 0x80 if layout.bootable else 0
    entry = struct.pack(
        "<B3sB3sII", flag, b"\x00\x02\x00", PROTECTIVE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF)
    )
    sector = boot_code.ljust(_MBR_ENTRY_AT, b"\0") + entry
    return (sector.ljust(510, b"\0") + MBR_SIGNATURE).ljust(layout.sector_bytes, b"\0")


def unfinished_sector(layout: Layout) -> bytes:
    """Return sector 0 of a disk whose installation has not ended."""
    return UNFINISHED.ljust(layout.sector_bytes, b"\0")


def primary_table(layout: Layout) -> bytes:
    """Return what lies from sector 1 on: the header and the entries."""
    return _header(layout, backup=False) + _entries(layout)


def backup_table(layout: Layout) -> tuple[int, bytes]:
    """Return the second table and its place in bytes: the entries, and the header in the last sector."""
    data = _entries(layout) + _header(layout, backup=True)
    return _sectors(layout) * layout.sector_bytes - len(data), data


def _sectors(layout: Layout) -> int:
    return layout.disk_bytes // layout.sector_bytes


def _entries(layout: Layout) -> bytes:
    entries = b"".join(
        _ENTRY.pack(
            part.type_guid.bytes_le,
            part.guid.bytes_le,
            part.start // layout.sector_bytes,
            part.end // layout.sector_bytes - 1,
            0,
            part.name.encode("utf-16-le"),
        )
        for part in layout.partitions
    )
    return entries.ljust(_TABLE_BYTES, b"\0")


def _header(layout: Layout, *, backup: bool) -> bytes:
    table = _TABLE_BYTES // layout.sector_bytes
    last = _sectors(layout) - 1
    here, other, entries_at = (last, 1, last - table) if backup else (1, last, 2)

    def packed(crc: int) -> bytes:
        return _HEADER.pack(
            *(GPT_SIGNATURE, 0x10000, _HEADER.size, crc, 0, here, other),
            *(2 + table, last - table - 1, layout.disk_guid.bytes_le, entries_at, _ENTRIES, _ENTRY_BYTES),
            zlib.crc32(_entries(layout)),
        )

    return packed(zlib.crc32(packed(0))).ljust(layout.sector_bytes, b"\0")


def read_layout(head: bytes, disk_bytes: int, sector_bytes: int) -> Layout | None:
    """Return the partition table in the first bytes of a disk, None where there is no whole and right one.

    34 sectors of 512 bytes or 6 of 4096 are enough of a usual table. Any bytes are taken.
    """
    header = head[sector_bytes : sector_bytes + _HEADER.size]
    if len(header) < _HEADER.size or not header.startswith(GPT_SIGNATURE):
        return None
    fields = _HEADER.unpack(header)
    crc, disk_guid, entries_at, count, size, entries_crc = fields[3], *fields[9:14]
    if fields[2] != _HEADER.size or zlib.crc32(header[:16] + bytes(4) + header[20:]) != crc:
        return None
    if not (size >= _ENTRY.size and count <= _ENTRIES_MAX and size <= 4096):
        return None
    table = head[entries_at * sector_bytes : entries_at * sector_bytes + count * size]
    if len(table) != count * size or zlib.crc32(table) != entries_crc:
        return None
    found = (_partition(number, table, size, sector_bytes) for number in range(1, count + 1))
    partitions = tuple(part for part in found if part is not None)
    bootable = head[_MBR_ENTRY_AT : _MBR_ENTRY_AT + 1] == b"\x80"
    return Layout(disk_bytes, sector_bytes, uuid.UUID(bytes_le=disk_guid), partitions, bootable)


def _partition(number: int, table: bytes, size: int, sector_bytes: int) -> Partition | None:
    kind, guid, first, last, _, name = _ENTRY.unpack_from(table, (number - 1) * size)
    if kind == bytes(16) or last < first:
        return None
    text = name.decode("utf-16-le", "replace").partition("\0")[0]
    start, end = first * sector_bytes, (last + 1) * sector_bytes
    return Partition(number, text, start, end - start, uuid.UUID(bytes_le=kind), uuid.UUID(bytes_le=guid))
