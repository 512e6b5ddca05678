"""ELF as boot loaders read it: header and loadable segments, and how many VMs a root task carries."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Literal

from bringup.base.errors import ImageError

ELF_MAGIC = b"\x7fELF"

# Printed by every VMM before its guest runs (libsel4vm, x86 guest_vspace.c).
VMM_TEXT = b"Guest address space root allocated at"

_EM = {32: 3, 64: 62}
_ET_EXEC_AND_DYN = (2, 3)
_PT_LOAD = 1
_FOUR_GIB = 1 << 32
_HEADERS = {32: struct.Struct("<16xHHIIIIIHHH"), 64: struct.Struct("<16xHHIQQQIHHH")}
_PROGRAM_HEADERS = {32: struct.Struct("<IIIIII8x"), 64: struct.Struct("<IIQQQQQ")}


@dataclass(frozen=True, slots=True)
class LoadSegment:
    """One PT_LOAD segment: where it lies in the file and in memory, all in bytes."""

    offset: int
    file_size: int
    virtual: int
    physical: int
    memory_size: int

    @property
    def physical_end(self) -> int:
        """Return the first physical address behind the segment."""
        return self.physical + self.memory_size


@dataclass(frozen=True, slots=True)
class Elf:
    """What a loader needs of an ELF file; `table_end` is the first byte behind its program headers."""

    bits: Literal[32, 64]
    machine: int
    type: int
    entry: int
    table_end: int
    segments: tuple[LoadSegment, ...]


def parse_elf(data: bytes, name: str) -> Elf | None:
    """Return the ELF file in `data` as a loader sees it, None when it is something else.

    Raises ImageError, with `name` in its sentence, when the file says ELF and cannot be loaded as it stands:
    cut off, or with offsets that lead out of it (System V ABI, chapters 4 and 5).
    """
    if not data.startswith(ELF_MAGIC):
        return None
    if len(data) < 6 or data[4] not in (1, 2) or data[5] != 1:
        raise ImageError(f"{name} is an ELF file of no class that an x86 board can load")
    bits: Literal[32, 64] = 32 if data[4] == 1 else 64
    header = _HEADERS[bits]
    if len(data) < header.size:
        raise _damaged(name, f"it ends after {len(data)} bytes, inside the ELF header")
    kind, machine, _, entry, table, _, _, _, entry_size, count = header.unpack_from(data)
    table_end = table + count * entry_size
    if count and entry_size < _PROGRAM_HEADERS[bits].size:
        raise _damaged(name, f"its program headers are {entry_size} bytes each")
    if table_end > len(data):
        raise _damaged(name, f"its program headers end at byte {table_end} of {len(data)}")
    segments = tuple(
        segment
        for number in range(count)
        if (segment := _segment(data, table + number * entry_size, bits)) is not None
    )
    for number, segment in enumerate(segments):
        _check_segment(segment, number, len(data), name)
    return Elf(bits, machine, kind, entry, table_end, segments)


def memory_span(head: bytes) -> int | None:
    """Return the bytes from the lowest to the highest address of an ELF file's segments, by its first bytes.

    So much memory a root task takes (seL4 src/arch/x86/kernel/elf.c, elf_getMemoryBounds). None for a file
    that is no ELF, has no segments, or whose program headers are not in `head`.
    """
    if len(head) < 6 or not head.startswith(ELF_MAGIC) or head[4] not in (1, 2):
        return None
    bits = 32 if head[4] == 1 else 64
    if len(head) < _HEADERS[bits].size:
        return None
    _, _, _, _, table, _, _, _, entry_size, count = _HEADERS[bits].unpack_from(head)
    if entry_size < _PROGRAM_HEADERS[bits].size or table + count * entry_size > len(head):
        return None
    found = [_segment(head, table + number * entry_size, bits) for number in range(count)]
    segments = [segment for segment in found if segment is not None]
    if not segments:
        return None
    end = max(segment.virtual + segment.memory_size for segment in segments)
    return end - min(segment.virtual for segment in segments)


def _segment(data: bytes, at: int, bits: int) -> LoadSegment | None:
    fields = _PROGRAM_HEADERS[bits].unpack_from(data, at)
    if fields[0] != _PT_LOAD:
        return None
    # ELF64 has the flags in second place, so that its wide fields are aligned.
    offset, virtual, physical, file_size, memory_size = fields[1:6] if bits == 32 else fields[2:7]
    return LoadSegment(offset, file_size, virtual, physical, memory_size)


def _check_segment(segment: LoadSegment, number: int, size: int, name: str) -> None:
    end = segment.offset + segment.file_size
    if end > size:
        raise _damaged(name, f"segment {number} ends at byte {end}, the file at {size}")
    if segment.file_size > segment.memory_size:
        raise _damaged(name, f"segment {number} has more bytes in the file than in memory")


def _damaged(name: str, why: str) -> ImageError:
    return ImageError(f"{name} is a damaged ELF file: {why}", hint="copy the file again, or build it again")


def against_grub(elf: Elf, limit: int) -> str | None:
    """Return why GRUB would not load this kernel by its ELF headers, None when it would.

    `limit` is how many bytes GRUB reads to find its header (GRUB grub-core/loader/multiboot_elfxx.c).
    """
    if elf.machine != _EM[elf.bits]:
        return f"it is ELF{elf.bits} for machine {elf.machine}, not for this kind of processor"
    if elf.table_end > limit:
        return f"its program headers lie behind the first {limit} bytes, where GRUB needs them"
    if why := _against_both(elf):
        return why
    if not any(0 <= elf.entry - segment.virtual < segment.memory_size for segment in elf.segments):
        return f"its entry point {elf.entry:#x} is in none of its segments"
    return None


def against_ipxe(elf: Elf) -> str | None:
    """Return why iPXE would not load this ELF32 kernel by its ELF headers, None when it would.

    iPXE src/image/elf.c: the entry point is looked for in physical addresses, then in virtual ones.
    """
    if why := _against_both(elf):
        return why
    if any(not (segment.physical or segment.virtual) for segment in elf.segments):
        return "iPXE loads nothing to physical address 0"
    starts = [(start, each.file_size) for each in elf.segments for start in (each.physical, each.virtual)]
    if not any(0 <= elf.entry - start < size for start, size in starts):
        return f"its entry point {elf.entry:#x} is in none of its segments"
    return None


def _against_both(elf: Elf) -> str | None:
    if elf.type not in _ET_EXEC_AND_DYN:
        return f"it is not an executable (ELF type {elf.type})"
    if not elf.segments:
        return "it has nothing to load (no PT_LOAD segment)"
    if max(segment.physical_end for segment in elf.segments) > _FOUR_GIB:
        return "a segment reaches above 4 GiB"
    return None


_CPIO_HEADER = 110
_MARKS = re.compile(rb"07070[12][0-9A-Fa-f]{104}|" + re.escape(VMM_TEXT))


class VmCounter:
    """Counts the VMs of a CAmkES root task while its file is read: VMMs, by a text that each of them prints.

    The root task carries the programs of its components in a cpio archive (format "newc", cpio(5)); a program
    counts once however often the text is in it. This is an inference, not a statement of the build.
    """

    def __init__(self) -> None:
        self._kept = b""
        self._kept_at = 0
        self._entry_at = 0
        self._entry_end = 0
        self._found: set[int] = set()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""
        data = self._kept + chunk
        # Whatever may be cut in two here is looked at again together with the next bytes.
        end = max(len(data) - _CPIO_HEADER + 1, 0)
        self._scan(data, end)
        self._kept = data[end:]
        self._kept_at += end

    def finish(self) -> int | None:
        """Return how many VMs the whole file has; None means not a VM image, or one that tells nothing."""
        self._scan(self._kept, len(self._kept))
        return len(self._found) or None

    def _scan(self, data: bytes, end: int) -> None:
        for mark in _MARKS.finditer(data):
            if mark.start() >= end:
                return
            at = self._kept_at + mark.start()
            inside = at < self._entry_end
            if mark[0] == VMM_TEXT:
                self._found.add(self._entry_at if inside else at)
            elif not inside:
                # An archive inside a program (a guest's ramdisk) is not followed: it is that program's data.
                self._entry_at, self._entry_end = at, at + _cpio_entry_size(mark[0])


def _cpio_entry_size(header: bytes) -> int:
    file_size, name_size = int(header[54:62], 16), int(header[94:102], 16)
    return _to_4(_CPIO_HEADER + name_size) + _to_4(file_size)


def _to_4(size: int) -> int:
    return (size + 3) & ~3
