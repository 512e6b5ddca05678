"""What a Linux tree says of the whole machine: CPU, memory, firmware, IOMMU, and the unit's own names.

`iommu` is whether Linux uses one: a DMAR table tells that the firmware offers it.
"""

from __future__ import annotations

import re
from typing import Literal

from bringup.pci.model import Identity, Platform
from bringup.pci.tree.files import Files, names_in
from bringup.pci.tree.manifest import MANIFEST

CPUINFO = "proc/cpuinfo"
_DMI = "sys/class/dmi/id"
_MEMORY = re.compile(r"MemTotal:\s{1,32}(\d{1,12}) kB")
# What makers leave in fields they did not fill.
_UNFILLED = ("to be filled by o.e.m.", "default string", "0123456789", "none", "not specified")


def read_identity(files: Files) -> Identity | None:
    """Return the SMBIOS names; None when the tree has none of them."""
    identity = Identity(
        manufacturer=_dmi(files, "sys_vendor"),
        product=_dmi(files, "product_name"),
        baseboard=_dmi(files, "board_name"),
        bios_version=_dmi(files, "bios_version"),
        bios_date=_dmi(files, "bios_date"),
        serial=_dmi(files, "product_serial"),
        uuid=_dmi(files, "product_uuid"),
    )
    return None if identity == Identity() else identity


def _dmi(files: Files, name: str) -> str | None:
    text = _text(files, f"{_DMI}/{name}")
    text = None if text is None else text[:128].strip()
    return None if not text or text.lower() in _UNFILLED else text


def read_platform(files: Files) -> Platform:
    """Return what is true of the whole machine, as far as the tree tells."""
    cpu = _cpu(files)
    flags = None if cpu is None else cpu.get("flags", "").split()
    remapping = names_in(files, "sys/class/iommu")
    memory = _MEMORY.search((_text(files, "proc/meminfo") or "")[:4096])
    return Platform(
        cpu_model=None if cpu is None else cpu.get("model name"),
        # Linux takes the flag away where the firmware locked VT-x off (arch/x86/kernel/cpu/feat_ctl.c).
        vtx=None if not flags else "vmx" in flags,
        # The flag alone says that the CPU could; whether the firmware switched it on is in the boot log.
        x2apic=False if flags and "x2apic" not in flags else None,
        iommu=None if remapping is None else bool(remapping),
        memory_bytes=None if memory is None else int(memory[1]) << 10,
        kernel=_line(files, "proc/version"),
        command_line=_line(files, "proc/cmdline"),
        firmware=_firmware(files),
    )


def _cpu(files: Files) -> dict[str, str] | None:
    """Return the first processor's lines of /proc/cpuinfo."""
    text = _text(files, CPUINFO)
    if text is None:
        return None
    first = text.strip().partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _firmware(files: Files) -> Literal["bios", "uefi"] | None:
    """Tell UEFI by the folder that Linux makes for it; no folder means BIOS only where it was looked for."""
    if names_in(files, "sys/firmware/efi") is not None:
        return "uefi"
    looked = files.children("sys/firmware") or isinstance(files.read(MANIFEST), bytes)
    return "bios" if looked else None


def _line(files: Files, path: str) -> str | None:
    text = _text(files, path)
    return None if text is None else text[:4096].strip() or None


def _text(files: Files, path: str) -> str | None:
    data = files.read(path)
    return data.decode("utf-8", "replace") if isinstance(data, bytes) else None
