"""The boot image of UEFI, played: an EFI program of GRUB's whose script lies near its end.

bringup.netboot.boot_image makes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_EFI = b"MZ"
_KERNEL = re.compile(rb"if ! (?:linux|multiboot2) \(memdisk\)/(\S+) ?([^;\n]*); then")
_MODULES = re.compile(rb"if ! (?:initrd|module2) ([^;\n]*)")
_NAME = re.compile(rb"\(memdisk\)/(\S+)")


@dataclass(frozen=True, slots=True)
class BootImage:
    """What its script starts: a kernel with its arguments, and modules, by their names."""

    kernel: str
    arguments: str
    modules: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Yield what GRUB says until the kernel starts, in the words of pxe/grub.cfg.j2."""
        yield "bringup: GRUB started"
        yield f"bringup: loading kernel {self.kernel}"
        for number, name in enumerate(self.modules, 1):
            yield f"bringup: loading module {number} of {len(self.modules)} {name}"
        yield "bringup: starting kernel"


def read_boot_image(start: bytes, end: bytes) -> BootImage | None:
    """Return what a file boots, by its first and last bytes; None for one that is no boot image of ours."""
    kernel = _KERNEL.search(end) if start.startswith(_EFI) else None
    if kernel is None:
        return None
    arguments = kernel[2].decode("ascii", "replace").replace("'", "").strip()
    modules = b" ".join(found[1] for found in _MODULES.finditer(end))
    names = tuple(name.decode("ascii", "replace") for name in _NAME.findall(modules))
    return BootImage(kernel[1].decode("ascii", "replace"), arguments, names)
