"""What a guest's kernel says of itself: version, width, and its configuration where it carries one; pure.

A bzImage holds the kernel compressed (boot.rst, payload_offset); a kernel built with IKCONFIG=y holds its
configuration, gzip, behind a marker (kernel/configs.c), one with IKCONFIG=m in the module `configs`.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from bringup.base.errors import ImageError
from bringup.image.archive import ArchiveError, Member, members, unpacked
from bringup.image.linux import LinuxHeader, archive_format, parse_linux

_SECTOR = 512
_MARKER = b"IKCFG_ST"
_ELF = {(1, 3): 32, (2, 62): 64}
_LINE = re.compile(r"^(?:CONFIG_(\w+)=(.*)|# CONFIG_(\w+) is not set)$", re.MULTILINE)
_RELEASE = re.compile(r"(?:^|/)lib/modules/([^/]+)/")
_MODULE = re.compile(r"([^/]+)\.ko(?:\.gz|\.xz|\.zst)?$")


@dataclass(frozen=True, slots=True)
class KernelConfig:
    """A kernel's configuration, and where it was read."""

    values: Mapping[str, str]
    source: str

    def get(self, symbol: str) -> str:
        """Return y, m, a value, or n for what is not set or not there."""
        return self.values.get(symbol, "n")


@dataclass(frozen=True, slots=True)
class Rootfs:
    """What is known of a root file system: its modules by kernel release, and what it calls itself."""

    modules: Mapping[str, frozenset[str]]
    built_in: Mapping[str, frozenset[str]]
    title: str = ""
    programs: frozenset[str] = frozenset()
    config: KernelConfig | None = None


@dataclass(frozen=True, slots=True)
class GuestKernel:
    """A guest's kernel. `bits` None and `unread` a reason where it could not be unpacked."""

    header: LinuxHeader
    release: str | None
    bits: int | None
    config: KernelConfig | None
    unread: str = ""


def parse_config(text: str, source: str) -> KernelConfig:
    """Read a `.config`."""
    values = {}
    for line in _LINE.finditer(text):
        name, value, absent = line.groups()
        values[name or absent] = "n" if absent else value.strip('"')
    return KernelConfig(values, source)


def embedded_config(data: bytes, source: str) -> KernelConfig | None:
    """Return the configuration that a kernel or its module `configs` carries, None where it has none."""
    at = data.find(_MARKER)
    if at < 0:
        return None
    try:
        text = zlib.decompressobj(31).decompress(data[at + len(_MARKER) :], 4 << 20)
    except zlib.error:
        return None
    return parse_config(text.decode("utf-8", "replace"), source)


def read_kernel(data: bytes, shown: str) -> GuestKernel:
    """Read a bzImage; raises ImageError where it is none."""
    header = parse_linux(data)
    if header is None:
        raise ImageError(
            f"{shown} is no Linux kernel (bzImage)", hint="arch/x86/boot/bzImage of a kernel build"
        )
    try:
        kernel = _unpacked_kernel(data, header)
    except ArchiveError as error:
        return GuestKernel(header, header.version, None, None, f"its compressed part: {error}")
    bits = (
        _ELF.get((kernel[4], int.from_bytes(kernel[18:20], "little"))) if kernel[:4] == b"\x7fELF" else None
    )
    return GuestKernel(header, header.version, bits, embedded_config(kernel, f"{shown}, IKCONFIG"))


def _unpacked_kernel(data: bytes, header: LinuxHeader) -> bytes:
    if header.payload is None:
        raise ArchiveError(f"boot protocol {header.protocol[0]}.{header.protocol[1]:02d} does not say where")
    # parse_linux has looked at the number of sectors; 0 stands for 4.
    begin = ((data[0x1F1] or 4) + 1) * _SECTOR + header.payload[0]
    payload = data[begin : begin + header.payload[1]]
    if not payload:
        raise ArchiveError("it breaks off")
    # Behind most streams the kernel's build writes the size (scripts/Makefile.lib, size_append).
    return unpacked(payload[:-4] if archive_format(payload[:8]) in ("zstd", "lz4", "lzo") else payload)[0]


def read_rootfs(data: bytes, shown: str) -> Rootfs:
    """Read a root file system; raises ImageError for what is no cpio archive."""
    modules: dict[str, set[str]] = {}
    built_in: dict[str, set[str]] = {}
    title, config, programs = "", None, set[str]()
    try:
        for member in members(data):
            release = _RELEASE.search(member.name)
            if release is not None:
                modules.setdefault(release[1], set())
                found = _MODULE.search(member.name)
                if found is not None:
                    modules[release[1]].add(found[1].replace("-", "_"))
                if found is not None and found[1] == "configs":
                    config = _module_config(member, shown) or config
                if member.name.endswith("/modules.builtin"):
                    built_in[release[1]] = _built_in(member)
            elif member.name == "etc/os-release":
                title = _title(member.data.decode("utf-8", "replace"))
            if "bin/" in member.name:
                programs.add(member.name.rpartition("/")[2])
    except ArchiveError as error:
        raise ImageError(f"{shown} cannot be read as a root file system: {error}") from None
    return Rootfs(
        {name: frozenset(each) for name, each in modules.items()},
        {name: frozenset(each) for name, each in built_in.items()},
        title,
        frozenset(programs),
        config,
    )


def _module_config(member: Member, shown: str) -> KernelConfig | None:
    try:
        data = unpacked(member.data)[0]
    except ArchiveError:
        return None
    return embedded_config(data, f"{shown}, {member.name}")


def _built_in(member: Member) -> set[str]:
    found = map(_MODULE.search, member.data.decode("utf-8", "replace").splitlines())
    return {match[1].replace("-", "_") for match in found if match is not None}


def _title(text: str) -> str:
    line = next((line for line in text.splitlines() if line.startswith("PRETTY_NAME=")), "")
    return line.partition("=")[2].strip("\"'")
