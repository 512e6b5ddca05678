"""What differs between two captures of a machine: what moved, came, went or changed, and what matters; pure.

A function that got another bus number has moved: it is not told as gone and come. What changes by itself
when buses are numbered anew or the system runs (IRQ numbers, IOMMU groups, names of interfaces, numbers of
bridges, register states) is counted, not told one by one. What only one capture observed is no difference;
it is counted as not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any, Literal

from bringup.pci.diff.capability import changed_capabilities
from bringup.pci.diff.match import match, place
from bringup.pci.model import (
    FUNCTION_FIELDS,
    Bar,
    Bdf,
    Function,
    Identity,
    Machine,
    Madt,
    Pcie,
    Platform,
    Rom,
    SerialNumber,
)
from bringup.pci.topology.buses import Buses

Kind = Literal["moved", "added", "removed", "changed"]
KINDS: tuple[Kind, ...] = ("moved", "added", "removed", "changed")

# What matters to a VM's configuration: addresses, BARs and the pin; a place decides the pin.
_MATTERS = frozenset({"address", "BAR", "BAR size", "INTx pin", "place", "IOAPICs"})
_ORDER = (
    "address",
    "BAR",
    "BAR size",
    "INTx pin",
    "place",
    "IOAPICs",
    "driver",
    "firmware BAR",
    "firmware BAR size",
    "ROM",
    "capability",
    "MAC",
    "serial number",
    "link",
)
# Field of a function -> what is counted when only such a thing differs.
_NUMBERS = {
    "irq": "IRQ number",
    "interrupt_line": "interrupt line register",
    "iommu_group": "IOMMU group",
    "numa_node": "NUMA node",
    "bridge": "bus numbers and windows of bridges",
    "command": "command register",
    "status": "status register",
    "msi_active": "MSI in use",
    "power_state": "power state",
}
_TOLD = {
    "intx_pin": "INTx pin",
    "driver": "driver",
    "subsystem": "subsystem",
    "revision": "revision",
    "header_type": "header type",
    "label": "label",
    "slot": "slot",
}
# Names come from whichever pci.ids the system had; sizes of reads and module lists are not the hardware's.
_COMPARED = FUNCTION_FIELDS - {
    "vendor_name",
    "device_name",
    "subsystem_name",
    "class_name",
    "config_bytes",
    "modules",
    "multifunction",
}


UNIT = frozenset({"serial number", "MAC", "serial", "uuid"})
"""What one unit alone has: of functions by capability and interface, of the machine by SMBIOS."""


@dataclass(frozen=True, slots=True)
class Item:
    """One difference. `before` and `after` are the function's address in each capture.

    Both None: true of the whole machine. `what` says which fact ("address", "BAR 0", "driver"); `old` and
    `new` are texts, None where there is none.
    """

    kind: Kind
    what: str
    before: Bdf | None
    after: Bdf | None
    name: str
    old: str | None = None
    new: str | None = None
    matters: bool = False


@dataclass(frozen=True, slots=True)
class Diff:
    """`items` in the order of what matters; `numbers` and `not_compared` count functions per kind of fact.

    `other_unit`: everything with a serial number has another one in the second capture.
    """

    items: tuple[Item, ...] = ()
    numbers: tuple[tuple[str, int], ...] = ()
    not_compared: tuple[tuple[str, int], ...] = ()

    other_unit: bool = False

    @property
    def matters(self) -> bool:
        """Whether anything differs that a VM's configuration rests on (address, BAR, pin)."""
        return any(item.matters for item in self.items)


def differences(a: Machine, b: Machine) -> Diff:
    """Return what differs from `a` to `b`."""
    pairs, gone, come = match(a, b)
    buses = Buses.of(a.functions), Buses.of(b.functions)
    items = [*_machine_items(a, b)]
    items += [Item("added", "address", None, f.bdf, _name(f), None, str(f.bdf), matters=True) for f in come]
    items += [Item("removed", "address", f.bdf, None, _name(f), str(f.bdf), None, matters=True) for f in gone]
    numbers: Counter[str] = Counter()
    not_compared: Counter[str] = Counter()
    for first, second in pairs:
        items += _function_items(first, second)
        items += _place_items(first, second, *buses)
        numbers.update(_numbers(first, second))
        not_compared.update(name for name in _COMPARED if first.observed(name) != second.observed(name))
    ordered = tuple(sorted(items, key=_rank))
    return Diff(ordered, _counted(numbers), _counted(not_compared), _is_other_unit(items, pairs))


def _is_other_unit(items: Iterable[Item], pairs: Iterable[tuple[Function, Function]]) -> bool:
    """Whether two units are compared: by their own serial numbers, else by those of every device."""
    own = [item for item in items if item.what in UNIT and item.after is None]
    if own:
        return True
    serials = [(a.capability(SerialNumber), b.capability(SerialNumber)) for a, b in pairs]
    told = [(a.value, b.value) for a, b in serials if a is not None and b is not None]
    return bool(told) and all(a != b for a, b in told)


def _counted(counter: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counter.items()))


def _rank(item: Item) -> tuple[Any, ...]:
    family = _family(item.what)
    order = _ORDER.index(family) if family in _ORDER else len(_ORDER)
    nowhere = Bdf(0, 0, 0, 0)
    where = item.before or item.after
    return KINDS.index(item.kind), order, where is not None, where or nowhere, item.what, item.old or ""


def _family(what: str) -> str:
    """Return `BAR` for `BAR 3`, `capability` for what one says."""
    if what.startswith("capability "):
        return "capability"
    return what.rstrip("0123456789").rstrip()


def _name(function: Function) -> str:
    ids = ":".join("????" if each is None else f"{each:04x}" for each in (function.vendor, function.device))
    return f"{ids} {function.device_name}" if function.device_name else ids


def _item(first: Function, second: Function, what: str, old: str | None, new: str | None) -> Item:
    kind: Kind = "moved" if what == "address" else "changed"
    matters = _family(what) in _MATTERS
    return Item(kind, what, first.bdf, second.bdf, _name(second), old, new, matters)


def _function_items(first: Function, second: Function) -> Iterator[Item]:
    if first.bdf != second.bdf:
        yield _item(first, second, "address", str(first.bdf), str(second.bdf))
    for field, what in (("bars", "BAR"), ("firmware_bars", "firmware BAR")):
        if _both(first, second, field):
            for old, new, told in _bar_changes(
                getattr(first, field) or (), getattr(second, field) or (), what
            ):
                yield _item(first, second, told, old, new)
    for field, what in _TOLD.items():
        old, new = getattr(first, field), getattr(second, field)
        if _both(first, second, field) and old != new:
            yield _item(first, second, what, _text(old), _text(new))
    for what, old_text, new_text in (*_capability_changes(first, second), *_other_changes(first, second)):
        yield _item(first, second, what, old_text, new_text)


def _both(first: Function, second: Function, field: str) -> bool:
    return first.observed(field) and second.observed(field)


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, tuple):
        return ":".join(f"{part:04x}" for part in value)
    return f"{value:#x}" if isinstance(value, int) else str(value)


def _bar_changes(
    old: Iterable[Bar], new: Iterable[Bar], what: str
) -> Iterator[tuple[str | None, str | None, str]]:
    ours = {bar.index: bar for bar in old}
    theirs = {bar.index: bar for bar in new}
    for index in sorted({*ours, *theirs}):
        first, second = ours.get(index), theirs.get(index)
        if first is None or second is None or _shape(first) != _shape(second):
            yield _bar(first), _bar(second), f"{what} {index}"
            continue
        if first.base != second.base:
            yield _address(first.base), _address(second.base), f"{what} {index}"
        if None not in (first.size, second.size) and first.size != second.size:
            yield str(first.size), str(second.size), f"{what} size {index}"


def _shape(bar: Bar) -> tuple[object, ...]:
    return bar.kind, bar.width, bar.prefetchable


def _bar(bar: Bar | None) -> str | None:
    if bar is None:
        return None
    size = "" if bar.size is None else f" {bar.size} bytes"
    prefetchable = " prefetchable" if bar.prefetchable else ""
    return f"{bar.kind}{bar.width} {_address(bar.base)}{size}{prefetchable}"


def _address(base: int | None) -> str:
    return "no address" if base is None else f"{base:#x}"


def _capability_changes(first: Function, second: Function) -> Iterator[tuple[str, str | None, str | None]]:
    if _both(first, second, "capabilities"):
        yield from changed_capabilities(first.capabilities or (), second.capabilities or ())


def _other_changes(first: Function, second: Function) -> Iterator[tuple[str, str | None, str | None]]:
    if _both(first, second, "class_code") and first.class_code != second.class_code:
        yield "class", _text(first.class_code), _text(second.class_code)
    if _both(first, second, "rom") and first.rom != second.rom:
        yield "ROM", _rom(first.rom), _rom(second.rom)
    if not _both(first, second, "net"):
        return
    macs = [tuple(port.mac for port in f.net or () if port.mac) for f in (first, second)]
    if all(macs) and macs[0] != macs[1]:
        yield "MAC", ", ".join(macs[0]), ", ".join(macs[1])
    links = [tuple(_link(port.link) for port in f.net or ()) for f in (first, second)]
    if links[0] != links[1] and len(links[0]) == len(links[1]):
        yield "link", ", ".join(links[0]), ", ".join(links[1])


def _rom(rom: Rom | None) -> str | None:
    return None if rom is None else _address(rom.base)


def _link(up: bool | None) -> str:
    return {None: "not told", True: "up", False: "down"}[up]


def _place_items(first: Function, second: Function, a: Buses, b: Buses) -> Iterator[Item]:
    if (first.bdf.device, first.bdf.function) != (second.bdf.device, second.bdf.function):
        return  # it moved on its own bus, and the address says so
    old, new = place(first.bdf, a), place(second.bdf, b)
    if old is not None and new is not None and old != new:
        yield _item(first, second, "place", *(" > ".join(f"{d:02x}.{f:x}" for d, f in p) for p in (old, new)))


def _numbers(first: Function, second: Function) -> Iterator[str]:
    for field, what in _NUMBERS.items():
        if _both(first, second, field) and getattr(first, field) != getattr(second, field):
            yield what
    if _both(first, second, "net"):
        names = [tuple(port.name for port in f.net or ()) for f in (first, second)]
        if names[0] != names[1]:
            yield "interface name"
    old, new = first.capability(Pcie), second.capability(Pcie)
    if (
        old
        and new
        and None not in (old.speed, new.speed)
        and (old.speed, old.width) != (new.speed, new.width)
    ):
        yield "PCIe link speed"


def _machine_items(a: Machine, b: Machine) -> Iterator[Item]:
    for kind, before, after in ((Identity, a.identity, b.identity), (Platform, a.platform, b.platform)):
        for field in fields(kind):
            old, new = (getattr(record, field.name, None) for record in (before, after))
            if None not in (old, new) and old != new:
                yield Item("changed", field.name.replace("_", " "), None, None, "", str(old), str(new))
    ours, theirs = a.acpi.madt, b.acpi.madt
    # How many pins each has is in a boot log and in no MADT.
    if ours and theirs:
        told = all(each.address is not None for each in (*ours.ioapics, *theirs.ioapics))
        old_text, new_text = _ioapics(ours, told=told), _ioapics(theirs, told=told)
        if old_text != new_text:
            yield Item("changed", "IOAPICs", None, None, "", old_text, new_text, matters=True)


def _ioapics(madt: Madt, *, told: bool) -> str:
    """Return the IOAPICs, with addresses where both captures have `told` them."""
    return ", ".join(
        f"{each.index}: "
        + (f"{each.address:#x} " if told and each.address is not None else "")
        + f"from GSI {each.gsi_base}"
        for each in madt.ioapics
    )
