"""A memory plan as text: whether it fits, the settings to copy, the sums line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from bringup.base.size import counted, mib_text

if TYPE_CHECKING:
    from bringup.camkes.vms.memory import MemoryPlan


def plan_lines(plan: MemoryPlan, vm: str = "vm0") -> Iterator[str]:
    """Yield a memory plan: whether it fits, the settings to copy, and the sums line by line."""
    yield _plan_answer(plan)
    yield ""
    for attribute, value in plan.settings:
        shown = f"{value:#x}" if attribute == "heap_size" else str(value)
        yield f"  {vm}.{attribute} = {shown};"
    if plan.vms > 1:
        yield f"  and the same for {'the other VM' if plan.vms == 2 else f'the other {plan.vms - 1} VMs'}"
    yield ""
    for bits, count in plan.pools:
        sizes = f"{mib_text(1 << bits):>9} {mib_text(count << bits):>10}"
        yield f"  {count:>4} x {sizes}   simple_untyped{bits}_pool"
    yield f"  {'':>16} {mib_text(plan.pool_bytes):>10}   {plan.ratio:.2f} times the guest's RAM (C37: 1.25)"
    yield ""
    for line in plan.lines:
        yield f"  {line.what:<16} {mib_text(line.bytes):>10}   {line.how}"
    if plan.board_ram is None:
        yield f"  {'sum':<16} {mib_text(plan.total):>10}   the board's RAM is not known (--board-ram)"
    else:
        yield f"  {'sum':<16} {mib_text(plan.total):>10}   of {mib_text(plan.board_ram)} on the board (C40)"
    slots = plan.pages * (1 + plan.iospaces)
    spaces = f", for the guest and {_many(plan.iospaces)}" if plan.iospaces else ""
    yield f"  {counted(plan.pages, 'page')}{spaces}: {slots} slots of 2^{plan.cnode_size_bits} (C39)"
    yield f"  {mib_text(plan.window_used)} of 2303 MiB for RAM and BARs in the VMM's window (C25)"


def _many(spaces: int) -> str:
    return "one IOMMU space" if spaces == 1 else f"{spaces} IOMMU spaces"


def _plan_answer(plan: MemoryPlan) -> str:
    what = f"{counted(plan.vms, 'VM')} of {plan.guest_ram_mib} MiB"
    if plan.free is None:
        return f"{what}: {mib_text(plan.total)} of RAM"
    tight = ", with no headroom in the pools" if plan.tight else ""
    return f"{what}: fits, {mib_text(plan.free)} of {mib_text(plan.board_ram or 0)} left{tight}"


def plan_json(plan: MemoryPlan) -> dict[str, Any]:
    """Return a plan as plain JSON data (docs/camkes-check.md); sizes in bytes."""
    return {
        "schema": 1,
        "vms": plan.vms,
        "settings": dict(plan.settings),
        "ratio": round(plan.ratio, 4),
        "pool_bytes": plan.pool_bytes,
        "pages": plan.pages,
        "slots": plan.pages * (1 + plan.iospaces),
        "window_bytes": plan.window_used,
        "sums": [{"what": line.what, "how": line.how, "bytes": line.bytes} for line in plan.lines],
        "total_bytes": plan.total,
        "board_ram_bytes": plan.board_ram,
        "free_bytes": plan.free,
        "tight": plan.tight,
    }
