"""Several sources of one machine become one model; the better source of a field wins, and conflicts are told.

Sources are given best first. What one did not observe another may have; where two observed different things,
the first one's value stays and the difference becomes a `Conflict`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import reduce
from typing import Any

from bringup.base.errors import ProfileError
from bringup.base.size import counted
from bringup.pci.model import (
    FUNCTION_FIELDS,
    REMARKS,
    Acpi,
    Bar,
    Conflict,
    Function,
    Identity,
    Machine,
    Missing,
    Platform,
    SerialNumber,
)
from bringup.pci.names import load_names

# Fields that hardware and firmware set: two sources of one machine must agree. Others change while it runs.
_HARD = ("subsystem", "class_code", "header_type", "bars", "intx_pin")
# ACPI table -> the part of `Acpi` that shows it was read.
_HELD_IN = {"APIC": "madt", "DMAR": "dmar", "MCFG": "mcfg", "DSDT": "code"}


def merge(machines: Sequence[Machine]) -> Machine:
    """Return one machine of several views, best first.

    Raises ProfileError when two views show different devices at one address: those are two machines.
    """
    return reduce(_merge_two, machines)


def _merge_two(first: Machine, second: Machine) -> Machine:
    _refuse_two_machines(first, second)
    _refuse_strangers(first, second)
    ours = {function.bdf: function for function in first.functions}
    theirs = {function.bdf: function for function in second.functions}
    conflicts = list(first.conflicts) + list(second.conflicts)
    acpi = _first_known(Acpi, first.acpi, second.acpi) or Acpi()
    acpi = replace(acpi, places=tuple(dict.fromkeys((*first.acpi.places, *second.acpi.places))))
    functions = []
    for bdf in sorted({*ours, *theirs}):
        if bdf in ours and bdf in theirs:
            functions.append(_merge_function(ours[bdf], theirs[bdf], conflicts.append))
        else:
            functions.append(ours.get(bdf) or theirs[bdf])
    return Machine(
        functions=tuple(functions),
        identity=_first_known(Identity, first.identity, second.identity),
        platform=_first_known(Platform, first.platform, second.platform) or Platform(),
        acpi=acpi,
        interrupts=first.interrupts if first.interrupts is not None else second.interrupts,
        ioports=first.ioports if first.ioports is not None else second.ioports,
        iomem=first.iomem if first.iomem is not None else second.iomem,
        sources=first.sources + second.sources,
        missing=_still_missing(first.missing + second.missing, acpi),
        conflicts=tuple(conflicts),
        measured=tuple(dict.fromkeys(first.measured + second.measured)),
        routed=tuple(dict.fromkeys(first.routed + second.routed)),
        unplaced=tuple(dict.fromkeys(first.unplaced + second.unplaced)),
    )


def _refuse_two_machines(first: Machine, second: Machine) -> None:
    known = {f.bdf: f for f in first.functions if f.vendor is not None and f.device is not None}
    for function in second.functions:
        other = known.get(function.bdf)
        if other is None or function.vendor is None or function.device is None:
            continue
        if (other.vendor, other.device) != (function.vendor, function.device):
            raise ProfileError(
                f"two machines: {function.bdf.short} is {_id(other)} in {_name(first)} "
                f"and {_id(function)} in {_name(second)}",
                hint="give captures of one machine, or compare two with `bringup pci diff`",
            )
        if _are_two(other, function):
            raise ProfileError(
                f"two machines: {function.bdf.short} has serial number {_serial(other)} in {_name(first)} "
                f"and {_serial(function)} in {_name(second)}",
                hint="give captures of one machine, or compare two with `bringup pci diff`",
            )
    boards = [m.identity.baseboard for m in (first, second) if m.identity and m.identity.baseboard]
    if len(set(boards)) > 1:
        raise ProfileError(
            f"two machines: {_name(first)} is of a {boards[0]} and {_name(second)} of a {boards[1]}",
            hint="give captures of one machine, or compare two with `bringup pci diff`",
        )


def _refuse_strangers(first: Machine, second: Machine) -> None:
    """Refuse two views that show functions at the same addresses and agree about none of them."""
    ours = {function.bdf: function for function in first.functions if _is_told(function)}
    shared = [(ours[f.bdf], f) for f in second.functions if f.bdf in ours and _is_told(f)]
    if shared and not any(_agree(one, other) for one, other in shared):
        raise ProfileError(
            f"{_name(first)} and {_name(second)} share {counted(len(shared), 'address')} and nothing else: "
            "no function is the same in both",
            hint="give captures of one machine; a listing made with -nn tells ids, by which it can be known",
        )


def _is_told(function: Function) -> bool:
    """Whether it is known what a function is, by ids or a name: BARs move, so other ones prove nothing."""
    return function.device is not None or bool(function.device_name)


def _bases(function: Function) -> set[int]:
    every = (*(function.bars or ()), *(function.firmware_bars or ()), *(function.os_placed or ()))
    return {bar.base for bar in every if bar.base}


def _agree(one: Function, other: Function) -> bool:
    if None not in (one.device, other.device):
        return (one.vendor, one.device) == (other.vendor, other.device)
    if _bases(one) & _bases(other):
        return True
    names = (_device_name(one), _device_name(other))
    return all(names) and (names[0].endswith(names[1]) or names[1].endswith(names[0]))


def _device_name(function: Function) -> str:
    """Return the name that a view tells, else that of the ids; lspci puts the maker's before it."""
    if function.device_name or function.vendor is None or function.device is None:
        return function.device_name or ""
    known = load_names()
    return (known.device(function.vendor, function.device) if known else None) or ""


def _are_two(one: Function, other: Function) -> bool:
    """Whether two functions at one address show different serial numbers.

    Old versions of lspci wrote the bytes of a serial number from the last to the first.
    """
    serial, theirs = _serial(one), _serial(other)
    return bool(serial and theirs) and serial not in (theirs, "-".join(reversed(theirs.split("-"))))


def _serial(function: Function) -> str:
    capability = function.capability(SerialNumber)
    return "" if capability is None else capability.value


def _id(function: Function) -> str:
    return f"{function.vendor:04x}:{function.device:04x}"


def _name(machine: Machine) -> str:
    return machine.sources[0].name if machine.sources else "one source"


def _merge_function(ours: Function, theirs: Function, conflict: Callable[[Conflict], None]) -> Function:
    taken: dict[str, Any] = {}
    provenance: dict[str, str] = dict(ours.provenance)
    for name in FUNCTION_FIELDS:
        if not theirs.observed(name):
            continue
        value = getattr(theirs, name)
        if not ours.observed(name):
            taken[name], provenance[name] = value, theirs.provenance[name]
        elif name == "bars":
            first, second = ours.bars or (), theirs.bars or ()
            if not _are_numbered(first) and _are_numbered(second):
                # Numbers are worth more than the better source's order.
                first, second, provenance[name] = second, first, theirs.provenance[name]
            taken[name] = _fill_bars(first, second)
        if name in _HARD and ours.observed(name) and _contradicts(name, ours, theirs):
            conflict(Conflict(ours.bdf, name, _text(getattr(ours, name)), _text(value)))
    remarks: dict[str, Any] = {
        kind: tuple(dict.fromkeys((*getattr(ours, kind), *getattr(theirs, kind)))) for kind in REMARKS
    }
    return replace(ours, **taken, **remarks, provenance=provenance)


def _contradicts(name: str, ours: Function, theirs: Function) -> bool:
    """Whether another source's value of a hard field is a conflict.

    BARs that are just what the firmware left, from a log, are not: that the OS moved some is a finding.
    """
    if name == "bars" and theirs.observed("firmware_bars") and theirs.bars == theirs.firmware_bars:
        return False
    return _differs(getattr(ours, name), getattr(theirs, name))


def _are_numbered(bars: Iterable[Bar]) -> bool:
    return all(bar.numbered for bar in bars)


def _fill_bars(ours: Iterable[Bar], theirs: Iterable[Bar]) -> tuple[Bar, ...]:
    """Return our BARs with the sizes that only the other source knows."""
    sizes: dict[object, int | None] = {}
    for bar in theirs:
        sizes[bar.kind, "at", bar.base] = bar.size
    sizes |= {(bar.index, bar.kind): bar.size for bar in theirs if bar.numbered}
    return tuple(bar if bar.size is not None else replace(bar, size=_size_of(bar, sizes)) for bar in ours)


def _size_of(bar: Bar, sizes: Mapping[object, int | None]) -> int | None:
    """Return the size of the same BAR: the one of its number, else the one at its address."""
    return (sizes.get((bar.index, bar.kind)) if bar.numbered else None) or sizes.get(
        (bar.kind, "at", bar.base)
    )


def _differs(ours: Any, theirs: Any) -> bool:
    if not isinstance(ours, tuple) or not all(isinstance(bar, Bar) for bar in (*ours, *(theirs or ()))):
        return bool(ours != theirs)
    if not _are_numbered((*ours, *(theirs or ()))):
        return False
    # A size or an address that one source does not tell is no disagreement.
    mine: Mapping[int, Bar] = {bar.index: bar for bar in ours}
    return any(
        (bar.kind != mine[bar.index].kind)
        or (None not in (bar.base, mine[bar.index].base) and bar.base != mine[bar.index].base)
        or (None not in (bar.size, mine[bar.index].size) and bar.size != mine[bar.index].size)
        for bar in theirs or ()
        if bar.index in mine
    )


def _text(value: Any) -> str:
    if isinstance(value, tuple) and all(isinstance(bar, Bar) for bar in value):
        return ", ".join(f"{b.index} {'unassigned' if b.base is None else f'{b.base:#x}'}" for b in value)
    if isinstance(value, tuple):
        return ":".join(f"{part:04x}" for part in value)
    return f"{value:#x}" if isinstance(value, int) else str(value)


def _first_known(kind: Any, first: Any, second: Any) -> Any:
    if first is None or second is None:
        return first if second is None else second
    values = {
        f.name: getattr(first if getattr(first, f.name) is not None else second, f.name) for f in fields(kind)
    }
    return kind(**values)


def _still_missing(missing: Iterable[Missing], acpi: Acpi) -> tuple[Missing, ...]:
    """Return what no view had: a table that one lacked and another read is not missing."""
    return tuple(m for m in dict.fromkeys(missing) if not _was_read(m.what, acpi))


def _was_read(what: str, acpi: Acpi) -> bool:
    folder, _, signature = what.rpartition("/")
    part = _HELD_IN.get(signature.rstrip("0123456789")) if folder.endswith("acpi/tables") else None
    return part is not None and getattr(acpi, part) is not None
