"""What seL4's kernel and a VMM's scan print on a made machine.

Words are those of a debug kernel (seL4 src/plat/pc99/machine/acpi.c) and of util_libs' libpci
(src/virtual_device.c, LibPCIDisplayFoundDevices).
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.machines.bars import MadeBar
from tests.machines.model import Made, MadeMachine

TABLE = 128
"""Functions that libpci's table holds (PCI_MAX_DEVICES): it stops there."""


def log(machine: MadeMachine, table: int = TABLE) -> str:
    """Return the serial log, with the line ends of a serial console."""
    return "".join(f"{line}\r\n" for line in lines(machine, table))


def lines(machine: MadeMachine, table: int = TABLE) -> Iterator[str]:
    """Yield the lines."""
    yield "Boot config: parsing cmdline '/images/kernel console_port=0x2f8'"
    yield "Boot config: disable_iommu = false"
    for _, _, scopes in machine.reserved:
        for scope in scopes:
            device, function = scope.path[-1]
            place = f"bus={scope.bus:#x} dev={device:#x} fun={function:#x}"
            yield f"\tACPI: registering RMRR entry for region for device: {place}"
    yield f"ACPI: {len(machine.remapping)} IOMMUs detected"
    yield "ACPI: MADT paddr=0x6f2f0000"
    for number in range(machine.cpus):
        yield f"ACPI: MADT_APIC apic_id={number:#x}"
    for number, address, base, _ in machine.ioapics:
        yield f"ACPI: MADT_IOAPIC ioapic_id={number} ioapic_addr={address:#x} gsib={base}"
    for source, gsi, flags in machine.overrides:
        yield f"ACPI: MADT_ISO bus=0 source={source} gsi={gsi} flags={flags:#x}"
    yield f"ACPI: {machine.cpus} CPU(s) detected"
    yield "Booting all finished, dropped to user space"
    # It reads domain 0 through ports, and no operating system has made virtual functions.
    there = [made for made in machine.functions if not made.bdf.domain and made.physical is None]
    for made in there[:table]:
        yield from _function(made)


def _function(made: Made) -> Iterator[str]:
    bdf = made.bdf
    ids = f"(vid {made.vendor:#x} did {made.device:#x})"
    place = f"{bdf.bus:02x}.{bdf.device:02x}.{bdf.function:02x}"
    yield f"PCI :: {place} : {made.names[0]} {made.names[1]} {ids} line{made.line} pin{made.pin}"
    yield from map(_bar, made.bars)
    if made.bridge:
        yield (
            f"lib_pci_scan_fun found additional bus {made.secondary} "
            f"from {bdf.bus} {bdf.device} {bdf.function}"
        )


def _bar(bar: MadeBar) -> str:
    kind = "io" if bar.io else "mem"
    mask = -bar.size & 0xFFFFFFFF
    words = f"{' 64bit' if bar.wide else '  '}{' prefetch' if bar.prefetchable else ''}"
    return f"    BAR{bar.index} : [ {kind} {bar.base:#x} sz {bar.size:#x} szmask {mask:#x} {words.rstrip()} ]"
