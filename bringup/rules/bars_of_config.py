"""Memory BARs against the machine: C17, C21, C22. How they lie there: `bar_layout.py`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Device, Range, Vm
from bringup.camkes.vms.vmm import GIB, PAGE
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import Bar, Bdf, Function
from bringup.rules.context import CAPTURE, Context, size_text

Found = Iterator[Finding | Gap]

C17 = Rule(
    "C17",
    "every page of every memory BAR is listed",
    "seL4_projects_libs libsel4vmmplatsupport map_bars: Failed to map PCI bar",
)
C21 = Rule(
    "C21",
    "every memory BAR is below 4 GiB and has an address",
    "util_libs libpci base_addr is 32 bits wide; an upper half is a BAR of size 0: assert(size != 0)",
)
C22 = Rule("C22", "memory lists no ROM", "libsel4vmmplatsupport maps BARs 0 to 5 only")


def memory_bars(function: Function) -> list[Bar]:
    """Return the memory BARs of a function as the firmware leaves them; none where they were not observed."""
    return [bar for bar in bars_under_sel4(function) or () if bar.kind == "mem"]


def bars_listed(context: Context) -> Found:
    """C17: what is missing, what has moved, and what is somebody else's."""
    if context.assessment is None:
        if context.passes_devices:
            yield C17.gap("whether the memory listed is that of the devices' BARs", CAPTURE)
        return
    owners = {device.bdf: vm.name for vm, device in context.devices() if device.bdf}
    for vm, device, function in context.captured():
        if bars_under_sel4(function) is None:
            yield C17.gap(f"{vm.name}: the BARs of {device.at}", context.capture_with("its BARs"))
            continue
        moved = dict(_moved(context, device, function))
        for bar in memory_bars(function):
            if bar.size is None and bar.base:
                yield C17.gap(
                    f"{vm.name}: BAR {bar.index} of {device.at} has no size", context.capture_with("sizes")
                )
            elif bar.base and bar.size:
                yield from _listed(vm, device, bar, moved.get(bar.index))
        strays = [m for m in device.memory if m not in moved.values() and not _is_own(m, function)]
        for memory in strays:
            yield from _stray(context, owners, vm, device, memory)


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
            moved.place,
            vm.name,
            f"BAR {bar.index} of {device.at} is at {start:#x} on this machine, not at {moved.base:#x}",
            f"write {entry}",
            evidence,
        )
    else:
        slug = "bar-cut" if missing > start or _touches(device, start, end) else "bar-unlisted"
        yield C17.error(
            slug,
            device.place,
            vm.name,
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


def _moved(context: Context, device: Device, function: Function) -> Iterator[tuple[int, Range]]:
    """Yield BARs of which a range of the same size is listed at an address where nothing is."""
    spare = [memory for memory in device.memory if not _is_own(memory, function)]
    spare = [memory for memory in spare if _owner(context, memory) is None and not _is_rom(memory, function)]
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


def _owner(context: Context, memory: Range) -> tuple[Bdf, Bar] | None:
    assert context.assessment is not None  # noqa: S101  # asked for with a capture only
    for function in context.assessment.machine.functions:
        for bar in bars_under_sel4(function) or ():
            start, end = _pages(bar)
            if bar.kind == "mem" and bar.base and bar.size and memory.base < end and start < memory.end:
                return function.bdf, bar
    return None


def _stray(context: Context, owners: dict[Bdf, str], vm: Vm, device: Device, memory: Range) -> Found:
    function = context.function(device)
    if function is not None and _is_rom(memory, function):
        return  # C22 tells
    owner = _owner(context, memory)
    if owner is None:
        yield C17.warning(
            "memory-no-bar",
            memory.place,
            vm.name,
            f"memory {memory.base:#x} ({size_text(memory.size)}) of {device.at} is no function's BAR"
            f"{'' if function and function.observed('rom') else ', perhaps a ROM, which no guest sees'}",
            "leave it out, or take the address from the capture",
        )
        return
    bdf, bar = owner
    tell = C17.warning if owners.get(bdf) == vm.name else C17.error
    yield tell(
        "bar-of-other",
        memory.place,
        vm.name,
        f"memory {memory.base:#x} of {device.at} is BAR {bar.index} of {bdf.short}",
        f"list the BARs of {device.bdf.short if device.bdf else device.name} there",
        f"{bdf.short} BAR {bar.index}: {bar.base:#x}, {size_text(bar.size or 0)}",
    )


def below_4g(context: Context) -> Found:
    """C21: as it is written, and as the machine has it."""
    limit = context.profile.hypervisor.bar_limit_bytes.value if context.profile else 4 * GIB
    advice = "BIOS: SR-IOV Support = Disabled, and Above 4G Decoding = Disabled if that is not enough"
    for vm, device in context.devices():
        for memory in device.memory:
            if memory.end > limit or memory.base == 0:
                yield C21.error(
                    "memory-above-4g" if memory.base else "memory-at-zero",
                    memory.place,
                    vm.name,
                    f"memory {memory.base:#x} of {device.at} is "
                    f"{'above 4 GiB' if memory.base else 'at address 0'}",
                    advice if memory.base else "write the address from a capture",
                )
    for vm, device, function in context.captured():
        for bar in memory_bars(function):
            if not bar.base:
                problem, slug = "has no address", "bar-unassigned"
            elif bar.base + (bar.size or 0) > limit:
                problem, slug = f"is at {bar.base:#x}, above 4 GiB: the VMM dies on it", "bar-above-4g"
            else:
                continue
            yield C21.error(
                slug,
                device.place,
                vm.name,
                f"BAR {bar.index} of {device.at} {problem}",
                advice,
                f"BAR {bar.index}: {'unassigned' if not bar.base else hex(bar.base)}",
            )
    if context.assessment is None and context.passes_devices:
        yield C21.gap("BARs that are not listed", CAPTURE)


def no_rom(context: Context) -> Found:
    """C22: known from the capture's ROM, or guessed by a size that none of the profile's BARs has."""
    for vm, device in context.devices():
        function = context.function(device)
        nic = context.nic(device.bdf) if function is None else None
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
                memory.place,
                vm.name,
                f"memory {memory.base:#x} ({size_text(memory.size)}) of {device.at} "
                f"{'is its ROM' if function else 'is no BAR of it, perhaps its ROM'}: no guest sees it",
                "leave it out",
                evidence,
            )
        if function is None and not sizes and device.memory:
            yield C22.gap(f"{vm.name}: whether {device.at} lists its ROM", CAPTURE)


CHECKS = (
    (C17, bars_listed),
    (C21, below_4g),
    (C22, no_rom),
)
