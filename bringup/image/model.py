"""What an image is: a kernel, its modules, and what their bytes say about how they can be booted."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from bringup.image.elf import Elf
from bringup.image.linux import LinuxHeader
from bringup.image.multiboot import Multiboot2Header, MultibootHeader, NearMiss
from bringup.image.needs import KernelNeeds

Kind = Literal["multiboot", "linux"]
Family = Literal["sel4", "stand-in", "firmware-probe", "xen", "linux", "other"]

# The names seL4's build gives its files (seL4_tools cmake-tool, rootserver.cmake).
KERNEL_NAME = re.compile(r"kernel-(x86_64|ia32)-pc99")
ROOT_TASK_NAME = re.compile(r".+-image-(x86_64|ia32)-pc99")


class Content(StrEnum):
    """What a file's first bytes say it is; the value is the noun used in sentences."""

    MULTIBOOT = "multiboot kernel"
    LINUX = "Linux kernel (bzImage)"
    ELF32 = "32-bit ELF file"
    ELF64 = "64-bit ELF file"
    ARCHIVE = "cpio archive or compressed file"
    EMPTY = "empty file"
    OTHER = "file of unknown kind"


@dataclass(frozen=True, slots=True)
class BootFile:
    """One file as it will be served: `size` in bytes, `sha256` in hexadecimal digits.

    `name` is what a person calls it. For a kernel that came compressed, `path` is the unpacked copy.
    `changed_ns` is the file's st_ctime_ns before it was hashed: served bytes must still be those. `span` is
    the memory of a module that is ELF, in bytes, None for any other file and where its headers do not tell.
    """

    path: Path
    name: str
    size: int
    sha256: str
    content: Content = Content.OTHER
    changed_ns: int | None = field(default=None, compare=False)
    span: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the file as plain JSON data."""
        return {"name": self.name, "path": str(self.path), "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Image:
    """A kernel with its modules (multiboot) or its initrd (Linux), in the order they are loaded.

    `near_misses` are headers that loaders will not see. `elf` is None for a kernel that is not ELF or whose
    ELF is damaged, and `elf_fault` then says how. `vms` is the number of CAmkES VMs, inferred from the
    programs inside the root task; None means not a VM image, or unknown. `needs` is what an seL4 kernel tells
    of what it demands of the processor, None for any other. `last_test` is the number of the last test that a
    test suite runs, inferred from its table of tests.
    """

    kind: Kind
    family: Family
    kernel: BootFile
    modules: tuple[BootFile, ...] = ()
    kernel_args: str = ""
    multiboot1: MultibootHeader | None = None
    multiboot2: Multiboot2Header | None = None
    near_misses: tuple[NearMiss, ...] = ()
    elf: Elf | None = None
    elf_fault: str | None = None
    linux: LinuxHeader | None = None
    vms: int | None = None
    needs: KernelNeeds | None = None
    last_test: int | None = None

    @property
    def entry(self) -> int | None:
        """Return the kernel's ELF entry point, None when it is not ELF."""
        return None if self.elf is None else self.elf.entry

    @property
    def is_standin(self) -> bool:
        """Return whether the kernel is this project's stand-in: the stages of seL4, and not seL4."""
        return self.family == "stand-in"

    @property
    def is_sel4(self) -> bool:
        """Return whether the kernel is seL4, by its file name or by a text of its boot code."""
        return self.family == "sel4"

    @property
    def is_firmware_probe(self) -> bool:
        """Return whether the kernel is this project's firmware probe, which hands over to nobody."""
        return self.family == "firmware-probe"

    @property
    def memory_bytes(self) -> int:
        """Return how much memory it takes at least: kernel, modules, and the root task beside its module."""
        segments = self.elf.segments if self.elf else ()
        kernel = sum(segment.memory_size for segment in segments) or self.kernel.size
        root_task = self.modules[0].span or 0 if self.is_sel4 and self.modules else 0
        return kernel + sum(module.size for module in self.modules) + root_task

    @property
    def headers(self) -> str:
        """Return the boot protocols of the kernel in a few words, empty when it has none."""
        if self.linux is not None:
            return f"boot protocol {self.linux.protocol[0]}.{self.linux.protocol[1]:02}"
        found = [n for n, header in ((1, self.multiboot1), (2, self.multiboot2)) if header is not None]
        return "multiboot " + "+".join(map(str, found)) if found else ""

    @property
    def title(self) -> str:
        """Return what the image is, for people."""
        if self.linux is not None:
            return f"Linux {self.linux.version}" if self.linux.version else "Linux"
        name = _TITLES.get(self.family, self.kernel.name)
        if self.vms is None:
            return name
        return f"{name} with {self.vms} VM{'' if self.vms == 1 else 's'}"

    @property
    def key(self) -> str:
        """Return what is the same for two images exactly when the same bytes start with the same words.

        The first digits of a SHA-256 over those of kernel and modules, in order, and the command line.
        """
        parts = [*(file.sha256 for file in (self.kernel, *self.modules)), self.kernel_args]
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def with_serial(self, io_port: int, *, baud: int = 115200) -> Image:
        """Return the image with the words that put its kernel's console on the UART at `io_port`.

        They come before the words that are there; a word the caller has given already is not added again.
        """
        speaks_sel4 = self.is_sel4 or self.is_standin or self.is_firmware_probe
        words = serial_args(self.kind, speaks_sel4, io_port, self.kernel_args, baud=baud)
        return replace(self, kernel_args=" ".join([*words, self.kernel_args]).strip())

    def to_dict(self) -> dict[str, Any]:
        """Return the image as plain JSON data, as plans and run folders keep it."""
        return {
            "kind": self.kind,
            "family": self.family,
            "title": self.title,
            "headers": self.headers,
            "key": self.key,
            "kernel": self.kernel.to_dict(),
            "modules": [module.to_dict() for module in self.modules],
            "kernel_args": self.kernel_args,
            "vms": self.vms,
            "last_test": self.last_test,
            "needs": None if self.needs is None else self.needs.to_dict(),
            "standin": self.is_standin,
        }


_TITLES: Mapping[str, str] = {
    "sel4": "seL4",
    "stand-in": "stand-in (not seL4)",
    "firmware-probe": "firmware probe (not seL4)",
    "xen": "Xen",
}
_PC_PORTS = (0x3F8, 0x2F8, 0x3E8, 0x2E8)
SEL4_PORT_WORDS = ("console_port", "debug_port")
"""seL4's own words for its UART (seL4 src/arch/x86/kernel/cmdline.c)."""


def serial_args(kind: Kind, is_sel4: bool, io_port: int, existing: str, *, baud: int = 115200) -> list[str]:
    """Return the kernel words for a console on the UART at `io_port`, without those in `existing`.

    seL4 takes the port and always runs at 115200 baud (seL4 src/arch/x86/kernel/cmdline.c); Linux takes ttyS
    numbers (Documentation/admin-guide/serial-console.rst). Any other multiboot kernel is given Xen's words
    (xen-command-line, com1/com2 and console), which mean nothing to a kernel that does not know them.
    """
    given = {word.partition("=")[0] for word in existing.split() if "=" in word}
    if kind == "linux":
        return [] if "console" in given else [f"console={_linux_console(io_port, baud)}"]
    if is_sel4:
        return [f"{word}={io_port:#x}" for word in SEL4_PORT_WORDS if word not in given]
    return [word for word in _xen_words(io_port, baud) if word.partition("=")[0] not in given]


def _linux_console(io_port: int, baud: int) -> str:
    if io_port in _PC_PORTS:
        return f"ttyS{_PC_PORTS.index(io_port)},{baud}n8"
    return f"uart8250,io,{io_port:#x},{baud}n8"


def _xen_words(io_port: int, baud: int) -> Sequence[str]:
    # Xen has two serial ports, and knows the addresses of the first two of a PC by heart.
    if io_port in _PC_PORTS[:2]:
        name = f"com{_PC_PORTS.index(io_port) + 1}"
        return (f"{name}={baud},8n1", f"console={name}")
    return (f"com1={baud},8n1,{io_port:#x}", "console=com1")
