"""What a VM is given of memory, entry by entry: C17, C18, C22, C24. The BARs themselves: `bars.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bringup.base.finding import Found, Rule
from bringup.base.size import size_text
from bringup.camkes.vms.extra import extra_memory
from bringup.camkes.vms.vmm import PAGE
from bringup.pci.bars import bars_under_sel4
from bringup.rules.bars import memory_entries
from bringup.rules.inputs import Inputs, is_subject, memory_bars
from bringup.rules.options import CAPTURE

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Device, Range, Vm
    from bringup.pci.model import Bar, Bdf, Function

C17 = Rule(
    "C17",
    "every page of every memory BAR is listed",
    "seL4_projects_libs libsel4vmmplatsupport map_bars: Failed to map PCI bar",
)
C18 = Rule(
    "C18",
    "pages are of 4 KiB (page_bits 12)",
    "camkes-vm seL4VMPCIDevices.template.c: 20 and 21 are Arm sections",
)
C22 = Rule("C22", "memory lists no ROM", "libsel4vmmplatsupport maps BARs 0 to 5 only")

C24 = Rule("C24", "no page is granted twice", "capDL loader copies the cap; nobody compares")


def bars_listed(inputs: Inputs) -> Found:
    """C17: what is missing, what has moved, and what is somebody else's."""
    yield from inputs.without_capture(C17, "whether the memory listed is that of the devices' BARs")
    for vm, device, function in inputs.captured():
        if bars_under_sel4(function) is None:
            yield C17.gap(f"{vm.name}: the BARs of {device.at}", inputs.capture_with("its BARs"))
            continue
        moved = dict(_moved(inputs, device, function))
        for bar in memory_bars(function):
            if bar.size is None and bar.base:
                yield C17.gap(
                    f"{vm.name}: BAR {bar.index} of {device.at} has no size", inputs.capture_with("sizes")
                )
            elif bar.base and bar.size:
                yield from _listed(vm, device, bar, moved.get(bar.index))
        strays = [m for m in device.memory if m not in moved.values() and not _is_own(m, function)]
        for memory in strays:
            yield from _stray(inputs, vm, device, memory)


def _pages(bar: Bar) -> tuple[int, int]:
    base, size = bar.base or 0, bar.size or 0
    return base // PAGE * PAGE, (base + size + PAGE - 1) // PAGE * PAGE


def _listed(vm: Vm, device: Device, bar: Bar, moved: Range | None) -> Found:
    start, end = _pages(bar)
    missing = _uncovered(start, end, [memory for other in vm.devices for memory in other.memory])
    if missing is None:
        return
    entry = f'{{"paddr":{start:#x}, "size":{end - start:#x}, "page_bits":12}}'
    evidence = f"BAR {bar.index}: {bar.base:#x}, {size_text(bar.size or 0)}"
    if moved is not None:
        yield C17.error(
            "bar-moved",
            (vm.name, moved.place),
            f"BAR {bar.index} of {device.at} is at {start:#x} on this machine, not at {moved.base:#x}",
            f"write {entry}",
            evidence,
        )
    else:
        slug = "bar-cut" if missing > start or _touches(device, start, end) else "bar-unlisted"
        yield C17.error(
            slug,
            (vm.name, device.place),
            f"BAR {bar.index} of {device.at} is {size_text(end - start)} at {start:#x}, "
            f"and page {missing:#x} is not listed",
            f"write {entry} in its memory",
            evidence,
        )


def _touches(device: Device, start: int, end: int) -> bool:
    return any(memory.base < end and start < memory.end for memory in device.memory)


def _uncovered(start: int, end: int, entries: Sequence[Range]) -> int | None:
    """Return the first page of [start, end) that no entry holds, None when all are held."""
    at = start
    for memory in sorted(entries, key=lambda memory: memory.base):
        if memory.base // PAGE * PAGE <= at < memory.end:
            at = memory.end + -memory.end % PAGE
    return at if at < end else None


def _moved(inputs: Inputs, device: Device, function: Function) -> Iterator[tuple[int, Range]]:
    """Yield BARs of which a range of the same size is listed at an address where nothing is."""
    spare = [memory for memory in device.memory if not _is_own(memory, function)]
    spare = [memory for memory in spare if _owner(inputs, memory) is None and not _is_rom(memory, function)]
    for bar in memory_bars(function):
        start, end = _pages(bar)
        if not bar.base or not bar.size or _touches(device, start, end):
            continue
        same = next((memory for memory in spare if memory.size == end - start), None)
        if same is not None:
            spare.remove(same)
            yield bar.index, same


def _is_own(memory: Range, function: Function) -> bool:
    return any(
        bar.base and memory.base < _pages(bar)[1] and _pages(bar)[0] < memory.end
        for bar in memory_bars(function)
    )


def _is_rom(memory: Range, function: Function) -> bool:
    rom = function.rom
    return (
        rom is not None and not rom.shadow and bool(rom.base) and memory.base <= (rom.base or 0) < memory.end
    )


def _owner(inputs: Inputs, memory: Range) -> tuple[Bdf, Bar] | None:
    for function in inputs.functions.values():
        for bar in memory_bars(function):
            start, end = _pages(bar)
            if bar.base and bar.size and memory.base < end and start < memory.end:
                return function.bdf, bar
    return None


def _stray(inputs: Inputs, vm: Vm, device: Device, memory: Range) -> Found:
    function = inputs.function(device)
    if function is not None and _is_rom(memory, function):
        return  # C22 tells
    owner = _owner(inputs, memory)
    if owner is None:
        yield C17.warning(
            "memory-no-bar",
            (vm.name, memory.place),
            f"memory {memory.base:#x} ({size_text(memory.size)}) of {device.at} is no function's BAR"
            f"{'' if function and function.observed('rom') else ', perhaps a ROM, which no guest sees'}",
            "leave it out, or take the address from the capture",
        )
        return
    bdf, bar = owner
    tell = C17.warning if inputs.holders.get(bdf, ("",))[0] == vm.name else C17.error
    yield tell(
        "bar-of-other",
        (vm.name, memory.place),
        f"memory {memory.base:#x} of {device.at} is BAR {bar.index} of {bdf.short}",
        f"list the BARs of {device.bdf.short if device.bdf else device.name} there",
        f"{bdf.short} BAR {bar.index}: {bar.base:#x}, {size_text(bar.size or 0)}",
    )


def reaches_no_other(inputs: Inputs) -> Found:
    """C17: what begins as a BAR of the device and goes on into one of somebody else's."""
    for vm, device, function in inputs.captured():
        own = [_pages(bar) for bar in memory_bars(function) if bar.base and bar.size]
        for memory in device.memory:
            if not _is_own(memory, function):
                continue  # told as a stray
            for other, bar in _reached(inputs, function, own, memory):
                if inputs.holders.get(other.bdf, ("",))[0] == vm.name:
                    continue
                # What another VM could be given is lost to it; the rest is the machine's own.
                tell = C17.error if is_subject(other) or other.bdf in inputs.nics else C17.warning
                yield tell(
                    "memory-too-long",
                    (vm.name, memory.place),
                    f"memory {memory.base:#x} of {device.at}, {size_text(memory.size)}, reaches into BAR "
                    f"{bar.index} of {other.bdf.short}",
                    "list each BAR with its own size",
                    f"{other.bdf.short} BAR {bar.index}: {bar.base:#x}, {size_text(bar.size or 0)}",
                )
                break


def _reached(
    inputs: Inputs, function: Function, own: Sequence[tuple[int, int]], memory: Range
) -> Iterator[tuple[Function, Bar]]:
    """Yield the BARs of others that a range meets, but for those on pages of the function's own (C23)."""
    for other in inputs.functions.values():
        for bar in memory_bars(other) if other is not function else ():
            start, end = _pages(bar)
            met = bar.base and bar.size and memory.base < end and start < memory.end
            if met and not any(first <= start and end <= last for first, last in own):
                yield other, bar


def page_bits_small(inputs: Inputs) -> Found:
    """C18."""
    for vm, device, memory in memory_entries(inputs):
        if memory.page_bits not in (None, 12):
            yield C18.error(
                "page-bits",
                (vm.name, memory.place),
                f"memory {memory.base:#x} of {device.at} has page_bits {memory.page_bits}",
                'write "page_bits":12',
            )


def no_rom(inputs: Inputs) -> Found:
    """C22: known from the capture's ROM, or guessed by a size that none of the profile's BARs has."""
    for vm, device in inputs.devices():
        function = inputs.function(device)
        nic = inputs.nic_at(device.bdf) if function is None else None
        sizes = [bar.size_bytes for bar in nic.bars.value if bar.kind != "io"] if nic and nic.bars else []
        for memory in device.memory:
            if function is not None and function.rom is not None and _is_rom(memory, function):
                evidence = f"ROM at {function.rom.base or 0:#x}"
            elif sizes and memory.size not in sizes:
                evidence = f"the profile's BARs have {', '.join(map(size_text, sizes))}"
            else:
                continue
            yield C22.warning(
                "rom-listed",
                (vm.name, memory.place),
                f"memory {memory.base:#x} ({size_text(memory.size)}) of {device.at} "
                f"{'is its ROM' if function else 'is no BAR of it, perhaps its ROM'}: no guest sees it",
                "leave it out",
                evidence,
            )
        if function is None and not sizes and device.memory:
            yield C22.gap(f"{vm.name}: whether {device.at} lists its ROM", CAPTURE)


def page_owned_once(inputs: Inputs) -> Found:
    """C24: by two VMs, or by two devices of one."""
    entries = sorted(memory_entries(inputs), key=lambda entry: (entry[2].base, entry[2].end))
    farthest: dict[int, tuple[Vm, Device, Range]] = {}
    for vm, device, memory in entries:
        open_entries = [entry for entry in farthest.values() if _page_end(entry[2]) > memory.base]
        other = next((entry for entry in open_entries if entry[1] is not device), None)
        if other is not None:
            yield C24.error(
                "page-twice",
                (vm.name, memory.place),
                f"page {max(memory.base, other[2].base) // PAGE * PAGE:#x} is granted to {vm.name} for "
                f"{device.at} and to {other[0].name} for {other[1].at}",
                "each device gets its own BARs; of two on one page, leave one out",
                f"{memory.base:#x} + {memory.size:#x}, {other[2].base:#x} + {other[2].size:#x}",
            )
        # One entry per device is enough: the one that reaches farthest.
        farthest = {id(entry[1]): entry for entry in open_entries}
        mine = farthest.get(id(device))
        if mine is None or mine[2].end < memory.end:
            farthest[id(device)] = (vm, device, memory)


def page_of_native(inputs: Inputs) -> Found:
    """C24: by a VM, and by a component that drives hardware itself."""
    held = sorted(inputs.native.memory, key=lambda entry: entry[:2])
    for vm, device, memory in memory_entries(inputs) if held else ():
        first, last = memory.base // PAGE * PAGE, _page_end(memory)
        other = next(((start, owner) for start, end, owner in held if first < end and start < last), None)
        if other is not None:
            start, owner = other
            yield C24.error(
                "page-twice",
                (vm.name, memory.place),
                f"page {max(first, start // PAGE * PAGE):#x} is granted to {vm.name} for {device.at} and to "
                f"the native component {owner}",
                "give the device to one of them",
            )


def page_of_extra_memory(inputs: Inputs) -> Found:
    """C24: by a VM for its device, and by another as untyped or RAM."""
    extra = [(other, *told) for other in inputs.vms for told in extra_memory(other)]
    for vm, device, memory in memory_entries(inputs) if extra else ():
        first, last = memory.base // PAGE * PAGE, _page_end(memory)
        for other, attribute, taken in extra:
            if other.name != vm.name and taken.base < last and first < taken.end:
                yield C24.error(
                    "page-twice",
                    (vm.name, memory.place),
                    f"page {max(first, taken.base // PAGE * PAGE):#x} is granted to {vm.name} for "
                    f"{device.at} and lies in {other.name}.{attribute} ({taken.place})",
                    "give the memory to one of them",
                    f"{memory.base:#x} + {memory.size:#x}, {taken.base:#x} + {taken.size:#x}",
                )
                break


def _page_end(memory: Range) -> int:
    return memory.end + -memory.end % PAGE


CHECKS = (
    (C17, bars_listed),
    (C17, reaches_no_other),
    (C18, page_bits_small),
    (C22, no_rom),
    (C24, page_owned_once),
    (C24, page_of_native),
    (C24, page_of_extra_memory),
)
