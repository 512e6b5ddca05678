"""Both multiboot headers, read the way loaders read them, and where a header is that they do not see.

Sources: Multiboot Specification 0.6.96 (3.1) and Multiboot2 Specification 2.0 (3.1); for what loaders accept,
GRUB grub-core/loader (multiboot_mbi.c, multiboot_mbi2.c) and iPXE src/arch/x86/image/multiboot.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Version = Literal[1, 2]

MULTIBOOT1_LIMIT = 8192
MULTIBOOT2_LIMIT = 32768
LIMITS: dict[Version, int] = {1: MULTIBOOT1_LIMIT, 2: MULTIBOOT2_LIMIT}

_MAGIC: dict[Version, bytes] = {1: struct.pack("<I", 0x1BADB002), 2: struct.pack("<I", 0xE85250D6)}
_ALIGNMENT: dict[Version, int] = {1: 4, 2: 8}
_SIZE: dict[Version, int] = {1: 12, 2: 16}
# GRUB reads no header in a file shorter than this.
_FILE_MIN = 32
_ARCHITECTURE_I386 = 0
# Bits 0 to 15 are requirements: a loader that does not know one has to refuse (specification, 3.1.2).
_KNOWN_REQUIREMENTS = 0x7
_RAW_FLAG = 1 << 16
# A kernel full of the magic number must not cost more than a glance.
_HITS_MAX = 4096


@dataclass(frozen=True, slots=True)
class MultibootHeader:
    """A multiboot 1 header. `raw`: the header itself says where to load (bit 16), so ELF is not needed."""

    offset: int
    flags: int

    @property
    def raw(self) -> bool:
        """Return whether the kernel can be loaded without its ELF headers ("a.out kludge")."""
        return bool(self.flags & _RAW_FLAG)

    @property
    def unknown_requirements(self) -> int:
        """Return the required feature bits that GRUB and iPXE do not know, 0 when they know all."""
        return self.flags & 0xFFFF & ~_KNOWN_REQUIREMENTS


@dataclass(frozen=True, slots=True)
class Tag:
    """One tag of a multiboot 2 header; `words` are its 32-bit values."""

    type: int
    optional: bool
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Multiboot2Header:
    """A multiboot 2 header; `fault` says why its tags cannot be walked, None when they can."""

    offset: int
    tags: tuple[Tag, ...]
    fault: str | None = None

    @property
    def raw(self) -> bool:
        """Return whether the header itself says where to load (address tag)."""
        return any(tag.type == _TAG_ADDRESS for tag in self.tags)


class Miss(StrEnum):
    """Why loaders do not take a header that is there."""

    BEYOND = "beyond the limit"
    CHECKSUM = "wrong checksum"
    MISALIGNED = "misaligned"
    ARCHITECTURE = "other architecture"


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A header that a person would call one, and a loader does not: at byte `offset` of the file."""

    version: Version
    offset: int
    reason: Miss

    def sentence(self, name: str) -> str:
        """Return why loaders do not take it; `name` is the file's."""
        header = f"a multiboot {self.version} header at byte {self.offset}"
        limit = LIMITS[self.version]
        return {
            Miss.BEYOND: f"{name} has {header}, and loaders look only at the first {limit} bytes",
            Miss.CHECKSUM: f"{name} has {header} with a wrong checksum",
            Miss.MISALIGNED: f"{name} has {header}, not at a multiple of {_ALIGNMENT[self.version]}",
            Miss.ARCHITECTURE: f"{name} has {header} for another architecture than i386",
        }[self.reason]

    @property
    def cure(self) -> str:
        """Return what whoever builds the kernel can do."""
        return {
            Miss.BEYOND: "link the kernel with a script that puts the header first, and with -n (no paging)",
            Miss.CHECKSUM: "the checksum and the fields before it have to add up to 0 modulo 2^32",
            Miss.MISALIGNED: "align the header's section in the linker script",
            Miss.ARCHITECTURE: "set the header's architecture to 0, which also stands for x86_64",
        }[self.reason]


def find_multiboot1(data: bytes) -> MultibootHeader | None:
    """Return the multiboot 1 header of a kernel file, None without one where loaders look."""
    for offset in _seen_by_loaders(data, 1):
        if _checksum_fits(data, offset, 1):
            return MultibootHeader(offset, struct.unpack_from("<I", data, offset + 4)[0])
    return None


def find_multiboot2(data: bytes) -> Multiboot2Header | None:
    """Return the multiboot 2 header for i386 of a kernel file, None without one where loaders look."""
    for offset in _seen_by_loaders(data, 2):
        if _checksum_fits(data, offset, 2) and _is_i386(data, offset):
            tags: list[Tag] = []
            fault = _read_tags(data, offset, tags)
            return Multiboot2Header(offset, tuple(tags), fault)
    return None


def find_near_miss(data: bytes, version: Version) -> NearMiss | None:
    """Return the header that the makers of this file probably meant, None when there is none at all.

    A wrong checksum counts only where loaders look: elsewhere the magic number may be any program's constant.
    """
    wrong: NearMiss | None = None
    for offset in _hits(data, version):
        inside = offset + _SIZE[version] <= LIMITS[version]
        aligned = offset % _ALIGNMENT[version] == 0
        if not _checksum_fits(data, offset, version):
            if inside and aligned and wrong is None:
                wrong = NearMiss(version, offset, Miss.CHECKSUM)
        elif not inside:
            return NearMiss(version, offset, Miss.BEYOND)
        elif not aligned:
            return NearMiss(version, offset, Miss.MISALIGNED)
        elif version == 2 and not _is_i386(data, offset):
            return NearMiss(version, offset, Miss.ARCHITECTURE)
    return wrong


def _hits(data: bytes, version: Version) -> Iterator[int]:
    at = -1
    for _ in range(_HITS_MAX):
        at = data.find(_MAGIC[version], at + 1)
        if at < 0 or at + _SIZE[version] > len(data):
            return
        yield at


def _seen_by_loaders(data: bytes, version: Version) -> Iterator[int]:
    if len(data) < _FILE_MIN:
        return
    for offset in range(0, min(len(data), LIMITS[version]) - _SIZE[version] + 1, _ALIGNMENT[version]):
        if data.startswith(_MAGIC[version], offset):
            yield offset


def _checksum_fits(data: bytes, offset: int, version: Version) -> bool:
    words: tuple[int, ...] = struct.unpack_from(f"<{_SIZE[version] // 4}I", data, offset)
    return sum(words) % 2**32 == 0


def _is_i386(data: bytes, offset: int) -> bool:
    architecture: int = struct.unpack_from("<I", data, offset + 4)[0]
    return architecture == _ARCHITECTURE_I386


_TAG_END = 0
_TAG_INFORMATION_REQUEST = 1
_TAG_ADDRESS = 2
_TAG_ENTRY_ADDRESS = 3
_TAG_EFI_BOOT_SERVICES = 7
_TAG_ENTRY_ADDRESS_EFI64 = 9
# 8 is the entry point for 32-bit UEFI, which GRUB for x86-64 does not know.
_TAGS_KNOWN_TO_GRUB = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10})
# 13 is SMBIOS: specified, and not known to GRUB.
_INFORMATION_KNOWN_TO_GRUB = frozenset(range(22)) - {13}


def _read_tags(data: bytes, offset: int, tags: list[Tag]) -> str | None:
    length: int = struct.unpack_from("<I", data, offset + 8)[0]
    end = min(offset + length, len(data))
    at = offset + _SIZE[2]
    while at + 8 <= end:
        kind, flags, size = struct.unpack_from("<HHI", data, at)
        if kind == _TAG_END:
            return None
        # GRUB would step by this size for ever, or out of its buffer.
        if size < 8 or at + size > end:
            return f"the tag at byte {at} claims {size} bytes"
        words = struct.unpack_from(f"<{(size - 8) // 4}I", data, at + 8)
        tags.append(Tag(kind, bool(flags & 1), words))
        at += (size + 7) & ~7
    return f"there is no end tag in the {length} bytes of the header"


def unknown_to_grub(header: Multiboot2Header) -> str | None:
    """Return what GRUB would refuse this header for, in words, None when it takes it."""
    types = {tag.type for tag in header.tags}
    for tag in header.tags:
        if tag.optional:
            continue
        if tag.type not in _TAGS_KNOWN_TO_GRUB:
            return f"it requires the header tag {tag.type}"
        if tag.type == _TAG_INFORMATION_REQUEST:
            unknown = [word for word in tag.words if word not in _INFORMATION_KNOWN_TO_GRUB]
            if unknown:
                return f"it requires the boot information {unknown[0]}"
    entry_by_efi = {_TAG_EFI_BOOT_SERVICES, _TAG_ENTRY_ADDRESS_EFI64} <= types
    if _TAG_ADDRESS in types and _TAG_ENTRY_ADDRESS not in types and not entry_by_efi:
        return "it has a load address tag and no entry address tag"
    return None
