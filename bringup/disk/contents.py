"""What is on a disk, judged by its first and last bytes: pure, for bytes that anybody wrote.

A signature is a proof that something was there, its absence proves nothing; so a disk is "empty" only when
all that was looked at is zero. Then it is looked at between its ends, too: who cleared a partition table has
left what was in the partitions. Where signatures lie is said by each format's own documentation or headers,
as util-linux (libblkid/src/superblocks) and the kernel read them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from bringup.base.size import rough_size
from bringup.disk.fat.volume import Reader
from bringup.disk.layout import (
    GPT_SIGNATURE,
    MBR_SIGNATURE,
    PROTECTIVE,
    SECTOR_SIZES,
    UNFINISHED,
    Layout,
    Partition,
    read_layout,
)

LOOK_BYTES = 1 << 20
"""How much of both ends of a disk or partition tells what is on it."""
Hashes = Callable[[Sequence[tuple[int, int]]], Sequence[str]]
"""Returns the SHA-256 of ranges of a disk, (offset, length) in bytes each."""
_SAMPLES, _SAMPLE_BYTES = 24, 64 << 10
_NOTHING = hashlib.sha256(bytes(_SAMPLE_BYTES)).hexdigest()
_PARTITIONS_MAX = 32
"""Of how many partitions the ends are looked at; a table has 128 at most, and each costs 2 MiB to fetch."""


class Kind(StrEnum):
    """What something on a disk is; the value is the word for people."""

    OURS = "bringup's layout"
    UNFINISHED = "an installation of bringup's that has not ended"
    GPT = "GPT"
    MBR = "MBR partition table"
    LVM = "LVM physical volume"
    RAID = "member of a RAID"
    ZFS = "member of a ZFS pool"
    CRYPT = "encrypted volume"
    FILESYSTEM = "file system"
    SWAP = "swap space"
    STORAGE = "member of a storage pool"
    UNKNOWN = "data of an unknown kind"


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that was found; `name` says which exactly, such as `ext4` or `Intel`."""

    kind: Kind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.name})" if self.name else str(self.kind)


_HIDDEN = Found(Kind.UNKNOWN, "behind a cleared begin")


@dataclass(frozen=True, slots=True)
class Contents:
    """What is on a disk or partition. `layout` is its partition table where that is a whole GPT."""

    found: tuple[Found, ...] = ()
    layout: Layout | None = None

    @property
    def is_empty(self) -> bool:
        """Whether everything that was looked at is zero."""
        return not self.found

    @property
    def is_ours(self) -> bool:
        """Whether this tool wrote the disk, and nothing else has left its mark since."""
        return [each.kind for each in self.found] == [Kind.OURS]

    @property
    def is_free(self) -> bool:
        """Whether nothing of others is on it: it is empty, or only this tool wrote it."""
        return self.is_empty or self.is_ours or [each.kind for each in self.found] == [Kind.UNFINISHED]

    def __str__(self) -> str:
        return ", ".join(map(str, self.found)) or "empty"

    def parts(self) -> tuple[Partition, ...]:
        """Return the partitions of a foreign table, whose ends are looked at, too."""
        return self.layout.partitions if self.layout and not self.is_free else ()


EMPTY = Contents()
"""Nothing but zeros."""


def contents_of(read: Reader, disk_bytes: int, sector_bytes: int, hashes: Hashes | None = None) -> Contents:
    """Return what is on a disk, by both ends of it and of its partitions.

    Where they are empty, what lies between is hashed, by `hashes` or from what is read. Raises what both do.
    """
    whole = judge(*_ends(read, 0, disk_bytes, sector_bytes), sector_bytes, disk_bytes)
    inside = {
        part.number: judge(*_ends(read, part.start, part.size, sector_bytes), sector_bytes, part.size)
        for part in whole.parts()[:_PARTITIONS_MAX]
        if 0 < part.size <= disk_bytes - part.start
    }
    contents = judge_whole(whole, inside)
    return Contents((_HIDDEN,)) if contents.is_empty and _holds(read, hashes, disk_bytes) else contents


def _holds(read: Reader, hashes: Hashes | None, disk_bytes: int) -> bool:
    places = between(disk_bytes)
    found = hashes(places) if hashes else [hashlib.sha256(read(*place)).hexdigest() for place in places]
    return any(digest != _NOTHING for digest in found)


def between(disk_bytes: int) -> tuple[tuple[int, int], ...]:
    """Return where a disk whose ends are empty is looked at, at most 32 times: (offset, length) in bytes.

    Where a first partition begins and file systems keep their second copies (btrfs at 64 MiB, ext4 at 128,
    counted from their partition), and at even distances.
    """
    mib = 1 << 20
    starts = {mib, mib + _SAMPLE_BYTES, 64 * mib, 65 * mib, 128 * mib, 129 * mib}
    starts |= {disk_bytes * part // _SAMPLES // mib * mib for part in range(1, _SAMPLES)}
    last = disk_bytes - LOOK_BYTES - _SAMPLE_BYTES
    return tuple((start, _SAMPLE_BYTES) for start in sorted(starts) if LOOK_BYTES <= start <= last)


def _ends(read: Reader, start: int, size: int, sector_bytes: int) -> tuple[bytes, bytes]:
    length = min(LOOK_BYTES, size // sector_bytes * sector_bytes)
    last = start + size // sector_bytes * sector_bytes - length
    return read(start, length), read(last, length)


def judge(head: bytes, tail: bytes, sector_bytes: int = 512, disk_bytes: int | None = None) -> Contents:
    """Return what is on a disk or partition, by its first and last `LOOK_BYTES` bytes (fewer: it is shorter).

    `disk_bytes` is the size of all of it. Any bytes are taken.
    """
    layout = read_layout(head, disk_bytes or 0, sector_bytes)
    found = list(dict.fromkeys(_tables(head, tail, sector_bytes, layout)))
    found += dict.fromkeys(_signatures(head, tail))
    if not found and (any(head) or any(tail)):
        found = [Found(Kind.UNKNOWN)]
    return Contents(tuple(found), layout)


def judge_whole(disk: Contents, inside: dict[int, Contents]) -> Contents:
    """Return what is on a disk together with what is in its partitions, by their numbers."""
    within = [
        Found(each.kind, " ".join(filter(None, (each.name, f"in partition {number}"))))
        for number, contents in sorted(inside.items())
        for each in contents.found
    ]
    return Contents((*disk.found, *within), disk.layout)


def _tables(head: bytes, tail: bytes, sector_bytes: int, layout: Layout | None) -> Iterator[Found]:
    if head.startswith(UNFINISHED):
        # Whatever of a table is there already is ours.
        yield Found(Kind.UNFINISHED)
        return
    if layout is not None:
        if layout.is_ours:
            yield Found(Kind.OURS)
            return
        count = len(layout.partitions)
        yield Found(Kind.GPT, f"{count} partition{'' if count == 1 else 's'}")
        return
    for size in SECTOR_SIZES:
        if head[size : size + 8] == GPT_SIGNATURE:
            made_for = f"made for sectors of {size} bytes"
            yield Found(Kind.GPT, "damaged" if size == sector_bytes else made_for)
        if tail[len(tail) - size : len(tail) - size + 8] == GPT_SIGNATURE:
            yield Found(Kind.GPT, "only its second copy")
    if head[510:512] == MBR_SIGNATURE and not _is_boot_sector(head):
        entries = [head[at : at + 16] for at in range(446, 510, 16)]
        used = [entry for entry in entries if entry[4] and entry[0] in (0, 0x80)]
        if used and all(entry[4] != PROTECTIVE for entry in used):
            size = sum(struct.unpack_from("<I", entry, 12)[0] for entry in used) * sector_bytes
            yield Found(Kind.MBR, f"{len(used)} partition{'' if len(used) == 1 else 's'}, {rough_size(size)}")
        elif not used:
            yield Found(Kind.MBR, "without partitions")


@dataclass(frozen=True, slots=True)
class _Magic:
    """Bytes at one place from the start."""

    at: int
    magic: bytes
    found: Found


def _file_system(at: int, magic: bytes, name: str) -> _Magic:
    return _Magic(at, magic, Found(Kind.FILESYSTEM, name))


_MAGICS = (
    _Magic(0, b"LUKS\xba\xbe", Found(Kind.CRYPT, "LUKS")),
    _Magic(3, b"-FVE-FS-", Found(Kind.CRYPT, "BitLocker")),
    _Magic(4096 + 24, bytes.fromhex("c68573f64e1a45ca8265f57f48ba6d81"), Found(Kind.STORAGE, "bcache")),
    _Magic(0, b"bluestore block device", Found(Kind.STORAGE, "Ceph")),
    _Magic(0x204, b"!Stra0tis\x86\xff\x02^\x41rh", Found(Kind.STORAGE, "Stratis")),
    _Magic(0, b"dmvdo001", Found(Kind.STORAGE, "VDO")),
    _file_system(0, b"XFSB", "XFS"),
    _file_system(0x10040, b"_BHRfS_M", "btrfs"),
    _file_system(3, b"NTFS    ", "NTFS"),
    _file_system(3, b"EXFAT   ", "exFAT"),
    _file_system(0x8001, b"CD001", "ISO 9660"),
    _file_system(0x8001, b"BEA01", "UDF"),
    _file_system(1024, struct.pack("<I", 0xF2F52010), "F2FS"),
    _file_system(0x10034, b"ReIsEr", "ReiserFS"),
    _file_system(0x8000, b"JFS1", "JFS"),
    _file_system(0, b"hsqs", "SquashFS"),
    _file_system(1024, struct.pack("<I", 0xE0F5E1E2), "EROFS"),
    _file_system(32, b"NXSB", "APFS"),
    _file_system(1024, b"H+\0", "HFS+"),
    # FreeBSD's, at both places that its boot loader looks (sys/ufs/ffs/fs.h).
    _file_system(0x2000 + 1372, struct.pack("<I", 0x00011954), "UFS"),
    _file_system(0x10000 + 1372, struct.pack("<I", 0x19540119), "UFS2"),
)

_EXT_MAGIC, _EXT_AT = b"\x53\xef", 1024
# Feature bits: journal (ext3), extents, 64 bits, flexible groups (ext4); kernel fs/ext4/ext4.h.
_EXT_JOURNAL, _EXT4_BITS = 0x4, 0x40 | 0x80 | 0x200
_LVM_LABEL, _LVM_TYPE = b"LABELONE", b"LVM2 001"
_MD_MAGIC = 0xA92B4EFC
_ZFS_MAGIC = 0x00BAB10C
_SWAP = (b"SWAPSPACE2", b"SWAP-SPACE")
_PAGE_SIZES = (4096, 8192, 16384, 65536)


def _signatures(head: bytes, tail: bytes) -> Iterator[Found]:
    for each in _MAGICS:
        if head[each.at : each.at + len(each.magic)] == each.magic:
            yield each.found
    for look in (_ext, _fat, _swap, _lvm, _md_head, _zfs):
        yield from look(head)
    for at_end in (_md_tail, _firmware_raid, _zfs):
        yield from at_end(tail)


def _ext(head: bytes) -> Iterator[Found]:
    if head[_EXT_AT + 56 : _EXT_AT + 58] == _EXT_MAGIC and len(head) >= _EXT_AT + 104:
        compatible, needed = struct.unpack_from("<II", head, _EXT_AT + 92)
        name = "ext4" if needed & _EXT4_BITS else "ext3" if compatible & _EXT_JOURNAL else "ext2"
        yield Found(Kind.FILESYSTEM, name)


def _fat(head: bytes) -> Iterator[Found]:
    if _fat_boot_sector(head):
        yield Found(Kind.FILESYSTEM, "FAT")


def _fat_boot_sector(head: bytes) -> bool:
    if len(head) < 512 or head[510:512] != MBR_SIGNATURE or head[0] not in (0xEB, 0xE9):
        return False
    sector, per_cluster, reserved, copies = struct.unpack_from("<HBHB", head, 11)
    powers = sector in (512, 1024, 2048, 4096) and per_cluster and per_cluster & (per_cluster - 1) == 0
    return bool(powers and reserved and copies in (1, 2) and head[21] >= 0xF0)


def _is_boot_sector(head: bytes) -> bool:
    """Whether a file system begins here, whose code lies where a partition table would have its entries."""
    return _fat_boot_sector(head) or head[3:11] in (b"NTFS    ", b"EXFAT   ", b"-FVE-FS-")


def _swap(head: bytes) -> Iterator[Found]:
    if any(head[size - 10 : size] in _SWAP for size in _PAGE_SIZES):
        yield Found(Kind.SWAP)


def _lvm(head: bytes) -> Iterator[Found]:
    for at in range(0, 4 * 512, 512):
        if head[at : at + 8] == _LVM_LABEL and head[at + 24 : at + 32] == _LVM_TYPE:
            yield Found(Kind.LVM)


def _md_head(head: bytes) -> Iterator[Found]:
    # Version 1.1 and 1.2 (kernel Documentation/admin-guide/md.rst).
    for at in (0, 4096):
        if head[at : at + 8] == struct.pack("<II", _MD_MAGIC, 1):
            yield Found(Kind.RAID, "Linux md")


def _md_tail(tail: bytes) -> Iterator[Found]:
    # 1.0 in the last 12 KiB, 0.90 in the last 128, counted from the start: so every place is tried.
    for order in "<>":
        magic = struct.pack(f"{order}I", _MD_MAGIC)
        at = tail.find(magic)
        while at >= 0:
            major = tail[at + 4 : at + 8]
            if major in (struct.pack(f"{order}I", 0), struct.pack(f"{order}I", 1)):
                yield Found(Kind.RAID, "Linux md")
                break
            at = tail.find(magic, at + 1)


# What firmware RAIDs leave in the last sectors: (sectors from the end, bytes in it, magic, name).
_FIRMWARE_RAIDS = (
    (2, 0, b"Intel Raid ISM Cfg Sig. ", "Intel"),
    (1, 0, b"\xde\x11\xde\x11", "DDF, of a RAID controller"),
    (2, 0, b"NVIDIA  ", "NVIDIA"),
    (1, 0, b"$XIDE$", "LSI"),
    (1, 0, b"\x0c\xb0\x01\xdc", "Adaptec"),
)


def _firmware_raid(tail: bytes) -> Iterator[Found]:
    for sectors, at, magic, name in _FIRMWARE_RAIDS:
        for size in SECTOR_SIZES:
            start = len(tail) - sectors * size + at
            if start >= 0 and tail[start : start + len(magic)] == magic:
                yield Found(Kind.RAID, name)


def _zfs(ends: bytes) -> Iterator[Found]:
    # Uberblocks lie in the second half of each label of 256 KiB, at least 1 KiB apart; little or big endian.
    magics = [struct.pack(order, _ZFS_MAGIC) for order in ("<Q", ">Q")]
    if any(ends[at : at + 8] in magics for at in range(0, len(ends) - 7, 1024)):
        yield Found(Kind.ZFS)
