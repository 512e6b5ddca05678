"""The boot log of Linux on a made machine (drivers/pci/probe.c, setup-res.c; arch/x86), in three wordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from tests.machines import caps
from tests.machines.bars import MadeBar
from tests.machines.model import Made, MadeMachine

Wording = Literal["ancient", "classic", "today"]
"""`reg 10:` before Linux 3.5, `reg 0x10:` after it, `BAR 0` from 6.8 on."""

_POLARITY, _TRIGGER = ("dfl", "high", "", "low"), ("dfl", "edge", "", "level")


def log(machine: MadeMachine, wording: Wording = "classic") -> str:
    """Return the lines with their times."""
    return "".join(
        f"[{number / 10000:12.6f}] {line}\n" for number, line in enumerate(lines(machine, wording))
    )


def lines(machine: MadeMachine, wording: Wording = "classic") -> Iterator[str]:
    """Yield the lines without times."""
    yield f"Linux version {machine.kernel} (builder@host)"
    yield f"Command line: {machine.command_line}"
    if machine.uefi:
        yield "efi: EFI v2.70 by American Megatrends"
    names = f"{machine.manufacturer} {machine.product}/{machine.baseboard}"
    yield f"DMI: {names}, BIOS {machine.bios_version} {machine.bios_date}"
    if machine.x2apic:
        yield "x2apic: enabled by BIOS, switching to x2apic ops"
    for index, (number, address, base, pins) in enumerate(machine.ioapics):
        place = f"apic_id {number}, version 32, address {address:#x}"
        yield f"IOAPIC[{index}]: {place}, GSI {base}-{base + pins - 1}"
    for source, gsi, flags in machine.overrides:
        words = f"{_POLARITY[flags & 3]} {_TRIGGER[flags >> 2 & 3]}"
        yield f"ACPI: INT_SRC_OVR (bus 0 bus_irq {source} global_irq {gsi} {words})"
    for base, last, _ in machine.reserved:
        yield f"DMAR: RMRR base: {base:#016x} end: {last:#016x}"
    yield f"smpboot: CPU0: {machine.cpu} (family: 0x6, model: 0x55, stepping: 0x4)"
    for made in machine.functions:
        yield from (f"pci {made.bdf}: {line}" for line in _found(made, wording))
    for made in machine.functions:
        yield from (f"pci {made.bdf}: {line}" for line in _bridge(made))
    for made in machine.functions:
        yield from (f"pci {made.bdf}: {line}" for line in _moved(made, wording))
    if machine.iommu and machine.remapping:
        yield "DMAR: Intel(R) Virtualization Technology for Directed I/O"
    if not machine.vtx:
        yield "x86/cpu: VMX (outside TXT) disabled by BIOS"


def _found(made: Made, wording: Wording) -> Iterator[str]:
    code = made.class_code << 8 | made.prog_if
    yield f"[{made.vendor:04x}:{made.device:04x}] type {made.header:02x} class {code:#08x}"
    for bar in made.bars:
        yield f"{_register(0x10 + 4 * bar.index, wording)} {_range(bar)}"
    if made.rom:
        base, size, _ = made.rom
        at = 0x38 if made.bridge else 0x30
        yield f"{_register(at, wording)} {_range(MadeBar(6, False, base, size, prefetchable=True))}"
    virtual = made.capability(caps.VirtualFunctions)
    for bar in virtual.bars if virtual else ():
        place = virtual.at + 0x24 + 4 * bar.index if virtual else 0
        yield f"VF BAR {bar.index} {_range(bar)}" if wording == "today" else f"reg {place:#x}: {_range(bar)}"


def _register(offset: int, wording: Wording) -> str:
    if wording == "today":
        return "ROM" if offset in (0x30, 0x38) else f"BAR {(offset - 0x10) // 4}"
    return f"reg {offset:x}:" if wording == "ancient" else f"reg {offset:#x}:"


def _range(bar: MadeBar) -> str:
    """Return what %pR prints (lib/vsprintf.c, resource_string); one without an address shows its size."""
    kind, digits = ("io ", 6) if bar.io else ("mem", 10)
    words = " 64bit" * bar.wide + " pref" * bar.prefetchable
    if not bar.base:
        return f"[{kind} size {bar.size:#0{digits}x}{words}]"
    return f"[{kind} {bar.base:#0{digits}x}-{bar.last:#0{digits}x}{words}]"


def _bridge(made: Made) -> Iterator[str]:
    if not made.bridge:
        return
    last = "" if made.subordinate == made.secondary else f"-{made.subordinate:02x}"
    yield f"PCI bridge to [bus {made.secondary:02x}{last}]"
    for window in made.windows:
        bar = MadeBar(0, window.kind == "I/O", window.base, window.last - window.base + 1)
        if window.kind == "Prefetchable memory":
            bar = replace(bar, wide=True, prefetchable=True)
        yield f"  bridge window {_range(bar)}"


def _moved(made: Made, wording: Wording) -> Iterator[str]:
    """Say where Linux put BARs that it moved."""
    before = {bar.index: bar for bar in made.bars}
    for bar in made.bars_now:
        if bar != before.get(bar.index):
            place = _range(bar)
            yield (
                f"BAR {bar.index} {place}: assigned"
                if wording == "today"
                else (f"BAR {bar.index}: assigned {place}")
            )
