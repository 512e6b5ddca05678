"""Pins that a person states by hand: `--pin 17:00.0=0/16`, IOAPIC (its place in the MADT) and input. Pure.

For a machine whose capture does not tell, or tells what is known to be wrong. What was measured on the unit
itself is not overruled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bringup.base.errors import ProfileError, UsageError
from bringup.base.size import counted
from bringup.camkes.assign.request import find_device
from bringup.pci.model import Bdf, Function, IoApic, Machine, Madt
from bringup.pci.pins.beliefs import Line, has_no_intx
from bringup.profile.model import Profile

_LINE = re.compile(r"(\d{1,3})/(\d{1,3})", re.ASCII)
# IOAPIC datasheet (82093AA, 3.2.2): the entry count is 8 bits, and the last index 239.
_PINS_MAX = 240


def stated_pins(texts: Iterable[str], machine: Machine, profile: Profile | None = None) -> dict[Bdf, Line]:
    """Return (IOAPIC, input) by function; devices are named as for `--assign`.

    Raises UsageError for a text that is no DEVICE=IOAPIC/PIN or says two pins of one device, ProfileError for
    a pin that the device cannot have.
    """
    stated: dict[Bdf, Line] = {}
    for text in texts:
        device, _, written = text.rpartition("=")
        match = _LINE.fullmatch(written)
        if not device or match is None:
            shown = text if text.isprintable() and len(text) <= 100 else "…"
            raise UsageError(f'--pin "{shown}" is not DEVICE=IOAPIC/PIN', hint="as in --pin 17:00.0=0/16")
        line = int(match[1]), int(match[2])
        function = find_device(device, machine, profile)
        _refuse_impossible(function, line, machine, profile)
        if stated.setdefault(function.bdf, line) != line:
            raise UsageError(f"--pin states two pins for {function.bdf.short}", hint="leave one out")
    return stated


def _refuse_impossible(function: Function, line: Line, machine: Machine, profile: Profile | None) -> None:
    at, (ioapic, pin) = function.bdf.short, line
    if has_no_intx(function):
        raise ProfileError(f"{at} has no INTx pin: it interrupts at no IOAPIC")
    madt = machine.acpi.madt or _of_the_model(profile)
    if madt is not None and ioapic >= len(madt.ioapics):
        raise ProfileError(
            f"--pin {at}={ioapic}/{pin}: this machine has {counted(len(madt.ioapics), 'IOAPIC')}, "
            "counted from 0 (C2)"
        )
    pins = None if madt is None else madt.pins_of(ioapic)
    if pin >= (pins or _PINS_MAX):
        most = f"has {pins} pins" if pins else f"has at most {_PINS_MAX} pins"
        raise ProfileError(f"--pin {at}={ioapic}/{pin}: IOAPIC {ioapic} {most}, counted from 0 (C3)")
    for measured in machine.measured:
        if measured.bdf == function.bdf and (measured.ioapic, measured.pin) != line:
            raise ProfileError(
                f"{at} was measured at pin {measured.ioapic}/{measured.pin} on this unit, "
                f"and --pin says {ioapic}/{pin}",
                hint="leave --pin out; if the board has changed since, probe it again",
            )


def _of_the_model(profile: Profile | None) -> Madt | None:
    """Return the IOAPICs that the board's profile tells, for a capture without a MADT."""
    bases = None if profile is None else profile.interrupts.ioapic_gsi_bases
    if bases is None:
        return None
    return Madt(tuple(IoApic(index, None, None, base) for index, base in enumerate(bases.value)))
