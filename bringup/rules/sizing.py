"""Memory sums: C25, C37 to C41."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bringup.base.finding import Found, Rule
from bringup.base.size import counted, size_text
from bringup.camkes.vms.vmm import CNODE_BITS_DEFAULT, GIB, MIB, PAGE, SLOT_BYTES, WINDOW_END, WINDOW_START
from bringup.pci.bars import bars_under_sel4

if TYPE_CHECKING:
    from bringup.camkes.vms.model import Device, Vm
    from bringup.rules.inputs import Inputs

C25 = Rule(
    "C25",
    "guest RAM and BARs fit into the VMM's window of 2303 MiB",
    "seL4_projects_libs guest memory: 0x10003000 to 0xa0000000; Failed to reserve PCI bar",
)
C37 = Rule(
    "C37",
    "a VM's untyped pools hold 1.25 times its RAM",
    "camkes-vm-examples: 1.25 (minimal_64) to 1.69 (#90); Failed to allocate guest ram",
)
C38 = Rule("C38", "pools are of 2^4 to 2^47 bytes", "camkes-tool component.simple.c: illegal untyped size")
C39 = Rule("C39", "a VM's CNode has a slot for every page", "camkes-vm: Ran out of free slots!")
C40 = Rule(
    "C40",
    "all pools and images fit into the board's RAM",
    "capDL loader: Ran out of untyped memory while creating",
)
C41 = Rule(
    "C41",
    "a guest has less than 4 GB",
    "camkes-vm#115 (allocman pool, 400 MB virtual); seL4_projects_libs#126",
)

POOL_RATIO = 1.25
_HUGE_GUEST_MIB = 4000


def window_fits(inputs: Inputs) -> Found:
    """C25: BARs are aligned to their own size in the window that holds guest RAM too."""
    room = WINDOW_END - WINDOW_START
    for vm in inputs.vms:
        ram = vm.numbers.get("guest_ram_mb")
        if ram is None:
            # Of an instance that nobody declares C42 tells.
            if "guest_ram_mb" not in vm.settings and inputs.is_declared(vm):
                yield C25.gap(f"{vm.name} has no guest_ram_mb", f"{vm.name}.guest_ram_mb in the application")
            continue
        bars = sum(_window_size(inputs, device) for device in vm.devices)
        if ram <= 0:
            yield C25.error(
                "no-ram",
                (vm.name, vm.place_of("guest_ram_mb")),
                f"guest_ram_mb of {vm.name} is {ram}",
                "write MiB",
            )
        elif ram * MIB + bars > room:
            over = ram * MIB + bars - room
            yield C25.error(
                "window-full",
                (vm.name, vm.place_of("guest_ram_mb")),
                f"{ram} MiB of guest RAM and {size_text(bars)} of BARs are {size_text(over)} more than the "
                "2303 MiB the VMM has for both",
                f"{vm.name}.guest_ram_mb = {max((room - bars) // MIB, 0)}; or less",
                f"{ram} MiB + {bars / MIB:.1f} MiB > {room / MIB:.1f} MiB",
            )


def _window_size(inputs: Inputs, device: Device) -> int:
    function = inputs.function(device)
    bars = bars_under_sel4(function) if function is not None else None
    if bars is not None:
        return sum(max(bar.size or 0, PAGE) for bar in bars if bar.kind == "mem" and bar.base)
    sizes = (memory.size for memory in device.memory if 0 < memory.size < 4 * GIB)
    return sum(max(1 << (size - 1).bit_length(), PAGE) for size in sizes)


def pools_hold_guest(inputs: Inputs) -> Found:
    """C37."""
    for vm in inputs.vms:
        ram = vm.numbers.get("guest_ram_mb")
        if ram is None or ram <= 0:
            continue
        pools = sum(pool.bytes for pool in vm.pools)
        wanted = int(ram * MIB * POOL_RATIO)
        if pools >= wanted:
            continue
        hopeless = pools < ram * MIB
        # A page for a page: what pools do not have, no guest can be given. One without any is not finished.
        tell = C37.error if hopeless and vm.pools else C37.warning
        yield tell(
            "pools-small",
            (vm.name, vm.pools[0].place if vm.pools else vm.place_of("guest_ram_mb")),
            f"the pools of {vm.name} have {size_text(pools)}, {pools / (ram * MIB):.2f} times its {ram} MiB "
            f"of RAM: {'that RAM cannot be allocated' if hopeless else 'page tables may not fit'}",
            f"add {size_text(_whole_mib(wanted - pools))}, or see bringup camkes plan-memory",
            f"{POOL_RATIO} times {ram} MiB is {size_text(wanted)}",
        )


def _whole_mib(count: int) -> int:
    return (count + MIB - 1) // MIB * MIB


def pool_sizes_legal(inputs: Inputs) -> Found:
    """C38: of every instance, native components too."""
    for pool in inputs.pools:
        if not 4 <= pool.bits <= 47 or pool.count < 0:
            yield C38.error(
                "pool-size",
                (pool.instance if any(vm.name == pool.instance for vm in inputs.vms) else None, pool.place),
                f"{pool.instance}.simple_untyped{pool.bits}_pool = {pool.count}: there are no such pieces",
                "4 to 47 in the name, and a count from 0 on",
            )


def slots_suffice(inputs: Inputs) -> Found:
    """C39: each page of RAM and BARs is a cap, once for the guest and once per IOMMU space."""
    for vm in inputs.vms:
        ram = vm.numbers.get("guest_ram_mb")
        bits = vm.numbers.get("cnode_size_bits", CNODE_BITS_DEFAULT)
        if ram is None or ram <= 0:
            continue
        pages = frames(ram, [memory.size for device in vm.devices for memory in device.memory])
        spaces = len(vm.devices) if vm.numbers.get("pci_devices_iospace") else 0
        slots = pages * (1 + spaces)
        if not 1 <= bits <= 47 or slots >= 1 << bits:
            needed = max(slots.bit_length(), CNODE_BITS_DEFAULT)
            yield C39.error(
                "cnode-small",
                (
                    vm.name,
                    vm.place_of("cnode_size_bits" if "cnode_size_bits" in vm.settings else "guest_ram_mb"),
                ),
                f"{vm.name} needs {slots} slots, and cnode_size_bits {bits} has "
                f"{1 << bits if 0 <= bits <= 47 else 'none'}",
                f"{vm.name}.cnode_size_bits = {needed};",
                f"{counted(pages, 'page')}, for the guest and {counted(spaces, 'IOMMU space')}",
            )


def frames(ram_mib: int, bars: list[int]) -> int:
    """Return the 4 KiB pages of so much RAM and these BARs (bytes)."""
    return ram_mib * (MIB // PAGE) + sum((max(size, 0) + PAGE - 1) // PAGE for size in bars)


def board_holds_all(inputs: Inputs) -> Found:
    """C40: pools, heaps and CNodes of all, the root task's too, and images twice (loaded, and unpacked)."""
    pools = sum(pool.bytes for pool in inputs.pools if pool.count > 0)
    if not pools:
        return
    parts = {
        "pools": pools,
        "heaps": sum(max(vm.numbers.get("heap_size", 0), 0) for vm in inputs.vms),
        "CNodes": sum(_cnode_bytes(vm) for vm in inputs.vms),
    }
    root = inputs.build.root_cnode_bytes if inputs.build else 0
    if inputs.build is not None:
        parts["the root task's CNode"] = root
        parts["images, twice"] = 2 * sum((inputs.build.images or {}).values())
    total = sum(parts.values())
    ram = inputs.machine.platform.memory_bytes if inputs.machine else None
    if ram is None:
        yield C40.gap(
            f"whether the board has the {size_text(_whole_mib(total))} that the application takes",
            inputs.capture_with("the board's memory"),
        )
    elif total > ram:
        yield C40.error(
            "board-too-small",
            (None, inputs.pools[0].place),
            f"the application takes {size_text(_whole_mib(total))}, and that is "
            f"{size_text(_whole_mib(total - ram))} more than the board has",
            "make guests smaller, or see bringup camkes plan-memory"
            if total - root > ram
            else "build with a smaller -DKernelRootCNodeSizeBits",
            f"board RAM {size_text(ram)}",
            *(f"{name} {size_text(part)}" for name, part in parts.items() if part),
        )


def _cnode_bytes(vm: Vm) -> int:
    bits = vm.numbers.get("cnode_size_bits", CNODE_BITS_DEFAULT)
    return SLOT_BYTES << bits if 1 <= bits <= 47 else 0


def guest_not_huge(inputs: Inputs) -> Found:
    """C41."""
    for vm in inputs.vms:
        ram = vm.numbers.get("guest_ram_mb", 0)
        if ram >= _HUGE_GUEST_MIB:
            yield C41.warning(
                "guest-huge",
                (vm.name, vm.place_of("guest_ram_mb")),
                f"{vm.name} has {ram} MiB: the VMM's own bookkeeping has a fixed size and may not suffice",
                "below 4 GB, or the larger pages of seL4_projects_libs#126",
            )


CHECKS = (
    (C25, window_fits),
    (C37, pools_hold_guest),
    (C38, pool_sizes_legal),
    (C39, slots_suffice),
    (C40, board_holds_all),
    (C41, guest_not_huge),
)
