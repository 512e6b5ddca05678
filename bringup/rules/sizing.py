"""Memory sums: C37 to C41."""

from __future__ import annotations

from collections.abc import Iterator

from bringup.base.finding import Finding, Gap, Rule
from bringup.camkes.vms.model import Vm
from bringup.camkes.vms.vmm import CNODE_BITS_DEFAULT, MIB, PAGE, SLOT_BYTES
from bringup.rules.context import Context, size_text

Found = Iterator[Finding | Gap]

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


def pools_hold_guest(context: Context) -> Found:
    """C37."""
    for vm in context.vms:
        ram = vm.numbers.get("guest_ram_mb")
        if ram is None or ram <= 0:
            continue
        pools = sum(pool.bytes for pool in vm.pools)
        wanted = int(ram * MIB * POOL_RATIO)
        if pools >= wanted:
            continue
        hopeless = pools < ram * MIB
        yield C37.warning(
            "pools-small",
            vm.pools[0].place if vm.pools else vm.place_of("guest_ram_mb"),
            vm.name,
            f"the pools of {vm.name} have {size_text(pools)}, {pools / (ram * MIB):.2f} times its {ram} MiB "
            f"of RAM: {'that RAM cannot be allocated' if hopeless else 'page tables may not fit'}",
            f"add {size_text(_whole_mib(wanted - pools))}, or see bringup camkes plan-memory",
            f"{POOL_RATIO} times {ram} MiB is {size_text(wanted)}",
        )


def _whole_mib(count: int) -> int:
    return (count + MIB - 1) // MIB * MIB


def pool_sizes_legal(context: Context) -> Found:
    """C38: of every instance, native components too."""
    for pool in context.pools:
        if not 4 <= pool.bits <= 47 or pool.count < 0:
            yield C38.error(
                "pool-size",
                pool.place,
                pool.instance if any(vm.name == pool.instance for vm in context.vms) else None,
                f"{pool.instance}.simple_untyped{pool.bits}_pool = {pool.count}: there are no such pieces",
                "4 to 47 in the name, and a count from 0 on",
            )


def slots_suffice(context: Context) -> Found:
    """C39: each page of RAM and BARs is a cap, once for the guest and once per IOMMU space."""
    for vm in context.vms:
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
                vm.place_of("cnode_size_bits" if "cnode_size_bits" in vm.settings else "guest_ram_mb"),
                vm.name,
                f"{vm.name} needs {slots} slots, and cnode_size_bits {bits} has "
                f"{1 << bits if 0 <= bits <= 47 else 'none'}",
                f"{vm.name}.cnode_size_bits = {needed};",
                f"{pages} pages, for the guest and {spaces} IOMMU spaces",
            )


def frames(ram_mib: int, bars: list[int]) -> int:
    """Return the 4 KiB pages of so much RAM and these BARs (bytes)."""
    return ram_mib * (MIB // PAGE) + sum((max(size, 0) + PAGE - 1) // PAGE for size in bars)


def board_holds_all(context: Context) -> Found:
    """C40: pools, heaps and CNodes of all instances, and the images twice (as loaded, and unpacked)."""
    pools = sum(pool.bytes for pool in context.pools if pool.count > 0)
    if not pools:
        return
    parts = {
        "pools": pools,
        "heaps": sum(max(vm.numbers.get("heap_size", 0), 0) for vm in context.vms),
        "CNodes": sum(_cnode_bytes(vm) for vm in context.vms),
    }
    images = sum((context.build.images or {}).values()) if context.build else 0
    if images:
        parts["images, twice"] = 2 * images
    total = sum(parts.values())
    machine = context.assessment.machine if context.assessment else None
    ram = machine.platform.memory_bytes if machine else None
    if ram is None:
        yield C40.gap(
            f"whether the board has the {size_text(_whole_mib(total))} that the application takes",
            context.capture_with("the board's memory"),
        )
    elif total > ram:
        yield C40.error(
            "board-too-small",
            context.pools[0].place,
            None,
            f"the application takes {size_text(_whole_mib(total))}, and that is "
            f"{size_text(_whole_mib(total - ram))} more than the board has",
            "make guests smaller, or see bringup camkes plan-memory",
            f"board RAM {size_text(ram)}",
            *(f"{name} {size_text(part)}" for name, part in parts.items()),
        )


def _cnode_bytes(vm: Vm) -> int:
    bits = vm.numbers.get("cnode_size_bits", CNODE_BITS_DEFAULT)
    return SLOT_BYTES << bits if 1 <= bits <= 47 else 0


def guest_not_huge(context: Context) -> Found:
    """C41."""
    for vm in context.vms:
        ram = vm.numbers.get("guest_ram_mb", 0)
        if ram >= _HUGE_GUEST_MIB:
            yield C41.warning(
                "guest-huge",
                vm.place_of("guest_ram_mb"),
                vm.name,
                f"{vm.name} has {ram} MiB: the VMM's own bookkeeping has a fixed size and may not suffice",
                "below 4 GB, or the larger pages of seL4_projects_libs#126",
            )


CHECKS = (
    (C37, pools_hold_guest),
    (C38, pool_sizes_legal),
    (C39, slots_suffice),
    (C40, board_holds_all),
    (C41, guest_not_huge),
)
