"""Linux kernels (bzImage) and the archives that their initrd may be, told by their first bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

# Linux Documentation/arch/x86/boot.rst: the setup header, offsets from the begin of the file.
_SETUP_SECTORS_AT = 0x1F1
_SYSTEM_SIZE_AT = 0x1F4
_BOOT_FLAG_AT = 0x1FE
_MAGIC_AT = 0x202
_VERSION_AT = 0x206
_KERNEL_VERSION_AT = 0x20E
_LOAD_FLAGS_AT = 0x211
_COMMAND_LINE_SIZE_AT = 0x238
_PAYLOAD_AT = 0x248
_HEADER_END = 0x26C

_SECTOR = 512
# GRUB include/grub/i386/linux.h, GRUB_LINUX_MAX_SETUP_SECTS: a larger one is not a kernel.
_SETUP_SECTORS_MAX = 64
_VERSION_TEXT_MAX = 128
_OLD_COMMAND_LINE_MAX = 255

_ARCHIVES = {
    b"070701": "cpio",
    b"070702": "cpio",
    b"\x1f\x8b": "gzip",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x02\x21\x4c\x18": "lz4",
    b"BZh": "bzip2",
    b"\x5d\x00\x00": "lzma",
    b"\x89LZO\x00": "lzo",
}


@dataclass(frozen=True, slots=True)
class LinuxHeader:
    """The setup header of a bzImage. `protocol` is (major, minor); sizes in bytes.

    `version` is what the kernel calls itself, None when it does not say. `file_size` is what the header
    says the file has, without signatures that may follow, None where protocols before 2.04 do not say.
    `payload` is the compressed kernel's (offset, size) in the protected-mode part, None before 2.08.
    """

    protocol: tuple[int, int]
    version: str | None
    file_size: int | None
    loaded_high: bool
    efi_stub: bool
    command_line_max: int
    payload: tuple[int, int] | None


def parse_linux(data: bytes) -> LinuxHeader | None:
    """Return the setup header of a bzImage, None when `data` is something else or cut off inside it."""
    if len(data) < _HEADER_END or data[_BOOT_FLAG_AT : _BOOT_FLAG_AT + 2] != b"\x55\xaa":
        return None
    protocol = (data[_VERSION_AT + 1], data[_VERSION_AT])
    sectors = data[_SETUP_SECTORS_AT]
    if data[_MAGIC_AT : _MAGIC_AT + 4] != b"HdrS" or protocol < (2, 0) or sectors > _SETUP_SECTORS_MAX:
        return None
    # 0 stands for 4 for historical reasons (boot.rst, setup_sects); the boot sector comes on top.
    setup_size = ((sectors or 4) + 1) * _SECTOR
    system_size = 16 * _u32(data, _SYSTEM_SIZE_AT)
    return LinuxHeader(
        protocol=protocol,
        version=_version_text(data),
        file_size=setup_size + system_size if protocol >= (2, 4) else None,
        loaded_high=bool(data[_LOAD_FLAGS_AT] & 1),
        efi_stub=data.startswith(b"MZ"),
        command_line_max=_u32(data, _COMMAND_LINE_SIZE_AT) if protocol >= (2, 6) else _OLD_COMMAND_LINE_MAX,
        payload=(_u32(data, _PAYLOAD_AT), _u32(data, _PAYLOAD_AT + 4)) if protocol >= (2, 8) else None,
    )


def archive_format(head: bytes) -> str | None:
    """Return the name of an archive or compression that Linux unpacks an initrd from, None for others.

    Linux lib/decompress.c and init/initramfs.c.
    """
    return next((name for magic, name in _ARCHIVES.items() if head.startswith(magic)), None)


def _version_text(data: bytes) -> str | None:
    pointer = _u16(data, _KERNEL_VERSION_AT)
    if not pointer:
        return None
    begin = pointer + _SECTOR
    raw = data[begin : begin + _VERSION_TEXT_MAX].split(b"\0")[0]
    words = raw.decode("ascii", "replace").split()
    return words[0] if words and words[0].isascii() and words[0].isprintable() else None


def _u16(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
