"""The twin as Bochs runs it: pure data in, configuration file out.

Bochs has no PCI Express, no IOMMU and no device of the board's but its UARTs: what it shows of the board is
the processor, VT-x included. The NIC is an 82540EM in slot 3, which is 00:04.0 (bochs iodev/pci.cc,
`pci_set_base_mem` and the slot map of the i440FX). It was run with Bochs 2.7 of Debian 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROGRAM = "bochs-bin"
# It is the rate of the time stamp counter and of every clock of the machine; the network takes one frame in a
# millisecond of it (bochs iodev/network/eth_tuntap.cc), so that a higher one makes downloads slow.
_INSTRUCTIONS_PER_S = 150_000_000
_SHARE = Path("/usr/share/bochs")
_BIOS = _SHARE / "BIOS-bochs-latest"
_VGA_BIOS = _SHARE / "VGABIOS-lgpl-latest"
# At most 128 KiB fit ("PCI ROM image too large"); this one is BIOS only.
_BOOT_ROM = Path("/usr/lib/ipxe/qemu/pxe-e1000.rom")
FILES = {
    PROGRAM: "bochs bochs-term",
    str(_BIOS): "bochsbios",
    str(_VGA_BIOS): "vgabios",
    str(_BOOT_ROM): "ipxe-qemu",
}
"""What it needs, and the Debian packages it is in."""

# HLT for ever: where nothing boots, Bochs' BIOS ends Bochs, which a BMC would take for a power failure.
_HALT = bytes.fromhex("fbf4ebfd")
_SECTOR = 512
_SECTORS = 16 * 63


@dataclass(frozen=True, slots=True)
class Lines:
    """TCP ports in the twin's namespace that Bochs connects its UARTs to, its tap interface and its MAC."""

    com1_port: int
    sol_port: int
    tap: str
    mac: str


def halting_disk() -> bytes:
    """Return a disk whose boot sector waits for ever."""
    return (_HALT.ljust(_SECTOR - 2, b"\0") + b"\x55\xaa").ljust(_SECTORS * _SECTOR, b"\0")


def bochsrc(lines: Lines, folder: Path, *, memory_mib: int, network: bool) -> str:
    """Return the configuration for one power-on; `halt.img` lies in `folder`."""
    return "\n".join(
        (
            f"megs: {memory_mib}",
            f"cpu: model=corei7_skylake_x, count=1, ips={_INSTRUCTIONS_PER_S}, reset_on_triple_fault=1",
            f"romimage: file={_BIOS}",
            f"vgaromimage: file={_VGA_BIOS}",
            # The one display that needs no terminal. It listens on port 5900 of the private network.
            'display_library: rfb, options="timeout=0,hideIPS,no_gui_console"',
            "config_interface: textconfig",
            "pci: enabled=1, chipset=i440fx, slot3=e1000",
            f"e1000: enabled=1, mac={lines.mac}, ethmod=tuntap, "
            f'ethdev="/dev/net/tun:{lines.tap}", bootrom={_BOOT_ROM}',
            f"ata0-master: type=disk, path={folder / 'halt.img'}, mode=flat, cylinders=1, heads=16, spt=63",
            f"boot: {'network, disk' if network else 'disk'}",
            # Idle time costs no processor; `none` would jump over it, and guests' time limits with it.
            "clock: sync=slowdown",
            f"com1: enabled=1, mode=socket-client, dev=127.0.0.1:{lines.com1_port}",
            f"com2: enabled=1, mode=socket-client, dev=127.0.0.1:{lines.sol_port}",
            "speaker: enabled=0",
            "sound: driver=dummy",
            "log: /dev/stdout",
            "panic: action=fatal",
            "error: action=report",
            "info: action=report",  # resets are told at this level
            "debug: action=ignore",
            "",
        )
    )


def command(folder: Path) -> list[str]:
    """Return the command that runs `bochsrc` of this folder.

    Debian 12's Bochs is the debugger, which has to be told to go on; later ones take the words and ignore
    them. `-unlock`: one that was killed leaves its disk locked.
    """
    return [PROGRAM, "-q", "-unlock", "-f", str(folder / "bochsrc"), "-rc", str(folder / "bochs-go")]
