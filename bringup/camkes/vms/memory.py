"""How large a VM's pools, heap and CNode have to be, with the sums. Pure.

    plan = plan_memory(1024, vms=3, board_ram=16 << 30, bars=(1 << 20, 16 << 10))
    plan.settings                # (("guest_ram_mb", 1024), ("simple_untyped26_pool", 19), …)

What is known: pools of 1.25 to 1.69 times the guest's RAM work (C37; camkes-vm-examples), a heap of 32 KiB
per MiB does (camkes-vm-examples#90: 0x2000000 for 1024 MiB, 0x800000 for 256), and a CNode needs a slot for
every 4 KiB page, once for the guest and once per IOMMU space (C39).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bringup.base.errors import ProfileError, UsageError
from bringup.base.size import counted, mib_text
from bringup.camkes.vms.vmm import CNODE_BITS_DEFAULT, MIB, PAGE, SLOT_BYTES, WINDOW_END, WINDOW_START

WINDOW = WINDOW_END - WINDOW_START
"""Bytes for guest RAM and BARs together (C25)."""
RESERVED = 128 * MIB
"""Kernel, root task (as loaded, and unpacked) and native components: an estimate, to be given when known."""

_RATIO, _RATIO_LEAST = (11, 8), (5, 4)  # 1.375 with headroom; 1.25 is the least that is known to work
_HEAP_PER_MIB = 32 << 10
_STEP = 4 * MIB  # the smallest piece that is proposed, and what a heap is rounded up to
_LARGE_GUEST = 512  # MiB; from here on the bulk comes in pieces of 64 MiB
_VMS_MAX, _RAM_MAX = 64, 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the sum: what, how it is reckoned, and how many bytes it takes."""

    what: str
    how: str
    bytes: int


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """A proposal for `vms` VMs of the same size. Sizes are bytes, `guest_ram_mib` MiB.

    `pools` are (N, count) for `simple_untypedN_pool`, largest first. `lines` add up to `total`; `board_ram`
    None: not given, so that nothing says whether it fits. `tight`: only the least ratio fits.
    """

    guest_ram_mib: int
    vms: int
    pools: tuple[tuple[int, int], ...]
    heap_size: int
    cnode_size_bits: int
    pages: int
    iospaces: int
    window_used: int
    lines: tuple[Line, ...]
    board_ram: int | None = None
    tight: bool = False

    @property
    def pool_bytes(self) -> int:
        """What one VM's pools hold."""
        return sum(count << bits for bits, count in self.pools)

    @property
    def ratio(self) -> float:
        """How many times the guest's RAM one VM's pools hold (C37 asks for 1.25)."""
        return self.pool_bytes / (self.guest_ram_mib * MIB)

    @property
    def total(self) -> int:
        """What the whole system takes."""
        return sum(line.bytes for line in self.lines)

    @property
    def free(self) -> int | None:
        """What is left of the board's RAM; None where that was not given."""
        return None if self.board_ram is None else self.board_ram - self.total

    @property
    def settings(self) -> tuple[tuple[str, int], ...]:
        """The settings of each VM, as (attribute, value)."""
        return (
            ("guest_ram_mb", self.guest_ram_mib),
            *((f"simple_untyped{bits}_pool", count) for bits, count in self.pools),
            ("heap_size", self.heap_size),
            ("cnode_size_bits", self.cnode_size_bits),
        )


def plan_memory(
    guest_ram_mib: int,
    *,
    vms: int = 1,
    board_ram: int | None = None,
    bars: Sequence[int] = (),
    devices: int | None = None,
    reserved: int = RESERVED,
) -> MemoryPlan:
    """Return pools, heap and CNode for `vms` VMs with so much RAM each, with `bars` (bytes) in each of them.

    `devices` is how many PCI functions a VM gets (default: one if it has BARs). Raises UsageError for numbers
    that make no sense, ProfileError when guest and BARs do not fit into the VMM's window or all of it not
    into the board, saying by how much.
    """
    _check(guest_ram_mib, vms, bars, devices)
    window = guest_ram_mib * MIB + sum(max(bar, PAGE) for bar in bars)
    if window > WINDOW:
        raise ProfileError(
            f"{guest_ram_mib} MiB of RAM and {mib_text(window - guest_ram_mib * MIB)} of BARs are "
            f"{mib_text(window - WINDOW)} more than the {WINDOW // MIB} MiB a VM has for both (C25)",
            hint=f"give the guest {(WINDOW - sum(max(bar, PAGE) for bar in bars)) // MIB} MiB or less",
        )
    iospaces = (1 if bars else 0) if devices is None else devices
    plan = _plan(guest_ram_mib, vms, board_ram, bars, iospaces, reserved, _RATIO)
    if plan.free is not None and plan.free < 0:
        plan = _plan(guest_ram_mib, vms, board_ram, bars, iospaces, reserved, _RATIO_LEAST)
    if plan.free is not None and plan.free < 0:
        raise ProfileError(
            f"{counted(vms, 'VM')} of {guest_ram_mib} MiB take {mib_text(plan.total)}, "
            f"{mib_text(-plan.free)} more than the board's {mib_text(board_ram or 0)} (C40)",
            hint="; ".join(f"{line.what} {mib_text(line.bytes)}" for line in plan.lines),
        )
    return plan


def _check(guest_ram_mib: int, vms: int, bars: Sequence[int], devices: int | None) -> None:
    if not 1 <= guest_ram_mib <= _RAM_MAX:
        raise UsageError(f"a guest with {guest_ram_mib} MiB of RAM", hint="give MiB, as in --guest-ram 1024")
    if not 1 <= vms <= _VMS_MAX:
        raise UsageError(f"{vms} VMs", hint=f"give 1 to {_VMS_MAX}")
    if devices is not None and not 0 <= devices <= 30:
        raise UsageError(f"{devices} devices in a VM", hint="give 0 to 30")
    for bar in bars:
        if bar < 16 or bar & (bar - 1):
            raise UsageError(
                f"a BAR of {bar} bytes",
                hint="a memory BAR has a power of two from 16 bytes on (PCI 3.0 6.2.5.1)",
            )


def _plan(
    ram: int,
    vms: int,
    board_ram: int | None,
    bars: Sequence[int],
    iospaces: int,
    reserved: int,
    ratio: tuple[int, int],
) -> MemoryPlan:
    pools = _pools(ram, ratio)
    pool_bytes = sum(count << bits for bits, count in pools)
    heap = _heap(ram)
    pages = ram * (MIB // PAGE) + sum(-(-bar // PAGE) for bar in bars)
    bits = max(CNODE_BITS_DEFAULT, (pages * (1 + iospaces)).bit_length())
    each = f"{vms} x " if vms > 1 else ""
    lines = (
        Line(
            "untyped pools",
            f"{each}{mib_text(pool_bytes)}",
            vms * pool_bytes,
        ),
        Line("CNodes", f"{each}2^{bits} slots of {SLOT_BYTES} bytes", vms * SLOT_BYTES << bits),
        Line("heaps", f"{each}{mib_text(heap)}", vms * heap),
        Line("the rest", "kernel, images, native components (estimate)", reserved),
    )
    window = ram * MIB + sum(max(bar, PAGE) for bar in bars)
    least = ratio == _RATIO_LEAST
    return MemoryPlan(ram, vms, pools, heap, bits, pages, iospaces, window, lines, board_ram, least)


def _pools(ram_mib: int, ratio: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Return pieces that hold the RAM so many times: seven eighths in large ones, the rest in smaller ones.

    Large pieces keep the list of objects short, and with it the capDL loader's time; smaller ones still fit
    where RAM is fragmented.
    """
    wanted = -(-ram_mib * MIB * ratio[0] // ratio[1] // _STEP) * _STEP
    large = 26 if ram_mib >= _LARGE_GUEST else 23
    counts = {large: (wanted * 7 // 8) >> large}
    rest = wanted - (counts[large] << large)
    for bits in range(large - 2 if large == 26 else large - 1, 21, -1):
        counts[bits] = rest >> bits
        rest -= counts[bits] << bits
    return tuple((bits, count) for bits, count in counts.items() if count)


def _heap(ram_mib: int) -> int:
    return max(-(-ram_mib * _HEAP_PER_MIB // _STEP) * _STEP, _STEP)
