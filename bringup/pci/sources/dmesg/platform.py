"""The lines of a Linux boot log that are about the whole machine: firmware, IOAPICs, DMA remapping (pure)."""

from __future__ import annotations

import re

from bringup.pci.acpi.places import places_in_log
from bringup.pci.model import (
    Acpi,
    Identity,
    IoApic,
    Machine,
    Madt,
    Missing,
    Platform,
    SourceOverride,
)

_LIMIT = 1024
_VERSION = re.compile(r"\bLinux version [^\r\n]{1,512}")
_COMMAND_LINE = re.compile(r"\b(?:Kernel c|C)ommand line: ([^\r\n]{0,2048})")
_DMI = re.compile(r"\bDMI: [^\r\n/]{1,128}/([^\r\n,]{1,64}), BIOS ([^\s]{1,32})(?: (\d\d/\d\d/\d{4}))?")
# arch/x86/kernel/cpu/common.c, print_cpu_info; "stepping" without brackets before Linux 3.x.
_CPU = re.compile(r"\bCPU0: (\S[^\r\n]{0,95}?)(?: \(fam|,? stepping |[\r\n]|\Z)")
_IOAPIC = re.compile(
    r"\bIOAPIC\[(\d{1,3})\]: apic_id (\d{1,3}), version \d{1,3}, "
    r"address 0x([0-9a-f]{1,16}), GSI (\d{1,5})-(\d{1,5})"
)
_OVERRIDE = re.compile(
    r"INT_SRC_OVR \(bus 0 bus_irq (\d{1,3}) global_irq (\d{1,5}) (dfl|high|low) (dfl|edge|level)\)"
)
_RMRR = re.compile(r"\b(?:DMAR|dmar): ?RMRR base: 0x([0-9a-f]{1,16}) end: 0x([0-9a-f]{1,16})")
# arch/x86/kernel/apic/apic.c; arch/x86/kernel/cpu/feat_ctl.c, and kvm's own word on it.
_X2APIC = re.compile(r"\bx2apic:? enabled by BIOS")
_VTX_OFF = re.compile(
    r"\bVMX \((?:in|out)side TXT\) disabled by BIOS|\bkvm(?:_intel)?: .{0,40}disabled by bios"
)
_REMAPPING = re.compile(
    r"Intel\(R\) Virtualization Technology for Directed I/O|AMD-Vi: Interrupt remapping enabled"
)
# drivers/iommu/intel/dmar.c, warn_invalid_dmar.
_UNIT_OFF = re.compile(r"DMAR reported at address 0?x?([0-9a-f]{1,16}) returns all ones")
# MPS INTI flags (ACPI 6.4, table 5.38).
_POLARITY = {"dfl": 0, "high": 1, "low": 3}
_TRIGGER = {"dfl": 0, "edge": 1, "level": 3}


def read_platform_lines(text: str) -> Machine:
    """Return a machine without functions: what a log tells of firmware, interrupt controllers and IOMMUs."""
    version = _VERSION.search(text)
    command_line = _COMMAND_LINE.search(text)
    cpu = _CPU.search(text)
    # A log that has lost its start cannot tell that a line was not there.
    begins = version is not None
    return Machine(
        functions=(),
        identity=_identity(text),
        platform=Platform(
            cpu_model=None if cpu is None else cpu[1].strip(),
            vtx_locked_off=True if _VTX_OFF.search(text) else None,
            x2apic=True if _X2APIC.search(text) else False if begins else None,
            iommu=True if _REMAPPING.search(text) else None,
            kernel=None if version is None else version[0].strip(),
            command_line=None if command_line is None else command_line[1].strip(),
            firmware=("uefi" if re.search(r"\befi: EFI v", text) else "bios") if begins else None,
        ),
        acpi=Acpi(madt=_madt(text), places=places_in_log(text)),
        missing=(*_regions(text), *_units_off(text)),
    )


def _identity(text: str) -> Identity | None:
    # The maker's name and the product's are one run of words there, so neither is told.
    match = _DMI.search(text)
    return None if match is None else Identity(baseboard=match[1], bios_version=match[2], bios_date=match[3])


def _madt(text: str) -> Madt | None:
    found = {int(match[1]): match for match in _IOAPIC.finditer(text)}
    if not found:
        return None
    ioapics = tuple(
        IoApic(index, int(m[2]), int(m[3], 16), int(m[4]), int(m[5]) - int(m[4]) + 1)
        for index, m in sorted(found.items())
    )
    overrides = [
        SourceOverride(int(m[1]), int(m[2]), _POLARITY[m[3]] | _TRIGGER[m[4]] << 2)
        for m in _OVERRIDE.finditer(text)
    ]
    return Madt(ioapics, tuple(dict.fromkeys(overrides))[:_LIMIT])


def _regions(text: str) -> tuple[Missing, ...]:
    """Return the RMRRs as what they lack: a table without the devices would read as none for any device."""
    found = dict.fromkeys((int(m[1], 16), int(m[2], 16)) for m in _RMRR.finditer(text))
    return tuple(
        Missing(f"devices of the RMRR {base:#x} to {limit:#x}", "a boot log names only the addresses")
        for base, limit in list(found)[:_LIMIT]
    )


def _units_off(text: str) -> tuple[Missing, ...]:
    """Return the remapping units that did not answer: Linux uses none of them then."""
    found = dict.fromkeys(int(m[1], 16) for m in _UNIT_OFF.finditer(text))
    return tuple(
        Missing(
            f"the IOMMU at {base:#x}", "it reads as ones: the firmware reports a unit that is off or broken"
        )
        for base in list(found)[:_LIMIT]
    )
