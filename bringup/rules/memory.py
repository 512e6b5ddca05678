"""Memory BARs as they are written: C18 to C20, C23 to C25. What the machine says of them: `bars.py`."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Device, Range, Vm
from bringup.camkes.vms.vmm import GIB, MIB, PAGE, WINDOW_END, WINDOW_START
from bringup.pci.bars import bars_under_sel4
from bringup.rules.context import CAPTURE, Context, size_text

Found = Iterator[Finding | Gap]

C18 = Rule(
    "C18",
    "pages are of 4 KiB (page_bits 12)",
    "camkes-vm seL4VMPCIDevices.template.c: 20 and 21 are Arm sections",
)
C19 = Rule("C19", "memory begins at a page and is whole pages", "capDL: paddr is the frame's address")
C20 = Rule(
    "C20",
    "a BAR's size is a power of two",
    "seL4_projects_libs vmm_pci_helper: PCI bar is not power of 2 size",
)
C24 = Rule("C24", "no page is granted to two VMs", "capDL loader copies the cap; nobody compares")
C25 = Rule(
    "C25",
    "guest RAM and BARs fit into the VMM's window of 2303 MiB",
    "seL4_projects_libs guest memory: 0x10003000 to 0xa0000000; Failed to reserve PCI bar",
)


def _memory(context: Context) -> Iterator[tuple[Vm, Device, Range]]:
    for vm, device in context.devices():
        for memory in device.memory:
            yield vm, device, memory


def page_bits_small(context: Context) -> Found:
    """C18."""
    for vm, device, memory in _memory(context):
        if memory.page_bits not in (None, 12):
            yield C18.error(
                "page-bits",
                memory.place,
                vm.name,
                f"memory {memory.base:#x} of {device.at} has page_bits {memory.page_bits}",
                'write "page_bits":12',
            )


def page_aligned(context: Context) -> Found:
    """C19."""
    for vm, device, memory in _memory(context):
        base, size = memory.base, memory.size
        if size <= 0:
            yield C19.error(
                "memory-empty",
                memory.place,
                vm.name,
                f"memory {base:#x} of {device.at} has size {size:#x}",
                "write the size of the BAR, in bytes",
            )
        elif base % PAGE or size % PAGE or base < 0:
            start = base - base % PAGE
            end = base + size + -(base + size) % PAGE
            yield C19.error(
                "memory-unaligned",
                memory.place,
                vm.name,
                f"memory {base:#x} of {device.at}, {size:#x} bytes, is not whole pages of 4 KiB",
                f'write "paddr":{start:#x}, "size":{end - start:#x}',
            )


def power_of_two(context: Context) -> Found:
    """C20: the BARs of the capture; without one, the sizes that are written can only be doubtful."""
    for vm, device, memory in _memory(context):
        function = context.function(device)
        bars = bars_under_sel4(function) if function is not None else None
        if bars is None and memory.size > 0 and not memory.size % PAGE and memory.size & (memory.size - 1):
            yield C20.warning(
                "size-doubtful",
                memory.place,
                vm.name,
                f"memory {memory.base:#x} of {device.at} has {size_text(memory.size)}, and a BAR's size is a "
                "power of two",
                "one entry per BAR, each with that BAR's size",
            )
    for vm, device, function in context.captured():
        for bar in bars_under_sel4(function) or ():
            if bar.kind == "mem" and bar.size and bar.size & (bar.size - 1):
                yield C20.error(
                    "bar-size",
                    device.place,
                    vm.name,
                    f"BAR {bar.index} of {device.at} has {bar.size:#x} bytes, which no hardware has",
                    "take the capture again: its sizes are damaged",
                )
    if context.assessment is None and context.passes_devices:
        yield C20.gap("the sizes of the BARs", CAPTURE)


def frame_owned_once(context: Context) -> Found:
    """C24."""
    entries = sorted(_memory(context), key=lambda entry: (entry[2].base, entry[2].end))
    open_entries: list[tuple[Vm, Device, Range]] = []
    for vm, device, memory in entries:
        open_entries = [entry for entry in open_entries if _page_end(entry[2]) > memory.base]
        other = next((entry for entry in open_entries if entry[0].name != vm.name), None)
        if other is not None:
            yield C24.error(
                "page-twice",
                memory.place,
                vm.name,
                f"page {max(memory.base, other[2].base) // PAGE * PAGE:#x} is granted to {vm.name} for "
                f"{device.at} and to {other[0].name} for {other[1].at}",
                "each VM gets the BARs of its own devices",
                f"{memory.base:#x} + {memory.size:#x}, {other[2].base:#x} + {other[2].size:#x}",
            )
        # One entry per VM is enough: the one that reaches farthest.
        open_entries = [
            entry for entry in open_entries if entry[0].name != vm.name or entry[2].end > memory.end
        ]
        if not any(entry[0].name == vm.name for entry in open_entries):
            open_entries.append((vm, device, memory))


def _page_end(memory: Range) -> int:
    return memory.end + -memory.end % PAGE


def window_fits(context: Context) -> Found:
    """C25: BARs are aligned to their own size in the window that holds guest RAM too."""
    room = WINDOW_END - WINDOW_START
    for vm in context.vms:
        ram = vm.numbers.get("guest_ram_mb")
        if ram is None:
            if "guest_ram_mb" not in vm.settings:
                yield C25.gap(f"{vm.name} has no guest_ram_mb", f"{vm.name}.guest_ram_mb in the application")
            continue
        bars = sum(_window_size(context, device) for device in vm.devices)
        if ram <= 0:
            yield C25.error(
                "no-ram",
                vm.place_of("guest_ram_mb"),
                vm.name,
                f"guest_ram_mb of {vm.name} is {ram}",
                "write MiB",
            )
        elif ram * MIB + bars > room:
            over = ram * MIB + bars - room
            yield C25.error(
                "window-full",
                vm.place_of("guest_ram_mb"),
                vm.name,
                f"{ram} MiB of guest RAM and {size_text(bars)} of BARs are {size_text(over)} more than the "
                "2303 MiB the VMM has for both",
                f"{vm.name}.guest_ram_mb = {max((room - bars) // MIB, 0)}; or less",
                f"{ram} MiB + {bars / MIB:.1f} MiB > {room / MIB:.1f} MiB",
            )


def _window_size(context: Context, device: Device) -> int:
    function = context.function(device)
    bars = bars_under_sel4(function) if function is not None else None
    if bars is not None:
        return sum(max(bar.size or 0, PAGE) for bar in bars if bar.kind == "mem" and bar.base)
    sizes = (memory.size for memory in device.memory if 0 < memory.size < 4 * GIB)
    return sum(max(1 << (size - 1).bit_length(), PAGE) for size in sizes)


CHECKS = (
    (C18, page_bits_small),
    (C19, page_aligned),
    (C20, power_of_two),
    (C24, frame_owned_once),
    (C25, window_fits),
)
