"""Memory BARs: C19 to C21, C23, C26, C27, M6. What a VM is given of them: `frames.py`."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from bringup.base.finding import Finding, Found, Rule
from bringup.base.size import counted, size_text
from bringup.camkes.vms.vmm import GIB, PAGE
from bringup.pci.bars import bars_under_sel4
from bringup.rules.inputs import Inputs, memory_bars, named, place
from bringup.rules.options import CAPTURE

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Device, Range, Vm
    from bringup.pci.model import Bdf, Function

_MAP_BARS = "seL4_projects_libs libsel4vmmplatsupport map_bars"

C19 = Rule(
    "C19",
    "memory begins at a page; a BAR lies on a multiple of its size",
    "capDL: paddr is the frame's address, camkes-vm seL4VMPCIDevices.template.c rounds size up to pages; "
    f"PCI 3.0 6.2.5.1, {_MAP_BARS}: Guest PCI bar address not aligned",
)
C20 = Rule(
    "C20",
    "a BAR's size is a power of two",
    "PCI 3.0 6.2.5.1; seL4_projects_libs vmm_pci_helper: PCI bar is not power of 2 size",
)
C21 = Rule(
    "C21",
    "every memory BAR is below 4 GiB and has an address",
    "util_libs libpci base_addr is 32 bits wide; an upper half is a BAR of size 0: assert(size != 0)",
)
C23 = Rule(
    "C23",
    "a BAR smaller than a page begins at one, and shares it with nobody",
    f"seL4 grants pages of 4 KiB: who has one reaches all that is on it; {_MAP_BARS} drops the offset; "
    "seL4_projects_libs#12, #13, #120",
)
C26 = Rule(
    "C26",
    "no BAR that the driver needs comes after a gap",
    "libsel4vmmplatsupport compacts the indices of BARs",
)
C27 = Rule("C27", "no BAR is far inside a device untyped", "capdl#65: the loader walks it frame by frame")
M6 = Rule(
    "M6",
    "BARs are where the firmware left them",
    "boot log, first line of each BAR, against sysfs resource; acrn-hypervisor#4618",
)

# More functions on one page than any real machine has; the rest would only make the sentence longer.
_NEIGHBOURS_MAX = 8

# The BARs that Linux' driver opens by index: igb, ixgbe, i40e and e1000e all of them use BAR 0 (and the
# MSI-X BAR only with MSI-X, which guests do not get).
_ONLY_BAR0 = {0x8086: range(0x1000, 0x3800)}
_ETHERNET = 0x0200
_IOAPIC = 0xFEC0_0000
_FAR_PAGES = (512 << 20) // PAGE


def memory_entries(inputs: Inputs) -> Iterator[tuple[Vm, Device, Range]]:
    """Yield every entry of `memory`, with VM and device."""
    return ((vm, device, memory) for vm, device in inputs.devices() for memory in device.memory)


def aligned(inputs: Inputs) -> Found:
    """C19: entries begin at a page; BARs from a page on lie on a multiple of their size."""
    for function in inputs.subjects:
        for bar in memory_bars(function):
            size = bar.size or 0
            if bar.base and size >= PAGE and not size & (size - 1) and bar.base % size:
                yield C19.error(
                    "bar-not-aligned",
                    function.bdf,
                    f"{bar.name} does not lie on a multiple of its size",
                    "check the capture: no PCI function can decode such an address",
                    place(bar),
                    change=f"{bar.name} must lie on a multiple of its size",
                )
    for vm, device, memory in memory_entries(inputs):
        base, size = memory.base, memory.size
        if size <= 0:
            yield C19.error(
                "memory-empty",
                (vm.name, memory.place),
                f"memory {base:#x} of {device.at} has size {size:#x}",
                "write the size of the BAR, in bytes",
            )
        elif base % PAGE or base < 0:
            start = base - base % PAGE
            end = base + size + -(base + size) % PAGE
            yield C19.error(
                "memory-unaligned",
                (vm.name, memory.place),
                f"memory {base:#x} of {device.at}, {size:#x} bytes, does not begin at a page of 4 KiB",
                f'write "paddr":{start:#x}, "size":{end - start:#x}',
            )


def power_of_two(inputs: Inputs) -> Found:
    """C20: the BARs of the capture; without one, the sizes that are written can only be doubtful."""
    yield from inputs.without_capture(C20, "the sizes of the BARs")
    for function in inputs.subjects:
        for bar in memory_bars(function):
            if bar.size and bar.size & (bar.size - 1):
                yield C20.error(
                    "bar-not-power-of-two",
                    function.bdf,
                    f"{bar.name} has {bar.size} bytes, which is no power of two",
                    "check the capture: no PCI function can have such a BAR",
                    place(bar),
                    refuse=f"{bar.name} has no size that a BAR can have",
                )
    for vm, device, memory in memory_entries(inputs):
        seen = inputs.function(device)
        bars = bars_under_sel4(seen) if seen is not None else None
        if bars is None and memory.size > 0 and not memory.size % PAGE and memory.size & (memory.size - 1):
            yield C20.warning(
                "size-doubtful",
                (vm.name, memory.place),
                f"memory {memory.base:#x} of {device.at} has {size_text(memory.size)}, and a BAR's size is a "
                "power of two",
                "one entry per BAR, each with that BAR's size",
            )


def below_4g(inputs: Inputs) -> Found:
    """C21: as the machine has it, and as it is written."""
    yield from inputs.without_capture(C21, "BARs that are not listed")
    limit, say = inputs.bar_limit, inputs.words.advice
    shown = f"{limit >> 30} GiB"
    for function in inputs.subjects:
        for bar in memory_bars(function):
            if not bar.base:
                yield C21.error(
                    "bar-unassigned",
                    function.bdf,
                    f"{bar.name} has no address",
                    "have the firmware assign it: look at its settings of PCI resources",
                    place(bar),
                    change=f"{bar.name} needs an address from the firmware",
                )
            elif bar.base + (bar.size or 1) > limit:
                yield C21.error(
                    "bar-above-4g",
                    function.bdf,
                    f"{bar.name} lies above {shown}, which kills the VMM",
                    f"{say('sr-iov')}; if that is not enough, {say('above-4g')}",
                    place(bar),
                    change=f"{bar.name} must come below {shown}: SR-IOV or decoding above 4 GiB off",
                )
    for vm, device, memory in memory_entries(inputs):
        if memory.base and memory.end <= limit:
            continue
        yield C21.error(
            "memory-above-4g" if memory.base else "memory-at-zero",
            (vm.name, memory.place),
            f"memory {memory.base:#x} of {device.at} is "
            + (f"above {shown}" if memory.base else "at address 0"),
            "write the address from a capture, once the firmware has placed the BAR below",
        )


# C23


def small_bars(inputs: Inputs) -> Found:
    """C23."""
    yield from inputs.without_capture(C23, "BARs smaller than a page, and their neighbours")
    for function in inputs.subjects:
        for bar in memory_bars(function):
            if not bar.base or not bar.size or bar.size >= PAGE or bar.size & (bar.size - 1):
                continue
            message = f"{bar.name} has {bar.size} bytes, less than a page"
            if bar.base % PAGE:
                yield C23.error(
                    "bar-below-page",
                    function.bdf,
                    f"{message}, and does not begin on one: the guest looks for it at the page's start",
                    "have the firmware place it on a page of its own",
                    place(bar),
                    change=f"{bar.name} must begin on a page",
                )
            elif not inputs.configured:
                yield C23.note(
                    "bar-below-page",
                    function.bdf,
                    f"{message}: its VM gets the whole page",
                    "nothing, as long as nobody else is on that page",
                    place(bar),
                )
    yield from _shared_pages(inputs)


def _shared_pages(inputs: Inputs) -> Iterator[Finding]:
    """Warn of who else is on a page; where both go to VMs, C24 refuses that the page is granted twice."""
    neighbours = page_neighbours(inputs) if inputs.subjects else {}
    for function in inputs.subjects:
        pages = neighbours.get(function.bdf, {})
        others = tuple(sorted(other for other in pages if other not in inputs.holders))
        if others:
            yield C23.warning(
                "bar-shares-page",
                function.bdf,
                f"a page of its BARs also holds registers of {named(others)}",
                f"give {named(others)} to no VM, and be sure that nobody uses it otherwise",
                *sorted(pages[other] for other in others),
                limit=f"not together with {named(others)} (one page)",
            )


def page_neighbours(inputs: Inputs) -> dict[Bdf, dict[Bdf, str]]:
    """Return, per function, the others with memory BARs on its pages, and which page; at most 8 per BAR."""
    ranges = sorted(
        (
            function.bdf.domain,
            bar.base // PAGE,
            (bar.base + bar.size - 1) // PAGE,
            function.bdf,
            bar.index,
        )
        for function in inputs.functions.values()
        for bar in memory_bars(function)
        if bar.base and bar.size
    )
    found: dict[Bdf, dict[Bdf, str]] = defaultdict(dict)
    # (domain, last page, function, BAR) of what begins at or before the page that is looked at.
    active: list[tuple[int, int, Bdf, int]] = []
    for domain, first, last, bdf, number in ranges:
        while active and active[0][:2] < (domain, first):
            heapq.heappop(active)
        for _, _, other, index in islice(active, _NEIGHBOURS_MAX):
            if other == bdf:
                continue
            page = f"page {first * PAGE:#x}: BAR {index} of {other.short}, BAR {number} of {bdf.short}"
            for one, another in ((bdf, other), (other, bdf)):
                if len(found[one]) < _NEIGHBOURS_MAX:
                    found[one].setdefault(another, page)
        heapq.heappush(active, (domain, last, bdf, number))
    return found


# C26, C27, M6


def no_gap_before(inputs: Inputs) -> Found:
    """C26: the guest sees BARs without the gaps, so a later one has another index there."""
    yield from inputs.without_capture(C26, "gaps between the BARs")
    for vm, device, function in inputs.captured():
        bars = [bar for bar in bars_under_sel4(function) or () if bar.base]
        if not all(bar.numbered for bar in bars):
            yield C26.gap(f"gaps between the BARs of {device.at}", inputs.capture_with("their numbers"))
            continue
        moved = [(bar.index, number) for number, bar in enumerate(sorted(bars, key=lambda b: b.index))]
        moved = [(index, number) for index, number in moved if index != number]
        if not moved or (moved[0][0] != 0 and _needs_only_bar0(function) and bars[0].index == 0):
            continue
        index, number = moved[0]
        yield C26.warning(
            "bar-renumbered",
            (vm.name, device.place),
            f"BAR {index} of {device.at} is BAR {number} in the guest: a driver that asks for {index} opens "
            "another one",
            "check which BARs its driver opens",
            ", ".join(f"BAR {i} → {n}" for i, n in moved),
        )


def _needs_only_bar0(function: Function) -> bool:
    known = _ONLY_BAR0.get(function.vendor or 0)
    return function.class_code == _ETHERNET and known is not None and (function.device or 0) in known


def not_far_inside(inputs: Inputs) -> Found:
    """C27: how many pages the loader steps over, from the start of the kernel's device untyped."""
    iomem = inputs.machine.iomem if inputs.machine else None
    if iomem is None:
        if any(device.memory for _, device in inputs.devices()):
            what = "how far the BARs are from the start of a device untyped"
            yield C27.gap(what, CAPTURE if inputs.machine is None else "a capture with /proc/iomem")
        return
    ram_end = max((r.limit + 1 for r in iomem if r.name == "System RAM" and r.limit < 4 * GIB), default=0)
    for vm, device, memory in memory_entries(inputs):
        pages = _steps(ram_end, memory.base)
        if pages > _FAR_PAGES:
            yield C27.warning(
                "far-inside",
                (vm.name, memory.place),
                f"memory {memory.base:#x} of {device.at} is {counted(pages, 'page')} inside a device "
                "untyped, and the loader walks them one by one at every boot",
                "expect a long start, or let the firmware place the BAR lower",
                f"RAM below 4 GiB ends at {ram_end:#x}",
            )


def _steps(start: int, address: int) -> int:
    """Return the pages before `address` in its untyped: pieces are as large as alignment and rest allow.

    seL4 src/kernel/boot.c create_untypeds_for_region, for the region between RAM and the first IOAPIC, which
    the kernel keeps, or for all above 4 GiB.
    """
    start, end = (start, _IOAPIC) if address < 4 * GIB else (4 * GIB, 1 << 47)
    while start < end:
        bits = (end - start).bit_length() - 1
        if start:
            bits = min(bits, (start & -start).bit_length() - 1)
        if start <= address < start + (1 << bits):
            return (address - start) // PAGE
        start += 1 << bits
    return 0


def unmoved(inputs: Inputs) -> Found:
    """M6."""
    for function in inputs.subjects:
        if not (function.observed("firmware_bars") and function.observed("bars")):
            continue
        now = {bar.index: bar for bar in function.bars or ()}
        moved = [
            (bar, now[bar.index])
            for bar in function.firmware_bars or ()
            if bar.index in now and bar.base != now[bar.index].base
        ]
        if moved:
            yield M6.error(
                "firmware-bar-differs",
                function.bdf,
                "Linux moved BARs that the firmware had placed; seL4 will find them where the firmware did",
                "capture again with pci=realloc=off on Linux's command line, so that both say the same",
                *(f"firmware: {place(before)}; Linux: {place(after)}" for before, after in moved),
                change="the capture must show the firmware's BARs: capture with pci=realloc=off",
            )


CHECKS = (
    (C19, aligned),
    (C20, power_of_two),
    (C21, below_4g),
    (C23, small_bars),
    (C26, no_gap_before),
    (C27, not_far_inside),
    (M6, unmoved),
)
