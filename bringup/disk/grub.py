"""The boot loader's files for a disk: GRUB with all that it needs inside; it reads slots and states only.

BIOS starts boot.img in sector 0, which loads the core image from its partition; where that lies is patched
into both (GRUB boot/i386/pc/boot.S and diskboot.S, include/grub/offsets.h). UEFI starts one program by its
removable path. Neither is signed.
"""

from __future__ import annotations

import io
import struct
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bringup.base.assets import asset
from bringup.base.errors import LabError
from bringup.base.firmware import Firmware
from bringup.base.grub import GRUB_DIR, MEMDISK, GrubModules
from bringup.base.once import made_once
from bringup.disk.commit import Loader
from bringup.disk.layout import BIOS, Layout

_MODULES = (
    *(
        "normal",
        "memdisk",
        "tar",
        "part_gpt",
        "fat",
        "loadenv",
        "configfile",
        "regexp",
        "hashsum",
        "gcry_sha256",
    ),
    *("test", "true", "echo", "read", "sleep", "boot", "reboot", "serial", "terminal"),
    *("multiboot", "multiboot2", "linux"),
)
_OWN_MODULES = {Firmware.BIOS: ("biosdisk",), Firmware.UEFI: ("efi_gop", "all_video")}
_IMAGE_FORMATS = {Firmware.BIOS: "i386-pc", Firmware.UEFI: "x86_64-efi"}
_PC_PORTS = (0x3F8, 0x2F8, 0x3E8, 0x2E8)
# Above this GRUB's core image runs into the EBDA (GRUB grub-core/kern/i386/pc/startup_raw.S).
_CORE_MAX_BYTES = 480 << 10
_BOOT_CODE_BYTES = 440
# Where boot.img has the sector of the core image, the drive, and the jump that checks the drive.
_KERNEL_SECTOR_AT, _BOOT_DRIVE_AT, _DRIVE_CHECK_AT = 0x5C, 0x64, 0x66
# Where the core image's first sector has the place of the rest.
_BLOCK_LIST_AT = 0x1F4
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True)
class Console:
    """The UART that the loader talks on: its I/O port, and its speed in bits per second."""

    port: int = 0x2F8
    baud: int = 115200

    def lines(self) -> list[str]:
        """Return the first lines of GRUB's script: it talks on this UART alone and hears the firmware's keys.

        Firmware that redirects its console reads the same UART behind GRUB's back (EDK2's TerminalDxe, 50
        times a second), and what it took is heard only as a key of its own.
        """
        unit = f"--unit={_PC_PORTS.index(self.port)}" if self.port in _PC_PORTS else f"--port={self.port:#x}"
        return [
            f"serial {unit} --speed={self.baud}",
            "terminal_output serial",
            "terminal_input serial console",
        ]


def disk_script(console: Console) -> str:
    """Return what GRUB on a disk runs (pure, apart from the asset)."""
    lines = console.lines()
    return "\n".join([*lines, asset("pxe/disk.cfg").read_text(encoding="ascii")])


def make_loader(layout: Layout, console: Console, *, grub_dir: Path = GRUB_DIR) -> Loader:
    """Return the loader for a disk with this layout; 0.3 s.

    Disks with sectors of 4096 bytes get none for BIOS. Raises MissingProgramError when GRUB is not installed,
    LabError when it cannot be made.
    """
    script = disk_script(console)
    efi = loader_image(Firmware.UEFI, script, grub_dir=grub_dir)
    if layout.sector_bytes != _SECTOR_BYTES:
        return Loader(b"", b"", efi)
    core_sector = layout.part(BIOS).start // _SECTOR_BYTES
    core = placed_core(loader_image(Firmware.BIOS, script, grub_dir=grub_dir), core_sector)
    return Loader(boot_code(core_sector, grub_dir=grub_dir), core, efi)


def loader_image(
    firmware: Firmware, script: str, modules: Sequence[str] = (), *, grub_dir: Path = GRUB_DIR
) -> bytes:
    """Return GRUB as one file, with a script and with `modules` beside those that every loader has.

    Raises as `make_loader` does.
    """
    found = GrubModules.of(firmware, grub_dir)
    return _made(found, firmware, script, tuple(modules))


@made_once(maxsize=8)
def _made(found: GrubModules, firmware: Firmware, script: str, modules: tuple[str, ...]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="bringup-grub-") as folder:
        memdisk, target = Path(folder) / "memdisk.tar", Path(folder) / "image"
        memdisk.write_bytes(_tar("grub.cfg", script))
        found.make_image(
            _IMAGE_FORMATS[firmware],
            f"normal {MEMDISK}/grub.cfg\n",
            target,
            (*_OWN_MODULES[firmware], *_MODULES, *modules),
            memdisk,
        )
        image = target.read_bytes()
    if firmware is Firmware.BIOS and len(image) > _CORE_MAX_BYTES:
        raise LabError(f"GRUB's core image has {len(image)} bytes, and BIOS can load {_CORE_MAX_BYTES}")
    return image


def boot_code(core_sector: int, *, grub_dir: Path = GRUB_DIR) -> bytes:
    """Return what sector 0 runs: boot.img, told where the core image begins; raises MissingProgramError."""
    code = bytearray((GrubModules.of(Firmware.BIOS, grub_dir).folder / "boot.img").read_bytes())
    struct.pack_into("<Q", code, _KERNEL_SECTOR_AT, core_sector)
    # The drive that the BIOS names, whatever number that is, instead of a check that some BIOSes need.
    code[_BOOT_DRIVE_AT] = 0xFF
    code[_DRIVE_CHECK_AT : _DRIVE_CHECK_AT + 2] = b"\x90\x90"
    return bytes(code[:_BOOT_CODE_BYTES])


def placed_core(core: bytes, core_sector: int) -> bytes:
    """Return a core image that knows where it lies."""
    placed = bytearray(core)
    struct.pack_into("<Q", placed, _BLOCK_LIST_AT, core_sector + 1)
    return bytes(placed)


def _tar(name: str, text: str) -> bytes:
    data = text.encode("ascii")
    entry = tarfile.TarInfo(name)
    entry.size = len(data)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()
