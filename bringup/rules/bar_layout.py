"""How memory BARs lie on the machine: C23, C26, C27."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Device, Vm
from bringup.camkes.vms.vmm import GIB, PAGE
from bringup.pci.bars import bars_under_sel4
from bringup.pci.model import Bar, Bdf, Function
from bringup.rules.bars_of_config import memory_bars
from bringup.rules.context import CAPTURE, Context

Found = Iterator[Finding | Gap]

C23 = Rule(
    "C23",
    "a BAR smaller than a page begins at one, and shares it with nobody",
    "seL4 maps whole pages; seL4_projects_libs#12, #13, #120",
)
C26 = Rule(
    "C26",
    "no BAR that the driver needs comes after a gap",
    "libsel4vmmplatsupport compacts the indices of BARs",
)
C27 = Rule("C27", "no BAR is far inside a device untyped", "capdl#65: the loader walks it frame by frame")

# The BARs that Linux' driver opens by index: igb, ixgbe, i40e and e1000e all of them use BAR 0 (and the
# MSI-X BAR only with MSI-X, which guests do not get).
_ONLY_BAR0 = {0x8086: range(0x1000, 0x3800)}
_ETHERNET = 0x0200
_IOAPIC = 0xFEC0_0000
_FAR_PAGES = (512 << 20) // PAGE


def small_bars(context: Context) -> Found:
    """C23."""
    if context.assessment is None:
        if context.passes_devices:
            yield C23.gap("BARs smaller than a page, and their neighbours", CAPTURE)
        return
    owners = {device.bdf: vm.name for vm, device in context.devices() if device.bdf}
    for vm, device, function in context.captured():
        for bar in memory_bars(function):
            if not bar.base or not bar.size or bar.size >= PAGE:
                continue
            if bar.base % PAGE:
                yield C23.error(
                    "small-bar-offset",
                    device.place,
                    vm.name,
                    f"BAR {bar.index} of {device.at} has {bar.size} bytes at {bar.base:#x}, inside a page: "
                    "the guest sees the page's start in its place",
                    "the firmware has to move it to a page of its own",
                )
            yield from _neighbours(context, owners, vm, device, bar)


def _neighbours(context: Context, owners: dict[Bdf, str], vm: Vm, device: Device, bar: Bar) -> Found:
    assert context.assessment is not None  # noqa: S101
    page = (bar.base or 0) // PAGE
    for other in context.assessment.machine.functions:
        for theirs in bars_under_sel4(other) or ():
            if other.bdf == device.bdf or theirs.kind != "mem" or not theirs.base:
                continue
            if not theirs.base // PAGE <= page <= (theirs.base + (theirs.size or 1) - 1) // PAGE:
                continue
            owner = owners.get(other.bdf)
            foreign = owner is not None and owner != vm.name
            tell = C23.error if foreign else C23.warning
            yield tell(
                "page-shared",
                device.place,
                vm.name,
                f"BAR {bar.index} of {device.at} shares page {page * PAGE:#x} with BAR {theirs.index} of "
                f"{other.bdf.short}{f', which {owner} has' if foreign else ''}",
                "give both functions to one VM, or neither",
            )


def no_gap_before(context: Context) -> Found:
    """C26: the guest sees BARs without the gaps, so a later one has another index there."""
    if context.assessment is None and context.passes_devices:
        yield C26.gap("gaps between the BARs", CAPTURE)
    for vm, device, function in context.captured():
        bars = [bar for bar in bars_under_sel4(function) or () if bar.base]
        moved = [(bar.index, number) for number, bar in enumerate(sorted(bars, key=lambda b: b.index))]
        moved = [(index, number) for index, number in moved if index != number]
        if not moved or (moved[0][0] != 0 and _needs_only_bar0(function) and bars[0].index == 0):
            continue
        index, number = moved[0]
        yield C26.warning(
            "bar-renumbered",
            device.place,
            vm.name,
            f"BAR {index} of {device.at} is BAR {number} in the guest: a driver that asks for {index} opens "
            "another one",
            "check which BARs its driver opens",
            ", ".join(f"BAR {i} → {n}" for i, n in moved),
        )


def _needs_only_bar0(function: Function) -> bool:
    known = _ONLY_BAR0.get(function.vendor or 0)
    return function.class_code == _ETHERNET and known is not None and (function.device or 0) in known


def not_far_inside(context: Context) -> Found:
    """C27: how many pages the loader steps over, from the start of the kernel's device untyped."""
    iomem = context.assessment.machine.iomem if context.assessment else None
    if iomem is None:
        if any(device.memory for _, device in context.devices()):
            yield C27.gap(
                "how far the BARs are from the start of a device untyped", context.capture_with("/proc/iomem")
            )
        return
    ram_end = max((r.limit + 1 for r in iomem if r.name == "System RAM" and r.limit < 4 * GIB), default=0)
    for vm, device in context.devices():
        for memory in device.memory:
            pages = _steps(ram_end, memory.base)
            if pages > _FAR_PAGES:
                yield C27.warning(
                    "far-inside",
                    memory.place,
                    vm.name,
                    f"memory {memory.base:#x} of {device.at} is {pages} pages inside a device untyped, and "
                    "the loader walks them one by one at every boot",
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


CHECKS = (
    (C23, small_bars),
    (C26, no_gap_before),
    (C27, not_far_inside),
)
