"""What Linux used in INTx mode: rows of /proc/interrupts that belong to one function; pure.

A row's pin counts within its IOAPIC (kernel/irq/proc.c prints the hwirq), and the row does not say which one
that is. It is taken only where one IOAPIC of the MADT alone has so many pins.
"""

from __future__ import annotations

from collections.abc import Iterator

from bringup.pci.assessment import PinCandidate
from bringup.pci.model import Function, InterruptLine, Machine, Msi, MsiX

# An IOAPIC tells at most 240 inputs (82093AA, 3.2.2); the last of a MADT may have that many.
_PINS_MAX = 240
# What the first IOAPIC of a PC has at least.
_FIRST_PINS = 24


def lines_of(function: Function, machine: Machine) -> Iterator[PinCandidate]:
    """Yield the IOAPIC pins at which Linux had this function's INTx, when that is beyond doubt."""
    if function.msi_active is True:
        return
    for line in machine.interrupts or ():
        # "IR-IO-APIC": the same behind interrupt remapping.
        if line.pin is None or "IO-APIC" not in line.chip:
            continue
        why = _belongs(function, line, machine)
        ioapic = _ioapic_with(machine, line.irq, line.pin) if why else None
        if ioapic is not None:
            # None counted is worth knowing: Linux only expected it there.
            source = f"/proc/interrupts {line.irq}: {line.chip} {line.pin}, {why}, {line.count} counted"
            yield PinCandidate(ioapic, line.pin, "known", source, this_unit=True)


def _belongs(function: Function, line: InterruptLine, machine: Machine) -> str | None:
    """Return why a row is this function's, None when it is not or that is not certain."""
    if any(str(function.bdf) in user for user in line.users):
        return "which names its address"
    for port in function.net or ():
        if port.name in line.users:
            return f"used by {port.name}"
    if function.driver is None:
        return None
    # Once a driver has the function and no MSI is in use, its number is that of its INTx.
    if function.irq == line.irq and _is_without_msi(function):
        return f"the number of {function.driver}"
    if function.driver in line.users and _only_one(function.driver, machine):
        return f"used by {function.driver}"
    return None


def _is_without_msi(function: Function) -> bool:
    """Whether it was seen that no MSI is in use: by the OS's list of vectors, else by the enable bits."""
    if function.observed("msi_active"):
        return function.msi_active is False
    ways = (function.capability(Msi), function.capability(MsiX))
    return function.observed("capabilities") and all(way is None or way.enabled is False for way in ways)


def _only_one(driver: str, machine: Machine) -> bool:
    return sum(function.driver == driver for function in machine.functions) == 1


def _ioapic_with(machine: Machine, irq: int, pin: int) -> int | None:
    """Return the IOAPIC (place in the MADT) that alone can have this pin.

    Without a MADT it is the first where number and pin are one: Linux numbers by GSI, which it starts.
    """
    madt = machine.acpi.madt
    if madt is None:
        return 0 if irq == pin and pin < _FIRST_PINS else None
    ordered = sorted(madt.ioapics, key=lambda ioapic: ioapic.gsi_base)
    able = []
    for ioapic, following in zip(ordered, [*ordered[1:], None], strict=True):
        room = _PINS_MAX if following is None else following.gsi_base - ioapic.gsi_base
        if pin < (ioapic.pins if ioapic.pins is not None else room):
            able.append(ioapic.index)
    return able[0] if len(able) == 1 else None
