"""What a unit shows of the network ports that a profile names; pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from bringup.pci.match.ports import ids_of, match_nics, subsystem_of
from bringup.pci.model import Bar, Function, Machine
from bringup.pci.pins.beliefs import pin_candidates
from bringup.verify.hardware.facts import Asked
from bringup.verify.hardware.seen import Finding, Measured, NotSeen

_KINDS = {("mem", 32): "memory", ("mem", 64): "memory64", ("io", 32): "io"}
_FOUR_GIB = 1 << 32


def port(asked: Asked, machine: Machine) -> Finding:
    """Look at one fact of the port that it names."""
    nic = next(each for each in asked.profile.nics if each.name == asked.port)
    bdf = next(
        (bdf for bdf, each in match_nics(machine.functions, asked.profile).items() if each == nic), None
    )
    function = None if bdf is None else machine.find(bdf)
    if function is None:
        there = [f"{each.bdf.short} {ids_of(each)}" for each in machine.functions if each.is_ethernet]
        here = f"this unit has no port that is a {nic.id.value}; its Ethernet functions: {', '.join(there)}"
        is_the_port = asked.key == "id" and not nic.optional
        return Measured(None, here) if is_the_port else NotSeen(here)
    look = _LOOKS.get(asked.key)
    return NotSeen("no probe looks at it") if look is None else look(asked, function, machine)


def _id(_asked: Asked, function: Function, _machine: Machine) -> Finding:
    return Measured(ids_of(function), f"{function.bdf.short} itself")


def _subsystem(_asked: Asked, function: Function, _machine: Machine) -> Finding:
    name = subsystem_of(function)
    return NotSeen("the capture tells no subsystem ids") if name is None else Measured(name, _at(function))


def _seen_at(asked: Asked, function: Function, _machine: Machine) -> Finding:
    place = function.bdf.short
    return Measured([place], "its place in the capture", place in (asked.said or [place]))


def _bars(_asked: Asked, function: Function, _machine: Machine) -> Finding:
    bars = function.bars
    if not bars or any(bar.size is None or not bar.numbered for bar in bars):
        return NotSeen("the capture tells no sizes of its BARs")
    value = [{"index": bar.index, "kind": _kind(bar), "size_bytes": bar.size} for bar in bars]
    high = [bar.name for bar in bars if bar.base is not None and bar.base >= _FOUR_GIB]
    above = f", with {' and '.join(high)} above 4 GiB" if high else ", all below 4 GiB"
    return Measured(value, f"{_at(function)}{above}")


def _kind(bar: Bar) -> str:
    return _KINDS.get((bar.kind, bar.width), bar.kind)


def _intx_pin(_asked: Asked, function: Function, _machine: Machine) -> Finding:
    if not function.observed("intx_pin"):
        return NotSeen("the capture does not tell its INTx pin")
    return Measured(function.intx_pin, f"{_at(function)}, config 0x3d")


def _ioapic_pin(asked: Asked, function: Function, machine: Machine) -> Finding:
    arrived = [each for each in machine.measured if each.bdf == function.bdf]
    if not arrived:
        return NotSeen("the firmware probe saw no interrupt of it arrive")
    ioapic = asked.profile.interrupts.ioapic.value
    pins = sorted({each.pin for each in arrived if each.ioapic == ioapic})
    evidence = f"{arrived[0].source}: {_at(function)} arrived at " + ", ".join(
        f"IOAPIC {each.ioapic} pin {each.pin}" for each in arrived
    )
    return Measured(pins[0] if pins else None, evidence)


def _acpi_gsi(_asked: Asked, function: Function, machine: Machine) -> Finding:
    madt = machine.acpi.madt
    bases = {each.index: each.gsi_base for each in madt.ioapics} if madt is not None else {}
    for belief in pin_candidates(machine).get(function.bdf, ()):
        if belief.grade == "firmware" and belief.ioapic in bases:
            return Measured(bases[belief.ioapic] + belief.pin, belief.source)
    return NotSeen("neither _PRT nor a boot log tells its interrupt under an ACPI system")


def _smbios_name(_asked: Asked, function: Function, _machine: Machine) -> Finding:
    if function.label is None:
        return NotSeen("SMBIOS gives it no name, or the capture holds none")
    return Measured(function.label, f"{_at(function)}, SMBIOS type 41")


def _at(function: Function) -> str:
    return f"{ids_of(function)} at {function.bdf.short}"


_LOOKS: Mapping[str, Callable[[Asked, Function, Machine], Finding]] = {
    "id": _id,
    "subsystem": _subsystem,
    "seen_at": _seen_at,
    "bars": _bars,
    "intx_pin": _intx_pin,
    "ioapic_pin": _ioapic_pin,
    "acpi_gsi": _acpi_gsi,
    "smbios_name": _smbios_name,
}
